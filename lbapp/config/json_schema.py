"""The configuration file as a JSON schema, for editors.

Responsible for saying in JSON schema what the readers of `schema` accept, with what each key is for. Knows nothing of files
that are checked, and leaves to `rules` what spans tables. The words of each key are those of the reference configuration.

Invariant: what `lbapp check` accepts is accepted; what a schema cannot say (files that exist, unique names) is left open.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from lbapp.config import (
    actions,
    admission,
    cluster,
    discovery,
    health,
    metrics,
    persistence,
    secrets,
    transport,
    values,
)
from lbapp.config.access_log import AccessLogTable
from lbapp.config.reference import reference_tables, reference_text
from lbapp.config.schema import Document

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_TEXT: Final[JsonSchemaValue] = {"type": "string"}
_TEXTS: Final[JsonSchemaValue] = {"type": "array", "items": _TEXT}
DURATION: Final[JsonSchemaValue] = {"type": "string", "pattern": r"^[0-9]{1,12}(\.[0-9]{1,12})?(ms|s|m|h)$"}
SIZE: Final[JsonSchemaValue] = {
    "anyOf": [{"type": "string", "pattern": "^(0|[0-9]{1,12}(B|KiB|MiB|GiB))$"}, {"const": 0}]
}
_PATH: Final[JsonSchemaValue] = {"type": "string", "pattern": "^/"}
_ONE_OR_MORE: Final[JsonSchemaValue] = {"anyOf": [_TEXT, {**_TEXTS, "minItems": 1}]}
_STATUS: Final[JsonSchemaValue] = {"anyOf": [_TEXT, {"type": "integer", "minimum": 100, "maximum": 599}]}
_FIELDS: Final[JsonSchemaValue] = {"type": "object", "additionalProperties": _TEXT}
_MATCHES: Final[JsonSchemaValue] = {
    "type": "object",
    "additionalProperties": {"anyOf": [_TEXT, {"type": "object", "minProperties": 1, "maxProperties": 1}]},
}
_KEYS: Final[JsonSchemaValue] = {
    "type": "array",
    "items": {"type": "object", "required": ["id", "secret"], "properties": {"id": _TEXT, "secret": _TEXT}},
}
_ACCEPTED: Final[Mapping[Callable[..., Any], JsonSchemaValue]] = {
    values.duration_s: DURATION,
    values.positive_duration_s: DURATION,
    values.size_bytes: SIZE,
    values.head_size_bytes: SIZE,
    values.persistence_size_bytes: SIZE,
    values.server_address: _TEXT,
    values.binds: _ONE_OR_MORE,
    values.file_path: _PATH,
    values.socket_path: _PATH,
    values.route_headers: _FIELDS,
    values.retry_statuses: {"type": "array", "items": {"enum": [502, 503, 504]}},
    actions.header_matches: _MATCHES,
    actions.split_key: {"enum": ["client", "request"]},
    discovery.name_servers: _TEXTS,
    health.statuses: {"anyOf": [*_STATUS["anyOf"], {"type": "array", "items": _STATUS, "minItems": 1}]},
    secrets.keys: _KEYS,
    secrets.keys_file: _PATH,
}
# Readers that are a module's own: what they accept is told by the type that they return.
_BY_NAME: Final[Mapping[tuple[str, str], JsonSchemaValue]] = {
    (AccessLogTable.__module__, "_target"): _TEXT,
    (actions.__name__, "_networks"): _TEXTS,
    (admission.__name__, "_networks"): _TEXTS,
    (admission.__name__, "_rate"): _TEXT,
    (cluster.__name__, "_endpoints"): {**_TEXTS, "minItems": 1},
    (cluster.__name__, "_lease_s"): DURATION,
    (metrics.__name__, "_address"): _TEXT,
    (persistence.__name__, "_same_site"): {"enum": ["Lax", "Strict", "None"]},
    (transport.__name__, "_keepalive_s"): DURATION,
    (transport.__name__, "_networks"): _TEXTS,
    (transport.__name__, "_unix_mode"): {"type": "string", "pattern": "^0?[0-7]{3}$"},
    (transport.__name__, "_upgrade"): {"anyOf": [{"enum": ["all", "none"]}, _TEXTS]},
}
_SECOND_UNITS: Final = ((3600, "h"), (60, "m"), (1, "s"))
_BYTE_UNITS: Final = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B"))


class _Generator(GenerateJsonSchema):
    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        """Return what the reader accepts, not what it makes of it."""
        reader: Any = schema["function"]["function"]
        known = _ACCEPTED.get(reader) or _BY_NAME.get((reader.__module__, reader.__name__))
        if known is not None:
            return dict(known)
        bounds = inspect.getclosurevars(reader).nonlocals
        if "lowest" in bounds and reader.__qualname__.startswith(values.whole_number.__name__):
            return {"type": "integer", "minimum": bounds["lowest"], "maximum": bounds["highest"]}
        if "lowest" in bounds:
            return {"type": "number", "minimum": bounds["lowest"], "maximum": bounds["highest"]}
        if "allowed" in bounds and isinstance(bounds["allowed"], tuple):
            return {"enum": list(bounds["allowed"])}
        if "pattern" in bounds:
            return {"type": "string", "pattern": f"^(?:{bounds['pattern'].__self__.pattern})$"}
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Return the schema with its default as an operator writes it; what depends on the machine has none."""
        accepted = self.generate_inner(schema["schema"])
        default = schema.get("default")
        if default is None:
            return accepted
        return {**accepted, "default": _written(default, accepted)}


def json_schema() -> dict[str, Any]:
    """Return the schema of the configuration file, of draft 2020-12."""
    made = Document.model_json_schema(schema_generator=_Generator)
    described = _descriptions()
    _describe(made, made["$defs"], (), described)
    made.pop("title", None)
    return {
        "$schema": DRAFT,
        "title": "lbapp",
        **made,
        "description": "The configuration of lbapp, a load balancer.",
    }


def _written(default: Any, accepted: JsonSchemaValue) -> Any:
    if isinstance(default, Enum):
        return default.value
    if accepted == DURATION:
        return _with_unit(default, _SECOND_UNITS) if default >= 1 or not default else f"{default * 1000:g}ms"
    if accepted == SIZE:
        return _with_unit(default, _BYTE_UNITS)
    if "^0?[0-7]{3}$" in str(accepted):
        return f"0{default:o}"
    if accepted.get("type") == "array":
        return list(default)
    return "off" if isinstance(default, tuple) else "none" if not isinstance(default, str | int | float) else default


def _with_unit(amount: float, units: tuple[tuple[int, str], ...]) -> str:
    for size, unit in units:
        if amount >= size and amount % size == 0:
            return f"{amount / size:g}{unit}"
    return f"{amount:g}{units[-1][1]}"


def _describe(table: dict[str, Any], known: dict[str, Any], path: tuple[str, ...], words: dict[Any, str]) -> None:
    """Put each key's words to it; a table that stands in several places is described by the first."""
    for key, shape in table.get("properties", {}).items():
        here = (*path, key)
        shape.pop("title", None)
        if here in words:
            shape.setdefault("description", words[here])
        for name in re.findall(r"'\$ref': '#/\$defs/(\w+)'", str(shape)):
            inner = known[name]
            inner.pop("title", None)
            _describe(inner, known, here, words)


def _descriptions() -> dict[tuple[str, ...], str]:
    """Return what the reference configuration says of each table and key, by the names on the way to it."""
    found: dict[tuple[str, ...], str] = {}
    for name, table in reference_tables(reference_text()).items():
        path = tuple(name.split("."))
        found[path] = table.words
        found |= {(*path, key): said.words for key, said in table.keys.items()}
    return {path: words for path, words in found.items() if words}
