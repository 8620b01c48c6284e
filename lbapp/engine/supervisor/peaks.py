"""The most that pools and their servers have had in flight.

Responsible for looking at what is in flight often enough, and for whose it is. Knows nothing of what the figures are used for.

What is in flight at one moment over all workers can be seen only by who adds their cells up: peaks that each worker kept for
itself would be of different moments, and would cost every request. So the supervisor looks, every PEAK_LOOK_INTERVAL_S
(docs/performance.md has what that costs).

Invariants: what lasts longer than the interval is seen; what is only counted, and never in flight at a look, is not.
"""

from __future__ import annotations

import time
from dataclasses import astuple
from operator import add
from typing import Any

import anyio

from lbapp.engine.channel import Rows
from lbapp.engine.policy.capacity import Minute, Peak, Peaks
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.scoreboard.segment import Segment
from lbapp.engine.supervisor.running import rows_by_pool, used
from lbapp.model.limits import PEAK_LOOK_INTERVAL_S


class PeakWatch:
    """The peaks of the last hour, by pool."""

    def __init__(self, segment: Segment, rows: Rows) -> None:
        self._segment = segment
        self._servers = used(rows)[2]
        self._rows = rows_by_pool(rows)
        self._names = rows.servers
        self._of = {pool: Peaks() for pool in self._rows}

    def take_over(self, former: PeakWatch) -> None:
        """Go on with the peaks that a generation before has seen, of the pools that are there still."""
        for pool in self._of.keys() & former._of.keys():
            self._of[pool] = former._of[pool]

    def known(self) -> dict[str, Any]:
        """Return the peaks of each pool, for the engine that comes after this one: servers by their names."""
        names = {row: name for name, row in self._names.items()}
        return {
            pool: [
                [
                    each.number,
                    *astuple(each.peak),
                    {names[row]: most for row, most in each.each.items() if row in names},
                ]
                for each in peaks.known()
            ]
            for pool, peaks in self._of.items()
        }

    def know(self, known: object) -> None:
        """Go on with the peaks that an engine before, maybe of another version, has seen."""
        for pool, peaks in self._of.items():
            try:
                minutes = known[pool]  # type: ignore[index]  # whatever it is, it comes from another program
                peaks.know([self._minute(*each) for each in minutes])
            except (TypeError, ValueError, KeyError, AttributeError):
                continue  # of another version, or of a pool that was not there

    def _minute(self, number: int, in_flight: int, at_s: float, weights: list[int], most: dict[str, int]) -> Minute:
        each = {self._names[name]: int(count) for name, count in most.items() if name in self._names}
        return Minute(int(number), Peak(int(in_flight), float(at_s), tuple(map(int, weights))), each)

    def of(self, pool: str) -> Peaks:
        """Return the peaks of a pool and its servers, by their rows."""
        return self._of.get(pool, Peaks())

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            self.look(time.time())
            await anyio.sleep(PEAK_LOOK_INTERVAL_S)

    def look(self, now_s: float) -> None:
        """Look at what is in flight now (Unix seconds)."""
        layout, cells = self._segment.layout, self._segment.cells
        counts: list[int] = [0] * self._servers
        for slot in range(layout.slots):
            first = layout.in_flight(slot)
            of_slot = cells[first : first + self._servers].tolist()
            if any(of_slot):
                counts = list(map(add, counts, of_slot))
        if not any(counts):
            return
        for pool, rows in self._rows.items():
            in_flight = {row: count for row in rows if (count := counts[row]) > 0}
            if in_flight:
                self._of[pool].note(now_s, in_flight, self._weight)

    def _weight(self, row: int) -> int:
        return self._segment.cells[self._segment.layout.state(row) + at.STATE_WEIGHT]
