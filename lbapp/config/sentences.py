"""What the schema refuses, in our own words.

Responsible for turning each refusal of pydantic into the key path and one sentence, and for suggesting the key that was
meant. Knows nothing of files or lines. Invariant: no wording of pydantic reaches the operator, and every sentence says
what is allowed.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Iterator
from typing import Final, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from lbapp.config.lines import Path
from lbapp.config.values import quoted, shown

Found = tuple[Path, str]

_NAMES_MAX: Final = 24  # in one sentence
_WANTED: Final = {"bool_type": "true or false", "string_type": "text in quotes", "model_type": "a table"}


def sentences(error: ValidationError, schema: type[BaseModel]) -> Iterator[Found]:
    """Yield the key path and the sentence of everything that the schema refuses."""
    for detail in error.errors(include_url=False):
        yield tuple(detail["loc"]), _sentence(detail, schema)


def suggestion(name: str, known: Iterable[str], otherwise: str) -> str:
    """Return a question after the name that was meant, or `otherwise` with those that are known."""
    names = list(known)
    near = difflib.get_close_matches(name, names, 1)
    if near:
        return f'did you mean "{near[0]}"?'
    more = f" and {len(names) - _NAMES_MAX} more" if len(names) > _NAMES_MAX else ""
    return f"{otherwise}: {', '.join(names[:_NAMES_MAX]) or 'none'}{more}"


def _sentence(detail: ErrorDetails, schema: type[BaseModel]) -> str:
    path, kind, value = detail["loc"], detail["type"], detail["input"]
    names = tuple(part for part in path if isinstance(part, str))
    if kind == "extra_forbidden":
        key = str(path[-1])
        return f"unknown key {quoted(key)}; {suggestion(key, _keys_beside(path, schema), 'allowed')}"
    if kind == "missing":
        return "this key is missing"
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    if kind == "list_type":
        return f"{shown(value)} is not accepted; allowed: a list of tables, each under [[{'.'.join(names)}]]"
    return f"{shown(value)} is not accepted; allowed: {_WANTED[kind]}"


def _keys_beside(path: Path, model: type[BaseModel]) -> list[str]:
    """Return the keys that a schema knows in the table that `path` lies in."""
    for part in path[:-1]:
        if isinstance(part, str):
            model = _table_of(model.model_fields[part].annotation)
    return sorted(model.model_fields)


def _table_of(annotation: object) -> type[BaseModel]:
    inner = get_args(annotation)[0] if get_origin(annotation) in (list, types.UnionType) else annotation
    assert isinstance(inner, type)
    assert issubclass(inner, BaseModel)
    return inner
