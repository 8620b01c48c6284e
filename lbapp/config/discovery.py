"""`[pool.discover]`, and its rules.

Responsible for these keys, for turning them into the model, and for what makes no sense beside them. Knows nothing of files or
lines. Invariant: a pool has the servers of the file or those of a name, never both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator

from lbapp.config import values
from lbapp.config.lines import Path as KeyPath
from lbapp.config.table import STRICT, Table
from lbapp.model.discovery import Discover, DiscoverType
from lbapp.model.entities import AlgorithmName

_NAME: Final = re.compile(r"(?=.{1,253}\.?$)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62}\.?)+").fullmatch
_DEFAULT: Final = Discover("")
DNS_PORT: Final = 53


def dns_name(value: object) -> str:
    """Return a name of DNS. Raises ValueError."""
    wrong = f'{values.shown(value)} is not a name; write one such as "app.internal" or "_http._tcp.app.internal"'
    if not isinstance(value, str) or not _NAME(value) or re.search(r"[^.]{64}", value):
        raise ValueError(wrong)
    if re.fullmatch(r"[0-9.]+", value):
        raise ValueError(f"{values.shown(value)} is an address, which needs no finding; give the pool a server")
    return value


def name_servers(value: object) -> list[tuple[str, int]]:
    """Return (address, port) of each. Raises ValueError."""
    if not isinstance(value, list):
        raise ValueError(
            f'{values.shown(value)} is not accepted; allowed: a list, such as ["10.0.0.53", "127.0.0.1:5353"]'
        )
    found = []
    for each in value:
        try:
            found.append((str(ip_address(each if isinstance(each, str) else "")), DNS_PORT))
        except ValueError:
            host, port = values.host_and_port(each)
            try:
                found.append((str(ip_address(host)), port))
            except ValueError as error:
                raise ValueError(f"{values.shown(each)} is not an address; name servers have no names") from error
    return found


class DiscoverTable(Table):
    """`[pool.discover]`."""

    name: Annotated[str, BeforeValidator(dns_name)]
    type: Annotated[DiscoverType, BeforeValidator(values.word_of(DiscoverType))] = _DEFAULT.type
    port: Annotated[int, BeforeValidator(values.whole_number(1, 65535))] | None = None
    servers_max: Annotated[int, BeforeValidator(values.whole_number(1, 1000))] = _DEFAULT.servers_max


class DiscoverKeys(BaseModel):
    """What `[[pool]]` says about servers that are found."""

    model_config = STRICT
    discover: DiscoverTable | None = None

    def to_discover(self) -> Discover | None:
        """Return the settings under the model's names."""
        table = self.discover
        return None if table is None else Discover(table.name, table.type, table.port or 0, table.servers_max)


def discover_rules(path: KeyPath, pool: dict[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Yield what does not hold in or around a pool's discovery. Works on data of any shape."""
    table = pool.get("discover")
    if not isinstance(table, dict):
        return
    here = (*path, "discover")
    if pool.get("server"):
        yield (
            (*path, "server"),
            "the pool's servers are found by name; give them here or there, in two pools if need be",
        )
    kind = table.get("type", DiscoverType.ADDRESS.value)
    if kind == DiscoverType.ADDRESS.value and "port" not in table:
        yield here, "the port is missing: addresses have none; give it, or ask for SRV records with type 'srv'"
    if kind == DiscoverType.SRV.value and "port" in table:
        yield (*here, "port"), "SRV records name the port; remove it"
    check = pool.get("health_check")
    if isinstance(check, dict) and "agent" in check:
        yield (
            (*path, "health_check", "agent"),
            "agents are for servers of the file, not for those that are found; remove it",
        )
    if pool.get("algorithm") == AlgorithmName.FIRST.value:
        yield (*path, "algorithm"), "servers that are found have no order; choose another algorithm"
