"""Counting: the only place of a worker that writes counters.

Responsible for the worker's own cells of the scoreboard. Knows nothing of sockets or decisions. Offsets into the shared
memory are worked out once per listener, pool and server, so that counting is one addition to one cell.

Invariants: only the worker in the slot writes its cells; every exchange is recorded with exactly one outcome; what is
added to a gauge is taken off again by the same object.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import add

from lbapp.engine.scoreboard import layout as at
from lbapp.engine.scoreboard.segment import Segment
from lbapp.model.histogram import BUCKETS, SUB_BUCKETS, VALUE_US_MAX
from lbapp.model.outcomes import FailureKind, Outcome


def count_latency(cells: memoryview[int], histogram: int, value_us: int) -> None:
    """Add one latency to the histogram that starts at cell `histogram` (model.histogram.bucket_of, spelled out)."""
    if value_us < SUB_BUCKETS:
        cells[histogram + (value_us if value_us > 0 else 0)] += 1
    elif value_us > VALUE_US_MAX:
        cells[histogram + BUCKETS - 1] += 1
    else:
        shift = value_us.bit_length() - 5
        cells[histogram + (shift << 4) + (value_us >> shift)] += 1


class ListenerCells:
    """The cells of one listener in this worker's slot."""

    __slots__ = ("base", "cells", "responses", "total")

    def __init__(self, segment: Segment, slot: int, listener: int) -> None:
        self.cells = segment.cells
        self.base = segment.layout.listener(slot, listener)
        self.responses = self.base + at.LISTENER_RESPONSES - 1
        self.total = self.base + at.LISTENER_TOTAL

    def connection_opened(self) -> None:
        """Count a downstream connection as open."""
        self.cells[self.base + at.LISTENER_CONNECTIONS] += 1
        self.cells[self.base + at.LISTENER_CONNECTIONS_TOTAL] += 1

    def connection_closed(self) -> None:
        """Undo the gauge of `connection_opened`."""
        self.cells[self.base + at.LISTENER_CONNECTIONS] -= 1

    def exchange_refused(self, outcome: Outcome, status: int) -> None:
        """Count an exchange that lbapp answered itself, or that ended before a server was chosen."""
        cells = self.cells
        cells[self.base + at.LISTENER_REQUESTS] += 1
        cells[self.base + at.LISTENER_OUTCOMES + outcome] += 1
        if status:
            cells[self.responses + status // 100] += 1


class PoolCells:
    """The cells of one pool in this worker's slot."""

    __slots__ = ("base", "cells", "version")

    def __init__(self, segment: Segment, slot: int, pool: int) -> None:
        self.cells = segment.cells
        self.base = segment.layout.pool(slot, pool) + at.POOL_OUTCOMES
        self.version = segment.layout.pool_version(pool)

    def count_outcome(self, outcome: Outcome) -> None:
        """Count an exchange that reached none of the pool's servers."""
        self.cells[self.base + outcome] += 1


class ServerCells:
    """The cells of one server in this worker's slot, and its state as the supervisor wrote it."""

    __slots__ = (
        "base",
        "cells",
        "connect",
        "first_byte",
        "in_flight",
        "index",
        "responses",
        "state",
        "total",
    )

    def __init__(self, segment: Segment, slot: int, server: int) -> None:
        self.cells = segment.cells
        self.index = server
        self.base = segment.layout.server(slot, server)
        self.responses = self.base + at.SERVER_RESPONSES - 1
        self.connect = self.base + at.SERVER_CONNECT
        self.first_byte = self.base + at.SERVER_FIRST_BYTE
        self.total = self.base + at.SERVER_TOTAL
        self.in_flight = segment.layout.in_flight(slot) + server
        self.state = segment.layout.state(server)

    def count_failure(self, kind: FailureKind) -> None:
        """Count a failed attempt."""
        self.cells[self.base + at.SERVER_FAILURES + kind] += 1

    def count_outcome(self, outcome: Outcome) -> None:
        """Count how an exchange ended whose last attempt was at this server."""
        self.cells[self.base + at.SERVER_OUTCOMES + outcome] += 1

    def add(self, counter: int, amount: int) -> None:
        """Add to a counter or gauge named in scoreboard.layout."""
        self.cells[self.base + counter] += amount


class InFlightReader:
    """What is in flight at each server, over all workers of the node."""

    def __init__(self, segment: Segment) -> None:
        layout = segment.layout
        self._cells = segment.cells
        self._rows = [layout.in_flight(slot) for slot in range(layout.slots)]
        self._servers = layout.servers

    def in_flight(self, indexes: Sequence[int]) -> list[int]:
        """Return the counts for the servers at `indexes` (rows of the scoreboard), in the same order."""
        cells, width = self._cells, self._servers
        first, last = (indexes[0], indexes[-1] + 1) if indexes else (0, 0)
        if last - first == len(indexes):  # a pool's servers lie side by side: add whole rows
            rows = [cells[row + first : row + last].tolist() for row in self._rows]
            total = rows[0]
            for row_counts in rows[1:]:
                total = list(map(add, total, row_counts))
            return total
        counts = [0] * width
        for row in self._rows:
            counts = list(map(add, counts, cells[row : row + width].tolist()))
        return [counts[index] for index in indexes]
