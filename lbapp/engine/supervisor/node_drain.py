"""The drain of the node, step by step: records, clients, routes, what is left.

Responsible for its steps and its deadline, for having workers ask clients to leave and close by force what is left then, for what
is still open, for the engine's end where that was asked for, and for where the next engine goes on. Who takes records out and
makes routes worse follows the steps.

Invariants: what is open is closed by force at most once in a drain; a drain that is cancelled leaves nothing behind, at any step;
without reports of routes and records it asks clients to leave at once.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final

import anyio
import anyio.to_thread

from lbapp.control.messages import NodeDrainStatus
from lbapp.engine.channel import CutOff, SendAway
from lbapp.engine.policy.drain import DrainPhase, Sample, drain_progress, predicted_finish_s
from lbapp.engine.policy.node_steps import Leaving, Step, Waiting, next_step, waits_for
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.scoreboard.segment import Segment
from lbapp.engine.supervisor.events import Events, Signal
from lbapp.engine.supervisor.kept_drain import KeptDrain, LeftOff, Standing, standing_of
from lbapp.engine.supervisor.reports import Reports
from lbapp.engine.supervisor.running import Tell
from lbapp.model.limits import DRAIN_STEP_TIMEOUT_S

NODE: Final = "node"
_LOOK_INTERVAL_S: Final = 0.2
_LAST_WRITE_S: Final = 2.0  # an engine that ends waits no longer for its disk
_SAMPLES_MAX: Final = 150  # looks that a prediction is made from: half a minute
_BEFORE: Final = (Step.DNS, Step.CLIENTS, Step.ROUTES)


def _go_on() -> None:
    """Leave the engine as it is."""


class NodeDrain:
    """Whether the node drains, and how far it is. `reports`: of its routes and records; `stop`: ends the engine.

    `kept`: where it is written down how far it is.
    """

    def __init__(self, segment: Segment, events: Events, tell: Tell) -> None:
        self.reports = Reports()
        self.stop: Callable[[], None] = _go_on
        self.kept = KeptDrain(None)
        self._left_off: LeftOff | None = None  # where the engine before was
        self._segment = segment
        self._events = events
        self._tell = tell
        self._begun = Signal()
        self._samples: deque[Sample] = deque(maxlen=_SAMPLES_MAX)
        self.is_on = False
        self.then_stop = False
        self._step = Step.DNS
        self._waiting: Waiting | None = None
        # Unix seconds: when it began, was wished for last, its step began, clients were asked to leave, its step is over.
        self._since = self._wished_at = self._step_since = self._asked_at = self._step_until = 0.0
        self._step_began_s = self._asked_s = self._timeout_s = 0.0  # monotonic, and how long it may take
        self._has_drained = self._has_closed = False
        self._writing = anyio.Lock()
        self._complaint = ""  # of the disk

    @property
    def is_sending_away(self) -> bool:
        """Say whether clients are asked to leave by now."""
        return self.is_on and self._step is not Step.DNS

    def begin(self, timeout_s: float, wished_at: float, *, then_stop: bool = False) -> None:
        """Begin with the first step, or give the drain under way another timeout, counted from now.

        `timeout_s`: from when clients are asked to leave. `wished_at`: of the action that wants it. `then_stop`: end the engine
        when it is over.
        """
        self._wished_at, self._timeout_s, self.then_stop = wished_at, timeout_s, then_stop
        self._has_drained = self._has_closed = False
        self._samples.clear()
        if not self.is_on:
            self.is_on, self._since = True, time.time()
            self._enter(Step.DNS)
        elif self._step is Step.DRAINED:
            self._enter(Step.SERVING)
        self._asked_s, self._asked_at = time.monotonic(), time.time()
        self._advance()
        self._begun.fire()

    def know(self, standing: object) -> None:
        """Know where the engine before was, by its `standing`, should `restore` say that the node still drains.

        Nothing, or what is not understood, leaves it to the file.
        """
        found = standing_of(standing) or self.kept.read()
        if found is not None:
            self._left_off = found["drain"]
            self.reports.know(found["reports"])

    def restore(self, timeout_s: float, wished_at: float) -> None:
        """Go on with the drain of the engine before, from where it was; from the first step where nothing is known of that.

        `timeout_s`: what is left of its time then; `wished_at`: of the action that wants it. Who takes part has their whole time
        for a step again: they could tell nobody.
        """
        left_off, now = self._left_off, time.time()
        if left_off is None or left_off["wished_at"] != wished_at:  # what is known is of what was asked for before
            self.begin(timeout_s, wished_at)
            return
        self.is_on, self._since, self._wished_at = True, left_off["since"], left_off["wished_at"]
        self.then_stop, self._timeout_s = left_off["then_stop"], left_off["timeout_s"]
        self._step = Step(left_off["step"])
        self._has_drained, self._has_closed = left_off["has_drained"], left_off["has_closed"]
        self._step_since, self._step_began_s = left_off["step_since"], time.monotonic()
        # However the clock was set meanwhile, there is no more time than was given.
        self._asked_at = left_off["asked_at"]
        self._asked_s = time.monotonic() - max(0.0, now - self._asked_at)
        if self._step is Step.CLIENTS:
            self._step_began_s = self._asked_s
        self._advance()
        self._begun.fire()

    def standing(self) -> Standing:
        """Return what the next engine is to know."""
        drain: LeftOff = {
            "step": self._step.value,
            "since": self._since,
            "wished_at": self._wished_at,
            "step_since": self._step_since,
            "asked_at": self._asked_at,
            "timeout_s": self._timeout_s,
            "then_stop": self.then_stop,
            "has_drained": self._has_drained,
            "has_closed": self._has_closed,
        }
        return {"drain": drain if self.is_on else None, "reports": self.reports.known()}

    async def end(self) -> None:
        """Leave the drain to the next engine, as this one ends because it was told to: the next has not to end for that."""
        self.then_stop = False
        with anyio.move_on_after(_LAST_WRITE_S):
            await self._write()

    async def _write(self) -> None:
        """Write down how far it is, one after the other: what is written last is what is true."""
        async with self._writing:
            try:
                await anyio.to_thread.run_sync(self.kept.write, self.standing(), abandon_on_cancel=True)
            except OSError as error:
                self._complain(f"how far the drain is cannot be kept in {self.kept.path}: {error.strerror}")
            else:
                self._complaint = ""

    def _complain(self, message: str) -> None:
        """Say once that what becomes of the engine now would have the drain begin anew."""
        if message != self._complaint:
            self._events.add("node_drain_not_kept", NODE, f"{message}; the next engine would begin with the first step")
        self._complaint = message

    def cancel(self) -> None:
        """Ask nobody to leave any more."""
        if self.is_on:
            if self.is_sending_away:
                self._tell(SendAway(is_on=False))
            self.is_on = False
            self._begun.fire()

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
            "step_until": None if waiting is None else round(self._step_until, 1),
            "step_why": "" if waiting is None else waiting.why,
            "then_stop": self.then_stop,
            "ecmp": None if announce is None else announce["ecmp"],
        }

    async def run(self) -> None:
        """Look after it, until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._keep)
            while True:
                if not self.is_on:
                    await self._begun.wait()
                await anyio.sleep(_LOOK_INTERVAL_S)
                if self.is_on:
                    self._look()

    async def _keep(self) -> None:
        """Have it written down how far it is: a disk that takes its time holds no drain up."""
        while True:
            was_on = self.is_on
            await self._write()
            if not was_on and not self.is_on:
                await self._begun.wait()
            await anyio.sleep(_LOOK_INTERVAL_S)

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
            self._asked_s, self._asked_at = self._step_began_s, self._step_since
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
                self._waiting, self._step_until = found, time.time() + found.left_s
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
