"""The rules that span tables: names that are unique, pools that exist, addresses taken once.

Responsible for what no table can know of itself. Works on the data as TOML gives it, whatever is wrong with it, so that
these problems are found in the same run as the schema's. Knows nothing of files or lines, and leaves wrong types to the schema.

Invariant: data of any shape has an answer; one mistake is named by the schema or here, not by both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from lbapp.config import values
from lbapp.config.access_log import access_log_rules
from lbapp.config.admission import admission_rules
from lbapp.config.capacity import capacity_rules
from lbapp.config.discovery import discover_rules
from lbapp.config.hashing import hash_rules
from lbapp.config.health import health_rules
from lbapp.config.learning import learning_rules
from lbapp.config.lines import Path, Placed, tables_in
from lbapp.config.metrics import metrics_rules
from lbapp.config.passive import passive_rules
from lbapp.config.persistence import persistence_rules
from lbapp.config.readiness import pools_named
from lbapp.config.route_rules import route_rules
from lbapp.config.sentences import Found, suggestion
from lbapp.config.tls import listener_tls_rules, pool_tls_rules, sni_rules
from lbapp.config.tracing import tracing_rules
from lbapp.config.transport import binds_of, dual_stack_rules, listener_rules, pool_rules
from lbapp.model.entities import Protocol

_Table = dict[str, Any]


def rules(data: _Table) -> Iterator[Found]:
    """Yield the key path and the sentence of everything that does not hold between tables."""
    listeners, pools = list(tables_in(data, (), "listener")), list(tables_in(data, (), "pool"))
    if data.get("listener", []) == []:
        yield ("listener",), "there is no listener; allowed: one or more, each under [[listener]]"
    yield from access_log_rules(data.get("access_log"))
    yield from _unique_names(listeners)
    yield from _unique_names(pools)
    for path, pool in pools:
        yield from _unique_names(tables_in(pool, path, "server"))
        yield from pool_rules(path, pool)
        yield from pool_tls_rules(path, pool)
        yield from health_rules(path, pool)
        yield from passive_rules(path, pool)
        yield from discover_rules(path, pool)
    yield from _binds_taken_once(listeners)
    binds = {each for _, table in listeners for each in binds_of(table)}
    yield from metrics_rules(data.get("metrics"), binds)
    tcp_pools = {
        str(table.get("pool")): str(table.get("name"))
        for _, table in listeners
        if table.get("protocol") == Protocol.TCP.value
    }
    yield from persistence_rules(pools, tcp_pools)
    yield from capacity_rules(pools)
    yield from hash_rules(pools, tcp_pools)
    yield from learning_rules(pools, listeners)
    names = [pool["name"] for _, pool in pools if isinstance(pool.get("name"), str)]
    for where, name in pools_named(data.get("readiness")):
        yield from _known_pool(where, name, names)
    for path, pool in pools:
        yield from _known_pool((*path, "failover"), pool.get("failover"), names)
    for path, listener in listeners:
        yield from _where_traffic_goes(path, listener, names)
        yield from listener_rules(path, listener)
        yield from listener_tls_rules(path, listener)
        yield from dual_stack_rules(path, listener, binds)
        yield from tracing_rules(path, listener)
        yield from admission_rules(path, listener, data.get("limits"))


def _unique_names(placed: Iterable[Placed]) -> Iterator[Found]:
    seen: dict[str, Path] = {}
    for path, table in placed:
        name = table.get("name")
        if not isinstance(name, str):
            continue
        if name in seen:
            yield (
                (*path, "name"),
                f"the name {values.quoted(name)} is taken already by {dotted(seen[name])}; choose another",
            )
        seen.setdefault(name, path)


def _binds_taken_once(listeners: Iterable[Placed]) -> Iterator[Found]:
    seen: dict[str, str] = {}
    for path, listener in listeners:
        value = listener.get("bind")
        is_list = isinstance(value, list)
        for at, text in enumerate(value if isinstance(value, list) else [value]):
            try:
                bind = values.bind(text)
            except ValueError:
                continue
            if str(bind) in seen and (bind.port or bind.path):
                here = (*path, "bind", at) if is_list else (*path, "bind")
                yield here, f"{bind} is taken by listener {seen[str(bind)]} already; choose another"
            seen.setdefault(str(bind), str(listener.get("name", dotted(path))))


def _where_traffic_goes(path: Path, listener: _Table, pools: list[str]) -> Iterator[Found]:
    is_tcp = listener.get("protocol") == Protocol.TCP.value
    if "pool" in listener:
        yield from _known_pool((*path, "pool"), listener["pool"], pools)
    elif not listener.get("route"):
        yield path, "the listener has no pool; name one, or give it routes"
    if is_tcp:
        yield from _http_only(path, listener)
    for route_path, route in tables_in(listener, path, "route"):
        yield from route_rules(route_path, route)
        yield from sni_rules(route_path, listener, route)
        if "pool" in route:
            yield from _known_pool((*route_path, "pool"), route["pool"], pools)
        for share_path, share in tables_in(route, route_path, "split"):
            yield from _known_pool((*share_path, "pool"), share.get("pool"), pools)


def _http_only(path: Path, listener: _Table) -> Iterator[Found]:
    for key in ("request_headers", "response_headers", "hsts", "forwarding", "tracing"):
        if key in listener:
            yield (*path, key), f"a tcp listener has no {key}; remove the table"


def _known_pool(path: Path, name: object, pools: list[str]) -> Iterator[Found]:
    if isinstance(name, str) and name not in pools:
        yield path, f"there is no pool {values.quoted(name)}; {suggestion(name, pools, 'defined')}"


def dotted(path: Path) -> str:
    """Return a key path as it is shown, such as `pool[0].server[1].weight`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f"{'.' if text else ''}{part if values.is_bare_key(part) else values.quoted(part)}"
    return text
