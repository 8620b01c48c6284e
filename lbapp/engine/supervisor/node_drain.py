"""The drain of the node: its clients are asked to go elsewhere, and it goes on serving those that come all the same.

Responsible for its deadline, for having workers ask clients to leave and close by force what is left then, and for what is
still open. Knows nothing of who takes the node out of DNS or of a network's routes. Invariant: what is open is closed by force
at most once in a drain; a drain that is cancelled leaves nothing behind.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Final

import anyio

from lbapp.control.messages import NodeDrainStatus
from lbapp.engine.channel import CutOff, SendAway
from lbapp.engine.policy.drain import DrainPhase, Sample, drain_progress, predicted_finish_s
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.scoreboard.segment import Segment
from lbapp.engine.supervisor.events import Events, Signal
from lbapp.engine.supervisor.running import Tell

NODE: Final = "node"
_LOOK_INTERVAL_S: Final = 0.2
_SAMPLES_MAX: Final = 150  # looks that a prediction is made from: half a minute


class NodeDrain:
    """Whether the node drains, and how far it is."""

    def __init__(self, segment: Segment, events: Events, tell: Tell) -> None:
        self._segment = segment
        self._events = events
        self._tell = tell
        self._begun = Signal()
        self._samples: deque[Sample] = deque(maxlen=_SAMPLES_MAX)
        self.is_on = False
        self._since = self._started_s = self._timeout_s = 0.0
        self._has_drained = self._has_closed = False

    def begin(self, timeout_s: float) -> None:
        """Ask clients to leave, or give the drain under way another timeout, counted from now."""
        self.is_on = True
        self._since, self._started_s, self._timeout_s = time.time(), time.monotonic(), timeout_s
        self._has_drained = self._has_closed = False
        self._samples.clear()
        self._tell(SendAway(is_on=True))
        self._begun.fire()

    def cancel(self) -> None:
        """Ask nobody to leave any more."""
        if self.is_on:
            self.is_on = False
            self._tell(SendAway(is_on=False))

    def status(self) -> NodeDrainStatus | None:
        """Return how far it is; None while the node does not drain."""
        if not self.is_on:
            return None
        connections, in_flight = self._open()
        progress = drain_progress(self._started_s, self._timeout_s, connections, time.monotonic())
        finish_s = predicted_finish_s(self._samples, progress.remaining_s) if connections else 0.0
        return {
            "phase": progress.phase.value,
            "since": self._since,
            "timeout_s": self._timeout_s,
            "remaining_s": round(progress.remaining_s, 3),
            "connections": connections,
            "in_flight": in_flight,
            "finish_s": None if finish_s is None else round(finish_s, 1),
        }

    async def run(self) -> None:
        """Look after it, until cancelled."""
        while True:
            if not self.is_on:
                await self._begun.wait()
            await anyio.sleep(_LOOK_INTERVAL_S)
            if self.is_on:
                self._look()

    def _look(self) -> None:
        connections, _ = self._open()
        self._samples.append((time.monotonic(), connections))
        progress = drain_progress(self._started_s, self._timeout_s, connections, time.monotonic())
        if progress.phase is DrainPhase.DRAINED and not self._has_drained:
            self._has_drained = True
            took_s = time.monotonic() - self._started_s
            self._events.add("node_drained", NODE, f"no client is connected any more after {took_s:.1f} s")
        elif progress.phase is DrainPhase.OVERDUE and not self._has_closed:
            self._has_closed = True
            self._tell(CutOff())
            message = f"{connections} clients are still connected after {self._timeout_s:g} s: closed by force"
            self._events.add("drain_timed_out", NODE, message)

    def _open(self) -> tuple[int, int]:
        cells, layout = self._segment.cells, self._segment.layout
        starts = [layout.listener(slot, row) for slot in range(layout.slots) for row in range(layout.listeners)]
        connections = sum(cells[start + at.LISTENER_CONNECTIONS] for start in starts)
        return connections, sum(cells[start + at.LISTENER_IN_FLIGHT] for start in starts)
