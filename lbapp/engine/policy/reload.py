"""What a reload is going to change, and how.

Responsible for comparing two configurations, listener by listener and server by server, and for what cannot be changed while the
engine runs. Knows nothing of files or processes.

Invariants: two configurations are equal exactly if there is nothing to plan; a change is told in the words of the file, key by
key; no secret is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from lbapp.model.entities import Configuration, EngineSettings, Listener, Pool, Server

ADDED: Final = "added"
REMOVED: Final = "removed"
CHANGED: Final = "changed"
_SECRETS: Final = frozenset(("keys", "secret"))
_LETTERS_MAX: Final = 60
_STAYS: Final = "open connections go on, and their next request is served by it"
# What a process is made with: a reload has the same.
_FIXED: Final = ("workers", "control_socket", "state_dir", "operators", "viewers")


@dataclass(frozen=True, slots=True)
class Planned:
    """One listener, pool, server or table that is added, removed or changed; `details`: `key: before -> after`."""

    what: str
    kind: str
    how: str
    details: tuple[str, ...] = ()


class CannotReload(Exception):
    """Something is asked for that this engine cannot do while it runs: a sentence says what."""


@dataclass(frozen=True, slots=True)
class Version:
    """A configuration, and the tables of the file that it came from."""

    configuration: Configuration
    tables: Mapping[str, Any]


def plan_reload(before: Version, after: Version) -> list[Planned]:
    """Return what has to be done so that `after` is served instead of `before`. Raises CannotReload."""
    one, other = before.configuration, after.configuration
    fixed = [name for name in _FIXED if getattr(one.engine, name) != getattr(other.engine, name)]
    if fixed:
        raise CannotReload(f"engine.{', engine.'.join(fixed)} cannot change while the engine runs")
    planned = list(_of_engine(one.engine, other.engine, before, after))
    if one.limits != other.limits:
        details = _details(_table(before, "limits"), _table(after, "limits"))
        planned.append(Planned("limits", CHANGED, "for connections that are opened from now on", details))
    if one.access_log != other.access_log:
        details = _details(_table(before, "access_log"), _table(after, "access_log"))
        planned.append(
            Planned("access_log", CHANGED, "in place; what is pending is written where it was to go", details)
        )
    if one.metrics_bind != other.metrics_bind:
        details = _details(_table(before, "metrics"), _table(after, "metrics"))
        planned.append(Planned("metrics", CHANGED, "for scrapes from now on", details))
    if one.cluster != other.cluster:
        details = _details(_table(before, "cluster"), _table(after, "cluster"))
        planned.append(Planned("cluster", CHANGED, "the fleet is left, and joined as the file says", details))
    if one.readiness != other.readiness:
        details = _details(_table(before, "readiness"), _table(after, "readiness"))
        planned.append(Planned("readiness", CHANGED, "in place", details))
    listeners = {listener.name: listener for listener in one.listeners}
    for listener in other.listeners:
        planned += _of_listener(listeners.pop(listener.name, None), listener, before, after)
    how = "accepts nobody any more; its connections finish within limits.stop_timeout"
    planned += [Planned(f"listener {name}", REMOVED, how) for name in listeners]
    pools = {pool.name: pool for pool in one.pools}
    for pool in other.pools:
        planned += _of_pool(pools.pop(pool.name, None), pool, before, after)
    for pool in pools.values():
        planned.append(Planned(f"pool {pool.name}", REMOVED, f"with its {len(pool.servers)} servers; {_leaves(pool)}"))
    return planned


def _of_engine(one: EngineSettings, other: EngineSettings, before: Version, after: Version) -> Iterator[Planned]:
    if one != other:
        details = _details(_table(before, "engine"), _table(after, "engine"))
        yield Planned("engine", CHANGED, "in place", details)


def _of_listener(one: Listener | None, other: Listener, before: Version, after: Version) -> Iterator[Planned]:
    what = f"listener {other.name}"
    binds = ", ".join(map(str, other.binds))
    if one is None:
        yield Planned(what, ADDED, f"accepts on {binds}")
    elif one != other:
        details = _details(_named(before, "listener", other.name), _named(after, "listener", other.name))
        yield Planned(what, CHANGED, "; ".join(_how_listener(one, other)), details)


def _how_listener(one: Listener, other: Listener) -> Iterator[str]:
    opened = [str(bind) for bind in other.binds if bind not in one.binds]
    closed = [str(bind) for bind in one.binds if bind not in other.binds]
    if opened:
        yield f"accepts on {', '.join(opened)}, too"
    if closed:
        yield f"accepts on {', '.join(closed)} no more"
    if (one.protocol, one.tls is None, one.transport.proxy_protocol) != (
        other.protocol,
        other.tls is None,
        other.transport.proxy_protocol,
    ):
        yield "open connections, which began otherwise, finish within limits.stop_timeout"
    else:
        yield _STAYS


def _of_pool(one: Pool | None, other: Pool, before: Version, after: Version) -> Iterator[Planned]:
    what = f"pool {other.name}"
    if one is None:
        count = len(other.servers)
        yield Planned(what, ADDED, "with 1 server" if count == 1 else f"with {count} servers")
        return
    tables = _named(before, "pool", other.name), _named(after, "pool", other.name)
    if replace(one, servers=()) != replace(other, servers=()):
        one_table, other_table = ({key: value for key, value in table.items() if key != "server"} for table in tables)
        details = _details(one_table, other_table)
        yield Planned(what, CHANGED, "in place; its servers keep their state and their connections", details)
    servers = {server.name: server for server in one.servers}
    for server in other.servers:
        yield from _of_server(servers.pop(server.name, None), server, other, tables)
    for server in servers.values():
        yield Planned(f"server {server.id}", REMOVED, _leaves(one))
    if [server.name for server in one.servers if server.name not in servers] != [
        server.name for server in other.servers if any(server.name == each.name for each in one.servers)
    ]:
        yield Planned(what, CHANGED, "its servers stand in another order")


def _of_server(one: Server | None, other: Server, pool: Pool, tables: Sequence[Mapping[str, Any]]) -> Iterator[Planned]:
    what = f"server {other.id}"
    if one is None:
        yield Planned(what, ADDED, f"at {other.address}, weight {other.weight}")
    elif one != other:
        one_table, other_table = (_of_name(table.get("server"), other.name) for table in tables)
        is_moved = (one.host, one.port) != (other.host, other.port)
        how = f"what is in flight finishes at {one.address}; its health is unknown until it is checked"
        yield Planned(what, CHANGED, how if is_moved else "in place", _details(one_table, other_table))


def _leaves(pool: Pool) -> str:
    return f"what is in flight finishes, by force after {pool.drain_timeout_s:g} s"


# -- in the words of the file ------------------------------------------------------------------------------------------


def _table(version: Version, name: str) -> Mapping[str, Any]:
    found = version.tables.get(name)
    return found if isinstance(found, dict) else {}


def _named(version: Version, kind: str, name: str) -> Mapping[str, Any]:
    return _of_name(version.tables.get(kind), name)


def _of_name(tables: object, name: str) -> Mapping[str, Any]:
    for table in tables if isinstance(tables, list) else []:
        if isinstance(table, dict) and table.get("name") == name:
            return table
    return {}


def _details(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = "") -> tuple[str, ...]:
    """Return each key that differs, with what the file had and has."""
    found: list[str] = []
    for key in dict.fromkeys([*before, *after]):
        one, other = before.get(key), after.get(key)
        if one == other:
            continue
        if isinstance(one, dict) or isinstance(other, dict):
            found += _details(
                one if isinstance(one, dict) else {}, other if isinstance(other, dict) else {}, f"{prefix}{key}."
            )
        elif key in _SECRETS:
            found.append(f"{prefix}{key}: changed")
        else:
            found.append(f"{prefix}{key}: {_shown(one)} -> {_shown(other)}")
    return tuple(found)


def _shown(value: object) -> str:
    if value is None:
        return "(not set)"
    if isinstance(value, list) and any(isinstance(each, dict) for each in value):
        return f"{len(value)} tables"
    text = "true" if value is True else "false" if value is False else str(value)
    return text if len(text) <= _LETTERS_MAX else f"{text[:_LETTERS_MAX]}..."
