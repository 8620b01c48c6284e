"""Servers that a reload has taken out, until they have finished what they had.

Responsible for their deadlines, for closing by force what is left then, and for saying once how each of them went. Knows nothing
of configurations. Invariant: a server that is back before it has gone is left alone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

import anyio

from lbapp.engine.channel import CloseServer
from lbapp.engine.scoreboard import totals
from lbapp.engine.scoreboard.segment import Segment
from lbapp.engine.supervisor.events import Events, Signal
from lbapp.engine.supervisor.running import Tell

_LOOK_INTERVAL_S: Final = 0.25


@dataclass(slots=True)
class _Departing:
    """One server; monotonic seconds."""

    name: str
    began_s: float
    timeout_s: float
    has_closed: bool = False


class Departures:
    """Every server that is on its way out, by row."""

    def __init__(self, segment: Segment, events: Events, tell: Tell) -> None:
        self._segment = segment
        self._events = events
        self._tell = tell
        self._departing: dict[int, _Departing] = {}
        self._begun = Signal()

    def begin(self, row: int, name: str, timeout_s: float) -> None:
        """See a server off that no worker gives to anybody any more."""
        self._departing[row] = _Departing(name, time.monotonic(), timeout_s)
        self._begun.fire()

    def is_back(self, row: int) -> None:
        """Leave a server alone that is served again."""
        self._departing.pop(row, None)

    async def run(self) -> None:
        """Look after all of them, until cancelled."""
        while True:
            if not self._departing:
                await self._begun.wait()
            await anyio.sleep(_LOOK_INTERVAL_S)
            for row, departing in list(self._departing.items()):
                self._look_at(row, departing)

    def _look_at(self, row: int, departing: _Departing) -> None:
        in_flight, age_s = totals.in_flight(self._segment, row), time.monotonic() - departing.began_s
        if in_flight <= 0:
            del self._departing[row]
            message = f"{departing.name} is gone, with nothing in flight after {age_s:.1f} s"
            self._events.add("server_gone", departing.name, message)
        elif age_s >= departing.timeout_s and not departing.has_closed:
            departing.has_closed = True
            self._tell(CloseServer(row))
            message = (
                f"{departing.name} still has {in_flight} in flight after {departing.timeout_s:g} s: closed by force"
            )
            self._events.add("drain_timed_out", departing.name, message)
