"""Weights on their way: servers that get more or fewer clients little by little.

Responsible for taking each step when it is due, for stopping when too many attempts fail, and for saying once how a ramp ended.
Knows nothing of HTTP or of how what it puts back is written down.

Invariants: the ramps of one action end together when they are aborted, and every server has the weight again that it had; a ramp
is recorded before it begins, so that it goes on after a restart where it would be; while the engine runs, a clock that is set
moves no weight: times are those of the monotonic clock.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import anyio

from lbapp.control.messages import Actor, RampStatus
from lbapp.engine.policy.ramp import Failures, Ramp
from lbapp.engine.scoreboard.segment import Segment
from lbapp.engine.supervisor.attempts import Counted
from lbapp.engine.supervisor.events import ENGINE, Events, Signal
from lbapp.engine.supervisor.server_state import ServerState
from lbapp.engine.supervisor.state import ServerStates
from lbapp.model.errors import RequestRefused
from lbapp.model.journal import RampLeft
from lbapp.model.states import HealthState

_LOOK_INTERVAL_S: Final = 0.25


@dataclass(slots=True)
class Together:
    """The ramps of one action, by its number: they are stopped for what any of their servers does.

    `fit`: the servers that were not DOWN at some look; `attempts` and `failed` of all of them since they began.
    """

    action: int
    states: list[ServerState] = field(default_factory=list)
    counted: dict[str, Counted] = field(default_factory=dict)
    fit: set[str] = field(default_factory=set)
    attempts: int = 0
    failed: int = 0
    failures: Failures = field(default_factory=Failures)

    @property
    def limit(self) -> float | None:
        """The share of failed attempts in percent at which all of them are stopped; None: they never are."""
        limits = [each.ramp.abort_percent for each in self.states if each.ramp and each.ramp.abort_percent is not None]
        return min(limits, default=None)

    def look(self, now_s: float) -> None:
        """Take into account what the workers have counted since the last look."""
        for counted in self.counted.values():
            moved = counted.moved()
            if moved is not None:
                self.attempts += moved.tally.requests
                self.failed += moved.tally.errors
        self.failures.look(now_s, self.attempts, self.failed)
        self.fit.update(state.server.id for state in self.states if state.health is not HealthState.DOWN)

    def why_not(self) -> str:
        """Return why all of them are to stop; empty: they may go on."""
        limit, percent = self.limit, self.failures.percent()
        if limit is None:
            return ""
        if percent is not None and percent > limit:
            return f"{percent:.1f} % of the attempts failed of late, {limit:g} % are allowed"
        for state in self.states:
            is_to_have_more = state.ramp is not None and state.ramp.after > state.ramp.before
            if is_to_have_more and state.health is HealthState.DOWN and state.server.id in self.fit:
                return f"{state.server.id} went down meanwhile"
        return ""


PutBack = Callable[[Together, str], Awaitable[None]]


class Ramps:
    """Every ramp under way."""

    def __init__(self, segment: Segment, states: ServerStates, events: Events) -> None:
        self._segment = segment
        self._states = states
        self._events = events
        self._groups: list[Together] = []
        self._begun = Signal()
        self.put_back: PutBack | None = None  # writes down and makes that weights are what they were, by `aborted`

    def begin(self, action: int, ramps: Sequence[tuple[ServerState, Ramp]], actor: Actor | None, reason: str) -> None:
        """Have servers change their weights over time; all those of one action are one thing to be aborted.

        `actor`: who asked for that just now; None: they go on after a restart.
        """
        for state, _ in ramps:
            self.cancel(state, actor, reason)
        group = next((each for each in self._groups if each.action == action), None)
        if group is None:
            group = Together(action)
            self._groups.append(group)
        for state, ramp in ramps:
            state.ramp = ramp
            group.states.append(state)
            group.counted[state.server.id] = Counted(self._segment, state.row)
            if actor is not None:
                self._say_begun(state, ramp, actor, reason)
        group.look(time.monotonic())
        self._states.touch()
        self._begun.fire()

    def _say_begun(self, state: ServerState, ramp: Ramp, actor: Actor, reason: str) -> None:
        percent = ramp.abort_percent
        limit = "" if percent is None else f", unless more than {percent:g} % of its attempts fail"
        message = (
            f"{state.server.id} goes from weight {ramp.before} to {ramp.after} over {ramp.over_s:g} s{limit}"
            f"{f': {reason}' if reason else ''}"
        )
        self._events.add("ramp_began", state.server.id, message, actor=actor, change=(ramp.before, ramp.after))

    def cancel(self, state: ServerState, actor: Actor | None, reason: str) -> None:
        """Leave a server's weight as it is now."""
        ramp = state.ramp
        if ramp is None:
            return
        self._forget(state)
        self._states.touch()
        message = (
            f"{state.server.id} is at weight {state.weight}: its way to {ramp.after} was ended"
            f"{f': {reason}' if reason else ''}"
        )
        self._events.add("ramp_ended", state.server.id, message, actor=actor, change=(ramp.before, state.weight))

    def left(self, state: ServerState) -> RampLeft | None:
        """Return what is left of a server's ramp, for whoever takes back what ends it; None: it has none."""
        ramp = state.ramp
        return None if ramp is None else RampLeft(round(ramp.left_s(time.monotonic()), 1), ramp.abort_percent)

    def take_over(self, former: Ramps) -> None:
        """Go on with the ramps of servers that are still there, and whose weight the file has not changed."""
        for group in former._groups:
            kept: list[ServerState] = []
            for before in group.states:
                state = self._states.by_id.get(before.server.id)
                if state is not None and before.server.weight == state.server.weight:
                    state.ramp = before.ramp
                    kept.append(state)
                    if state.row != before.row:
                        group.counted[state.server.id] = Counted(self._segment, state.row)
            group.states = kept
            group.counted = {state.server.id: group.counted[state.server.id] for state in kept}
            if kept:
                self._groups.append(group)

    def status(self, state: ServerState) -> RampStatus | None:
        """Return how far a server's ramp is; None while it has none."""
        ramp = state.ramp
        if ramp is None:
            return None
        group = next((each for each in self._groups if state in each.states), None)
        until = round(time.time() + ramp.left_s(time.monotonic()), 1)
        return {
            "before": ramp.before,
            "after": ramp.after,
            "since": until - ramp.over_s,
            "until": until,
            "abort_percent": ramp.abort_percent,
            "failed_percent": None if group is None else group.failures.percent(),
        }

    async def run(self) -> None:
        """Take the steps as they are due, until cancelled."""
        while True:
            if not self._groups:
                await self._begun.wait()
            await anyio.sleep(_LOOK_INTERVAL_S)
            await self.look(time.monotonic())

    async def look(self, now_s: float) -> None:
        """Take the steps that are due at a moment, or abort."""
        for group in list(self._groups):
            for state in [each for each in group.states if self._states.by_id.get(each.server.id) is not each]:
                self._forget(state)  # it is gone
            group.look(now_s)
            why = group.why_not()
            if why:
                await self._abort(group, why)
                continue
            for state in list(group.states):
                self._step(state, now_s)
        self._groups = [group for group in self._groups if group.states]

    def _step(self, state: ServerState, now_s: float) -> None:
        ramp = state.ramp
        assert ramp is not None
        self._states.set_weight(state, ramp.weight(now_s), None, is_step=True)
        if ramp.is_over(now_s):
            self._forget(state)
            message = f"{state.server.id} has weight {ramp.after}, as it was to have after {ramp.over_s:g} s"
            self._events.add("ramp_ended", state.server.id, message, change=(ramp.before, ramp.after))

    async def _abort(self, group: Together, why: str) -> None:
        if self.put_back is None:
            return
        try:
            await self.put_back(group, why)
        except RequestRefused:
            pass  # another generation has come, or another engine: it looks after them now

    def aborted(self, group: Together, why: str) -> None:
        """Have servers have the weights again that they had: it is written down, and nobody changes them meanwhile."""
        for state in list(group.states):
            assert state.ramp is not None
            before, now = state.ramp.before, state.weight
            self._forget(state)
            message = f"{state.server.id} gets weight {before} again: {why}"
            self._events.add("ramp_aborted", state.server.id, message, actor=ENGINE, change=(now, before))
            self._states.set_weight(state, before, ENGINE, reason=f"ramp aborted: {why}")

    def _forget(self, state: ServerState) -> None:
        state.ramp = None
        for group in self._groups:
            if state in group.states:
                group.states.remove(state)
                del group.counted[state.server.id]
