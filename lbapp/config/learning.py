"""Algorithms that learn from how fast servers are, and what their pools' listeners let them learn from.

Responsible for refusing a pool whose algorithm would learn two different things as one: from http listeners how long answers
take, from tcp listeners how long it takes to connect. Knows nothing of files, lines or of how an algorithm learns.

Invariant: whatever algorithm learns, all that it learns is of one kind, also while a pool takes over from another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from lbapp.config.lines import Path as KeyPath
from lbapp.config.lines import Placed, tables_in
from lbapp.model.entities import AlgorithmName, Protocol

_LEARNING: Final = [each.value for each in AlgorithmName if each.learns]


def learning_rules(pools: Iterable[Placed], listeners: Iterable[Placed]) -> Iterator[tuple[KeyPath, str]]:
    """Yield the pools whose algorithm learns and that serve listeners of both protocols. Works on data of any shape."""
    pools = list(pools)
    takes_over = {str(pool.get("name")): str(pool["failover"]) for _, pool in pools if pool.get("failover")}
    served: dict[str, dict[str, str]] = {}  # by pool and protocol: a listener
    for _, listener in listeners:
        protocol = listener.get("protocol", Protocol.HTTP.value)
        for name in _with_those_that_take_over(_named_by(listener), takes_over):
            served.setdefault(name, {}).setdefault(str(protocol), str(listener.get("name")))
    for path, pool in pools:
        found, algorithm = served.get(str(pool.get("name")), {}), pool.get("algorithm")
        http, tcp = found.get(Protocol.HTTP.value), found.get(Protocol.TCP.value)
        if algorithm in _LEARNING and http is not None and tcp is not None:
            yield (
                (*path, "algorithm"),
                f"listener {http} speaks http and listener {tcp} tcp: {algorithm} would take the time to connect for that of "
                "an answer; give each a pool of its own, or choose another algorithm",
            )


def _named_by(listener: dict[str, Any]) -> Iterator[str]:
    """Yield the pools that a listener names: its own, and those of its routes and of their splits."""
    for path, table in (((), listener), *tables_in(listener, (), "route")):
        for _, named in ((path, table), *tables_in(table, path, "split")):
            if isinstance(named.get("pool"), str):
                yield named["pool"]


def _with_those_that_take_over(names: Iterable[str], takes_over: dict[str, str]) -> set[str]:
    found: set[str] = set()
    for name in names:
        wanted: str | None = name
        while wanted is not None and wanted not in found:
            found.add(wanted)
            wanted = takes_over.get(wanted)
    return found
