"""`[pool.persistence]` and its rules.

Responsible for the keys of this table, for turning it into the model, and for what makes no sense in it. Knows nothing of
files or lines. Invariant: a key that has no meaning for the type of persistence is refused, not ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from lbapp.config import secrets, values
from lbapp.config.lines import Path as KeyPath
from lbapp.config.lines import Placed
from lbapp.model.persistence import Persistence, PersistenceKey, PersistenceType

_DEFAULTS: Final = Persistence(PersistenceType.IP)
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}").fullmatch
_OF_TYPE: Final = {
    "cookie": ["life", "cookie", "http_only", "same_site", "indirect", "nocache", "keys", "keys_file"],
    "ip": ["ipv4_prefix", "ipv6_prefix"],
    "header": ["header"],
}
_SAME_SITE: Final = ("Lax", "Strict", "None")


def _token(value: object) -> str:
    if not isinstance(value, str) or not _TOKEN(value):
        raise ValueError(f"{values.shown(value)} is not accepted; allowed: up to 64 letters, digits, - and _")
    return value


def _same_site(value: object) -> str:
    if value not in _SAME_SITE:
        raise ValueError(f"{values.shown(value)} is not accepted; allowed: {values.either(_SAME_SITE)}")
    return str(value)


Duration = Annotated[float, BeforeValidator(values.positive_duration_s)]


class PersistenceTable(BaseModel):
    """`[pool.persistence]`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)

    type: Annotated[PersistenceType, BeforeValidator(values.word_of(PersistenceType))]
    ttl: Duration = _DEFAULTS.ttl_s
    life: Duration = _DEFAULTS.life_s
    cookie: Annotated[str, BeforeValidator(_token)] = _DEFAULTS.cookie
    http_only: bool = _DEFAULTS.http_only
    same_site: Annotated[str, BeforeValidator(_same_site)] = _DEFAULTS.same_site
    indirect: bool = _DEFAULTS.indirect
    nocache: bool = _DEFAULTS.nocache
    keys: Annotated[list[PersistenceKey], BeforeValidator(secrets.keys)] = Field(default_factory=list)
    keys_file: Annotated[secrets.KeysFile | None, BeforeValidator(secrets.keys_file)] = None
    header: Annotated[str, BeforeValidator(_token)] = _DEFAULTS.header
    ipv4_prefix: Annotated[int, BeforeValidator(values.whole_number(1, 32))] = _DEFAULTS.ipv4_prefix
    ipv6_prefix: Annotated[int, BeforeValidator(values.whole_number(1, 128))] = _DEFAULTS.ipv6_prefix

    def to_model(self) -> Persistence:
        """Return the settings under the model's names."""
        return Persistence(
            type=self.type,
            ttl_s=self.ttl,
            cookie=self.cookie,
            life_s=self.life,
            http_only=self.http_only,
            same_site=self.same_site,
            indirect=self.indirect,
            nocache=self.nocache,
            keys=tuple(self.keys) if self.keys_file is None else self.keys_file.keys,
            keys_file=None if self.keys_file is None else self.keys_file.path,
            header=self.header.lower(),
            ipv4_prefix=self.ipv4_prefix,
            ipv6_prefix=self.ipv6_prefix,
        )


def persistence_rules(pools: Iterable[Placed], tcp_pools: Mapping[str, str]) -> Iterator[tuple[KeyPath, str]]:
    """Yield what does not hold in or around the pools' persistence. Works on data of any shape.

    `tcp_pools`: the pools of tcp listeners, each with the name of its listener.
    """
    for path, pool in pools:
        table = pool.get("persistence")
        if not isinstance(table, dict) or table.get("type") not in _OF_TYPE:
            continue  # the schema says so
        here = (*path, "persistence")
        yield from _of_one_table(here, table)
        listener = tcp_pools.get(str(pool.get("name")))
        if table["type"] != PersistenceType.IP.value and listener is not None:
            sentence = f"listener {listener} speaks tcp, which has no {table['type']}s; allowed for its pool: 'ip'"
            yield (*here, "type"), sentence


def _of_one_table(here: KeyPath, table: dict[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    kind = table["type"]
    for other, names in _OF_TYPE.items():
        for name in names:
            if other != kind and name in table:
                yield (*here, name), f"{name} has a meaning with type {other!r} only; remove it"
    if kind == PersistenceType.HEADER.value and "header" not in table:
        yield here, 'the header is missing; name the one that tells clients apart, such as header = "x-user"'
    if "keys" in table and "keys_file" in table:
        yield (*here, "keys_file"), "there are keys already; give keys or keys_file"
    if kind == PersistenceType.COOKIE.value:
        yield from _life_holds(here, table)


def _life_holds(here: KeyPath, table: dict[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    try:
        life_s = values.positive_duration_s(table["life"]) if "life" in table else _DEFAULTS.life_s
        ttl_s = values.positive_duration_s(table["ttl"]) if "ttl" in table else _DEFAULTS.ttl_s
    except ValueError:
        return
    if ttl_s > life_s:
        yield (*here, "ttl"), "the ttl is longer than the life of a cookie; make it shorter, or the life longer"
