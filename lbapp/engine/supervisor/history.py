"""Readings of the scoreboard, now and over the last RATE_WINDOW_S.

Responsible for reading every listener, pool and server, for keeping earlier readings, and for pairing the
present one with the one that a rate is counted from. Knows nothing of names, JSON or states.

Readings are cheap when little happens: a row whose counters did not move since it was last read (twice, as a
worker counts and then adds to the histograms) is not added up again.

Invariants: a pair is never farther apart than the window and one step; what a reading holds never changes any
more.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import anyio

from lbapp.engine.channel import Rows
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.scoreboard import totals
from lbapp.engine.scoreboard.segment import Segment
from lbapp.engine.scoreboard.totals import ListenerTotals, ServerTotals
from lbapp.engine.supervisor.peaks import PeakWatch
from lbapp.engine.supervisor.running import used
from lbapp.model.limits import RATE_WINDOW_S

STEP_S: Final = 2.0  # between two readings that are kept ...
FRESH_S: Final = 1.1  # ... each of which may be so old: one is read every second for the history
LATELY_S: Final = 0.25  # with very many servers, what else is made of a reading takes that long
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything at one moment (monotonic seconds); each list is indexed by row."""

    at_s: float
    listeners: tuple[ListenerTotals, ...]
    pools: tuple[tuple[int, ...], ...]  # outcomes of exchanges that reached no server
    queue_waits: tuple[int, ...]  # of pools: histogram sums
    servers: tuple[ServerTotals, ...]


class _Rows(Generic[T]):
    """The last known total of each row, and the cells it was made from."""

    def __init__(self, rows: int, read: Callable[[int], T], look: Callable[[int], bytes]) -> None:
        self._read = read
        self._look = look
        self._seen: list[bytes | None] = [None] * rows
        self._totals: list[T | None] = [None] * rows
        self._is_settled = [False] * rows

    def read(self) -> tuple[T, ...]:
        return tuple(self._row(row) for row in range(len(self._seen)))

    def _row(self, row: int) -> T:
        seen, known = self._look(row), self._totals[row]
        is_same = seen == self._seen[row]
        if is_same and self._is_settled[row] and known is not None:
            return known
        self._is_settled[row] = is_same
        self._seen[row] = seen
        fresh = self._totals[row] = self._read(row)
        return fresh


class History:
    """Readings of one segment. `now` is read when asked for; the earlier ones by `run`, and `peaks` by its own."""

    def __init__(self, segment: Segment, rows: Rows) -> None:
        self.peaks = PeakWatch(segment, rows)
        layout, cells = segment.layout, segment.cells
        listeners, pools, servers = used(rows)
        slots = range(layout.slots)

        def look_listener(row: int) -> bytes:
            starts = [layout.listener(slot, row) for slot in slots]
            return b"".join([cells[start : start + at.LISTENER_CELLS].tobytes() for start in starts])

        def look_pool(row: int) -> bytes:
            starts = [layout.pool(slot, row) for slot in slots]
            return b"".join([cells[start : start + at.POOL_CELLS].tobytes() for start in starts])

        def read_pool(row: int) -> tuple[tuple[int, ...], int]:
            return totals.pool_outcomes(segment, row), totals.pool_totals(segment, row).queue_wait

        def look_server(row: int) -> bytes:
            starts = [layout.server(slot, row) for slot in slots]
            parts = [cells[start : start + at.SERVER_CONNECT].tobytes() for start in starts]
            return b"".join([*parts, totals.in_flight(segment, row).to_bytes(8, "little", signed=True)])

        self._listeners = _Rows(listeners, lambda row: totals.listener_totals(segment, row), look_listener)
        self._pools = _Rows(pools, read_pool, look_pool)
        self._servers = _Rows(servers, lambda row: totals.server_totals(segment, row), look_server)
        self.latest = self._read()  # the last reading, however old
        self._kept: deque[Reading] = deque([self.latest], maxlen=int(RATE_WINDOW_S / STEP_S) + 1)

    def take_over(self, former: History) -> None:
        """Go on with the readings of a generation before. What was not there then, had counted nothing."""
        now = self.now()
        self.peaks.take_over(former.peaks)
        self._kept = deque([as_long_as(now, each) for each in former._kept], maxlen=self._kept.maxlen)

    def now(self) -> Reading:
        """Read everything."""
        self.latest = self._read()
        return self.latest

    def _read(self) -> Reading:
        at_s, listeners, pools = time.monotonic(), self._listeners.read(), self._pools.read()
        unserved, waits = tuple(pool[0] for pool in pools), tuple(pool[1] for pool in pools)
        return Reading(at_s, listeners, unserved, waits, self._servers.read())

    def lately(self) -> Reading:
        """Return a reading that is at most LATELY_S old: of those who look at the same moment, one reads."""
        return self.latest if time.monotonic() - self.latest.at_s < LATELY_S else self.now()

    def earlier(self) -> Reading:
        """Return the reading that rates are counted from: about RATE_WINDOW_S old, or the engine's first."""
        return self._kept[0]

    async def run(self) -> None:
        """Keep a reading every STEP_S, until cancelled."""
        while True:
            await anyio.sleep(STEP_S)
            is_fresh = time.monotonic() - self.latest.at_s < FRESH_S  # with very many servers another one has its price
            self._kept.append(self.latest if is_fresh else self.now())


def as_long_as(now: Reading, before: Reading) -> Reading:
    """Return an earlier reading with a row for each that there is now: of rows that are new, what they begin with."""
    return Reading(
        before.at_s,
        before.listeners + now.listeners[len(before.listeners) :],
        before.pools + now.pools[len(before.pools) :],
        before.queue_waits + now.queue_waits[len(before.queue_waits) :],
        before.servers + now.servers[len(before.servers) :],
    )
