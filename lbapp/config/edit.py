"""Changes to the text of a configuration that leave its comments, its order and its layout alone.

Responsible for adding a server's table to a pool and for taking one out. Knows nothing of what a configuration means: the text
that comes out is to be read and checked like any other. Invariant: nothing but that table is another.
"""

from __future__ import annotations

from typing import Any

import tomlkit
from tomlkit.items import AoT


def add_server(text: str, pool: str, fields: dict[str, str | int | bool]) -> str:
    """Return the text with one more server in a pool, at its end. Raises KeyError where there is no such pool."""
    document = tomlkit.parse(text.removeprefix("\ufeff"))
    table = _pool(document, pool)
    servers: Any = table.get("server")
    if servers is None:
        servers = table["server"] = tomlkit.aot()
    added = tomlkit.table() if isinstance(servers, AoT) else tomlkit.inline_table()
    added.update(fields)
    servers.append(added)
    return tomlkit.dumps(document)


def remove_server(text: str, pool: str, server: str) -> str:
    """Return the text without a server of a pool. Raises KeyError where there is none."""
    document = tomlkit.parse(text.removeprefix("\ufeff"))
    servers: Any = _pool(document, pool).get("server", [])
    for at, each in enumerate(servers):
        if each.get("name") == server:
            del servers[at]
            return tomlkit.dumps(document)
    raise KeyError(server)


def _pool(document: Any, name: str) -> Any:
    for pool in document.get("pool", []):
        if pool.get("name") == name:
            return pool
    raise KeyError(name)
