"""What one generation runs: the configuration as applied, its place in the scoreboard, and when it started.

Responsible for the few facts that every part of the supervisor needs and that never change within a
generation, and for the order of the scoreboard's rows (that of the file). Knows nothing of processes, sockets
or requests. Invariant: a row belongs to the same name for as long as the segment lives.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lbapp.engine.channel import Message, Rows
from lbapp.engine.scoreboard.layout import Layout
from lbapp.engine.scoreboard.segment import Segment
from lbapp.model.entities import Configuration

GENERATIONS_AT_ONCE = 2  # the slots of one serve while those of the next start

Tell = Callable[[Message], None]  # a message to every worker


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
        """Make the scoreboard that a configuration needs.

        Raises StartError when there is no memory for it.
        """
        rows = rows_of(configuration)
        layout = Layout(
            slots=configuration.engine.workers * GENERATIONS_AT_ONCE,
            listeners=len(rows.listeners),
            pools=len(rows.pools),
            servers=len(rows.servers) + sum(end - first for first, end in rows.reserved.values()),
        )
        return cls(path, configuration, rows, Segment.create(layout))


def rows_of(configuration: Configuration) -> Rows:
    """Number the listeners, pools and servers in the order of the file; behind them rows for servers that are discovered."""
    reserved, end = {}, len(configuration.servers)
    for pool in configuration.pools:
        if pool.discover is not None:
            reserved[pool.name] = (end, end := end + pool.discover.servers_max)
    return Rows(
        listeners={listener.name: row for row, listener in enumerate(configuration.listeners)},
        pools={pool.name: row for row, pool in enumerate(configuration.pools)},
        servers={server.id: row for row, server in enumerate(configuration.servers)},
        reserved=reserved,
    )
