"""Weights on their way: servers that get more or fewer clients little by little.

Responsible for taking each step when it is due, for stopping when too many requests fail, and for saying once how a ramp ended.
Knows nothing of HTTP or of who asked. Invariants: the ramps of one action end together when they are aborted, and every server
has the weight again that it had; a ramp is recorded before it begins, so that it goes on after a restart where the clock says.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import anyio

from lbapp.control.messages import RampStatus
from lbapp.engine.policy.ramp import Failures, Ramp
from lbapp.engine.scoreboard import totals
from lbapp.engine.scoreboard.segment import Segment
from lbapp.engine.supervisor.events import Events, Signal
from lbapp.engine.supervisor.server_state import ServerState
from lbapp.engine.supervisor.state import ServerStates

_LOOK_INTERVAL_S: Final = 0.25

PutBack = Callable[[Sequence[tuple[ServerState, int]], str], Awaitable[None]]


@dataclass(slots=True)
class Together:
    """The ramps of one action: it is stopped for what all of their servers do."""

    states: list[ServerState] = field(default_factory=list)
    failures: Failures = field(default_factory=Failures)


class Ramps:
    """Every ramp under way. Times are Unix seconds: they outlive the engine."""

    def __init__(self, segment: Segment, states: ServerStates, events: Events) -> None:
        self._segment = segment
        self._states = states
        self._events = events
        self._groups: list[Together] = []
        self._begun = Signal()
        self.put_back: PutBack | None = None  # writes down and makes that weights are what they were

    def begin(self, states: Sequence[ServerState], ramps: Sequence[Ramp]) -> None:
        """Have servers change their weights over time; all of them together are one thing to be aborted."""
        for state in states:
            self.cancel(state)
        group = Together(list(states))
        for state, ramp in zip(states, ramps, strict=True):
            state.ramp = ramp
            limit = (
                ""
                if ramp.abort_percent is None
                else f", unless more than {ramp.abort_percent:g} % of their requests fail"
            )
            message = f"{state.server.id} goes from weight {ramp.before} to {ramp.after} over {ramp.over_s:g} s{limit}"
            self._events.add("ramp_began", state.server.id, message, change=(ramp.before, ramp.after))
        self._groups.append(group)
        self._states.touch()
        self._begun.fire()

    def cancel(self, state: ServerState) -> None:
        """Leave a server's weight as it is now."""
        if state.ramp is None:
            return
        state.ramp = None
        self._states.touch()
        self._events.add(
            "ramp_ended", state.server.id, f"{state.server.id} stays at weight {state.weight}: its ramp was ended"
        )
        for group in self._groups:
            group.states = [each for each in group.states if each is not state]

    def take_over(self, former: Ramps) -> None:
        """Go on with the ramps of servers that are still there, and whose weight the file has not changed."""
        for group in former._groups:
            found = [(each, self._states.by_id.get(each.server.id)) for each in group.states]
            kept = [
                (state, each.ramp)
                for each, state in found
                if state is not None and each.ramp is not None and each.server.weight == state.server.weight
            ]
            for state, ramp in kept:
                state.ramp = ramp
            if kept:
                self._groups.append(replace(group, states=[state for state, _ in kept]))

    def status(self, state: ServerState) -> RampStatus | None:
        """Return how far a server's ramp is; None while it has none."""
        ramp = state.ramp
        if ramp is None:
            return None
        group = next((each for each in self._groups if state in each.states), None)
        return {
            "before": ramp.before,
            "after": ramp.after,
            "since": ramp.began_s,
            "until": ramp.began_s + ramp.over_s,
            "abort_percent": ramp.abort_percent,
            "failed_percent": None if group is None else group.failures.percent(),
        }

    async def run(self) -> None:
        """Take the steps as they are due, until cancelled."""
        while True:
            if not self._groups:
                await self._begun.wait()
            await anyio.sleep(_LOOK_INTERVAL_S)
            for group in list(self._groups):
                await self._look_at(group)
            self._groups = [group for group in self._groups if group.states]

    async def _look_at(self, group: Together) -> None:
        now_s = time.time()
        figures = [totals.server_totals(self._segment, state.row) for state in group.states]
        failed = sum(each.responses[4] + sum(each.failures) for each in figures)
        group.failures.look(now_s, sum(each.requests for each in figures), failed)
        percent = group.failures.percent()
        limits = [each.ramp.abort_percent for each in group.states if each.ramp and each.ramp.abort_percent is not None]
        if percent is not None and limits and percent > min(limits):
            await self._abort(group, percent, min(limits))
            return
        for state in list(group.states):
            self._step(group, state, now_s)

    def _step(self, group: Together, state: ServerState, now_s: float) -> None:
        ramp = state.ramp
        if ramp is None:
            group.states.remove(state)
            return
        self._states.set_weight(state, ramp.weight(now_s), None, is_step=True)
        if ramp.is_over(now_s):
            state.ramp = None
            group.states.remove(state)
            message = f"{state.server.id} has weight {ramp.after}, as it was to have after {ramp.over_s:g} s"
            self._events.add("ramp_ended", state.server.id, message, change=(ramp.before, ramp.after))

    async def _abort(self, group: Together, percent: float, limit: float) -> None:
        back = [(state, state.ramp.before) for state in group.states if state.ramp is not None]
        why = f"{percent:.1f} % of the requests failed of late, {limit:g} % are allowed"
        for state, before in back:
            message = f"{state.server.id} has weight {before} again: {why}"
            self._events.add("ramp_aborted", state.server.id, message, change=(state.weight, before))
            state.ramp = None
        group.states = []
        if self.put_back is not None:
            await self.put_back(back, f"ramp aborted: {why}")
