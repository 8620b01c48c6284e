"""The drain of the node, step by step: records, clients, routes, what is left.

Responsible for its steps and its deadline, for having workers ask clients to leave and close by force what is left then, for what
is still open, and for the engine's end where that was asked for. Who takes records out and makes routes worse follows the steps.

Invariants: what is open is closed by force at most once in a drain; a drain that is cancelled leaves nothing behind, at any step;
without reports of routes and records it asks clients to leave at once.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final

import anyio

from lbapp.control.messages import NodeDrainStatus
from lbapp.engine.channel import CutOff, SendAway
from lbapp.engine.policy.drain import DrainPhase, Sample, drain_progress, predicted_finish_s
from lbapp.engine.policy.node_steps import Leaving, Step, Waiting, next_step, waits_for
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.scoreboard.segment import Segment
from lbapp.engine.supervisor.events import Events, Signal
from lbapp.engine.supervisor.reports import Reports
from lbapp.engine.supervisor.running import Tell
from lbapp.model.limits import DRAIN_STEP_TIMEOUT_S

NODE: Final = "node"
_LOOK_INTERVAL_S: Final = 0.2
_SAMPLES_MAX: Final = 150  # looks that a prediction is made from: half a minute
_BEFORE: Final = (Step.DNS, Step.CLIENTS, Step.ROUTES)


def _go_on() -> None:
    """Leave the engine as it is."""


class NodeDrain:
    """Whether the node drains, and how far it is. `reports`: of its routes and records; `stop`: ends the engine."""

    def __init__(self, segment: Segment, events: Events, tell: Tell) -> None:
        self.reports = Reports()
        self.stop: Callable[[], None] = _go_on
        self._segment = segment
        self._events = events
        self._tell = tell
        self._begun = Signal()
        self._samples: deque[Sample] = deque(maxlen=_SAMPLES_MAX)
        self.is_on = False
        self.then_stop = False
        self._step = Step.DNS
        self._waiting: Waiting | None = None
        # Unix seconds: when it began, and its step. Monotonic: when its step began, and when clients were asked to leave.
        self._since = self._step_since = self._step_began_s = self._asked_s = self._timeout_s = 0.0
        self._has_drained = self._has_closed = False

    @property
    def is_sending_away(self) -> bool:
        """Say whether clients are asked to leave by now."""
        return self.is_on and self._step is not Step.DNS

    def begin(self, timeout_s: float, *, then_stop: bool = False) -> None:
        """Begin with the first step, or give the drain under way another timeout, counted from now.

        `timeout_s`: from when clients are asked to leave. `then_stop`: end the engine when it is over.
        """
        self._timeout_s, self.then_stop = timeout_s, then_stop
        self._has_drained = self._has_closed = False
        self._samples.clear()
        if not self.is_on:
            self.is_on, self._since = True, time.time()
            self._enter(Step.DNS)
        elif self._step is Step.DRAINED:
            self._enter(Step.SERVING)
        self._asked_s = time.monotonic()
        self._advance()
        self._begun.fire()

    def cancel(self) -> None:
        """Ask nobody to leave any more."""
        if self.is_on:
            if self.is_sending_away:
                self._tell(SendAway(is_on=False))
            self.is_on = False

    def status(self) -> NodeDrainStatus | None:
        """Return how far it is; None while the node does not drain."""
        if not self.is_on:
            return None
        connections, in_flight = self.open()
        now_s = time.monotonic()
        remaining_s = self._timeout_s if self._step is Step.DNS else max(0.0, self._asked_s + self._timeout_s - now_s)
        is_before = self._step in _BEFORE
        progress = drain_progress(self._asked_s, self._timeout_s, connections, now_s)
        finish_s = predicted_finish_s(self._samples, remaining_s) if connections else 0.0
        waiting, announce = self._waiting, self.reports.announce()
        return {
            "phase": "draining" if is_before else progress.phase.value,
            "since": self._since,
            "timeout_s": self._timeout_s,
            "remaining_s": round(remaining_s, 3),
            "connections": connections,
            "in_flight": in_flight,
            "finish_s": None if finish_s is None else round(finish_s, 1),
            "step": self._step.value,
            "step_since": self._step_since,
            "step_until": None if waiting is None else round(time.time() + waiting.left_s, 1),
            "step_why": "" if waiting is None else waiting.why,
            "then_stop": self.then_stop,
            "ecmp": None if announce is None else announce["ecmp"],
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
        connections, _ = self.open()
        self._samples.append((time.monotonic(), connections))
        self._advance()
        if self._step in _BEFORE:
            return
        progress = drain_progress(self._asked_s, self._timeout_s, connections, time.monotonic())
        if progress.phase is DrainPhase.DRAINED and not self._has_drained:
            self._has_drained = True
            self._enter(Step.DRAINED)
            took_s = time.time() - self._since
            self._end(f"no client is connected any more after {max(0.0, took_s):.1f} s", "node_drained")
        elif progress.phase is DrainPhase.OVERDUE and not self._has_closed:
            self._has_closed = True
            self._tell(CutOff())
            message = f"{connections} clients are still connected after {self._timeout_s:g} s: closed by force"
            self._end(message, "drain_timed_out")

    def _end(self, message: str, kind: str) -> None:
        told = "; the engine stops now, as was asked for" if self.then_stop else ""
        self._events.add(kind, NODE, message + told)
        if self.then_stop:
            self.then_stop = False
            self.stop()

    # -- steps -------------------------------------------------------------------------------------------------------

    def _enter(self, step: Step) -> None:
        self._step, self._waiting = step, None
        self._step_since, self._step_began_s = time.time(), time.monotonic()
        if step is Step.CLIENTS:
            self._asked_s = self._step_began_s
            self._tell(SendAway(is_on=True))

    def _advance(self) -> None:
        """Go on to the step that waits for something, or to what is left."""
        while self._step in _BEFORE:
            in_step_s = time.monotonic() - self._step_began_s
            records, routes = self.reports.records(time.time()), self.reports.routes()
            leaving = Leaving(self._step, in_step_s, self._timeout_s, self.open()[0], records, routes)
            found = waits_for(leaving, DRAIN_STEP_TIMEOUT_S)
            if found is not None and not found.is_given_up:
                if self._waiting is None:
                    self._events.add("node_drain_waits", NODE, found.why)
                self._waiting = found
                return
            if found is not None:
                message = f"{found.why}, and has not within {in_step_s:.0f} s: the drain goes on without"
                self._events.add("node_drain_step_given_up", NODE, message)
            self._enter(next_step(self._step))

    def open(self) -> tuple[int, int]:
        """Return how many clients are connected, and how many exchanges and tunnels of theirs are under way."""
        cells, layout = self._segment.cells, self._segment.layout
        starts = [layout.listener(slot, row) for slot in range(layout.slots) for row in range(layout.listeners)]
        connections = sum(cells[start + at.LISTENER_CONNECTIONS] for start in starts)
        return connections, sum(cells[start + at.LISTENER_IN_FLIGHT] for start in starts)
