"""What one generation runs: the configuration as applied, its place in the scoreboard, and when it started.

Responsible for the few facts that every part of the supervisor needs and that never change within a
generation, and for which row of the scoreboard is whose. Knows nothing of processes, sockets or requests.
Invariant: a row belongs to the same name for as long as the segment lives, so that no counter ever goes back.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from lbapp.engine.channel import Message, Rows
from lbapp.engine.scoreboard.layout import Layout
from lbapp.engine.scoreboard.segment import Segment
from lbapp.model.entities import Configuration
from lbapp.model.limits import LISTENERS_SPARE, POOLS_SPARE, SERVERS_SPARE

GENERATIONS_AT_ONCE = 2  # the slots of one serve while those of the next start
_NOTHING = Rows({}, {}, {})

Tell = Callable[[Message], None]  # a message to every worker


class NoRoom(Exception):
    """The scoreboard has no rows for all that a configuration has: a sentence says of what."""


@dataclass(frozen=True, slots=True)
class Running:
    """The applied configuration with its rows and its segment. `started_at` is in Unix seconds."""

    path: Path
    configuration: Configuration
    rows: Rows
    segment: Segment
    generation: int = 1
    pid: int = field(default_factory=os.getpid)
    started_at: float = field(default_factory=time.time)

    @classmethod
    def create(cls, path: Path, configuration: Configuration) -> Running:
        """Make the scoreboard that a configuration needs, with rows to spare for reloads.

        Raises StartError when there is no memory for it.
        """
        rows = rows_of(configuration)
        listeners, pools, servers = used(rows)
        layout = Layout(
            slots=configuration.engine.workers * GENERATIONS_AT_ONCE,
            listeners=listeners + LISTENERS_SPARE,
            pools=pools + POOLS_SPARE,
            servers=servers + max(SERVERS_SPARE, servers),
        )
        return cls(path, configuration, rows, Segment.create(layout))

    def next(self, configuration: Configuration) -> Running:
        """Return the generation that runs another configuration, on the same scoreboard. Raises NoRoom."""
        rows, layout = rows_of(configuration, self.rows), self.segment.layout
        room = (layout.listeners, layout.pools, layout.servers)
        for what, count, most in zip(("listeners", "pools", "servers"), used(rows), room, strict=True):
            if count > most:
                raise NoRoom(f"this engine has had {count} {what} since its start, and has memory for {most}")
        return replace(self, configuration=configuration, rows=rows, generation=self.generation + 1)


def rows_of(configuration: Configuration, before: Rows = _NOTHING) -> Rows:
    """Number the listeners, pools and servers in the order of the file; behind them rows for servers that are discovered.

    What has had a row before has the same.
    """
    servers = _numbered(
        [server.id for server in configuration.servers],
        before.servers,
        _count(before.servers.values(), before.reserved),
    )
    reserved, end = dict(before.reserved), _count(servers.values(), before.reserved)
    for pool in configuration.pools:
        if pool.discover is not None:
            has = reserved.get(pool.name, ())
            more = range(end, end + max(0, pool.discover.servers_max - len(has)))
            reserved[pool.name], end = (*has, *more), end + len(more)
    return Rows(
        listeners=_numbered([listener.name for listener in configuration.listeners], before.listeners),
        pools=_numbered([pool.name for pool in configuration.pools], before.pools),
        servers=servers,
        reserved=reserved,
    )


def _numbered(names: Iterable[str], before: dict[str, int], end: int | None = None) -> dict[str, int]:
    fresh = [name for name in names if name not in before]
    first = len(before) if end is None else end
    return {**before, **{name: first + place for place, name in enumerate(fresh)}}


def _count(rows: Iterable[int], reserved: dict[str, tuple[int, ...]]) -> int:
    """Return how many rows of servers there are: one behind the last."""
    return max([*rows, *[row for each in reserved.values() for row in each]], default=-1) + 1


def used(rows: Rows) -> tuple[int, int, int]:
    """Return how many rows of listeners, pools and servers are, or were, somebody's."""
    return len(rows.listeners), len(rows.pools), _count(rows.servers.values(), rows.reserved)


def rows_by_pool(rows: Rows) -> dict[str, list[int]]:
    """Return which rows of servers are, or were, those of each pool."""
    pools: dict[str, list[int]] = {pool: [] for pool in rows.pools}
    for name, row in rows.servers.items():
        pools[name.partition("/")[0]].append(row)
    for pool, reserved in rows.reserved.items():
        pools[pool].extend(reserved)
    return pools
