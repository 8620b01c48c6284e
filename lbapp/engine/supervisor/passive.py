"""What live traffic says of servers: failed requests have them probed or marked down, outliers are ejected.

Responsible for looking at what the workers count (`attempts`), a few times a second, and for what follows from it. Knows nothing
of criteria (policy.outlier), probes or thresholds. Nothing travels from the workers for this: all of it is in the counters that
they keep anyway.

Invariants: what was counted before the first look says nothing; a server that has not moved since the last look costs a
comparison.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

import anyio

from lbapp.engine.policy.outlier import Ejected, Outliers, Returned, Tally
from lbapp.engine.supervisor.attempts import Counted
from lbapp.engine.supervisor.checks import Checks
from lbapp.engine.supervisor.running import Running
from lbapp.engine.supervisor.server_state import ServerState
from lbapp.engine.supervisor.state import ServerStates
from lbapp.model.limits import PASSIVE_LOOK_INTERVAL_S
from lbapp.model.outcomes import FailureKind
from lbapp.model.passive import OnError
from lbapp.model.states import AdminState, HealthState

# A closed connection may have been an idle one that was used a moment too late, and a status was an answer.
_DOUBTFUL: Final = frozenset((FailureKind.UPSTREAM_CLOSED, FailureKind.RESPONSE_STATUS))


class Passive:
    """What follows from live traffic."""

    def __init__(self, running: Running, states: ServerStates, checks: Checks) -> None:
        self._segment = running.segment
        self._states = states
        self._checks = checks
        self._outliers = {
            pool.name: Outliers(pool.passive.outlier)
            for pool in running.configuration.pools
            if pool.passive.outlier is not None
        }
        self._counted: dict[int, tuple[ServerState, Counted]] = {}  # by row
        self._take_in()

    def take_over(self, former: Passive) -> None:
        """Go on with the outliers of pools that look for them as before; those of the others are let back."""
        for pool, outliers in self._outliers.items():
            before = former._outliers.get(pool)
            if before is not None and before.settings == outliers.settings:
                self._outliers[pool] = before
        for state in self._states.by_id.values():
            is_known = self._outliers.get(state.pool.name) is former._outliers.get(state.pool.name)
            if state.ejected and not is_known:
                self._states.end_ejection(state)

    def known_of(self, state: ServerState) -> dict[str, Any]:
        """Return what is known of a server's ejections, for the engine that comes after this one."""
        outliers = self._outliers.get(state.pool.name)
        if outliers is None:
            return {}
        times, left_s = outliers.known(state.server.id, time.monotonic())
        return {"ejected": state.ejected, "ejections": times, "ejected_left_s": left_s}

    def know(self, state: ServerState, known: Mapping[str, Any]) -> None:
        """Go on with the ejections that an engine before, maybe of another version, has known of."""
        outliers = self._outliers.get(state.pool.name)
        times, left_s, reason = known.get("ejections"), known.get("ejected_left_s"), known.get("ejected")
        if outliers is None or not isinstance(times, int):
            return
        is_out = isinstance(left_s, float) and isinstance(reason, str) and reason != ""
        outliers.know(state.server.id, times, left_s if is_out else None, time.monotonic())
        if is_out:
            state.ejected, state.ejected_until = str(reason), time.time() + float(left_s or 0.0)

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            self.look(time.monotonic())
            await anyio.sleep(PASSIVE_LOOK_INTERVAL_S)

    def look(self, now_s: float) -> None:
        """Look at all servers, and do what follows."""
        tallies: dict[str, dict[str, Tally]] = {name: {} for name in self._outliers}
        self._take_in()
        for state, counted in self._counted.values():
            moved = counted.moved()
            if moved is not None:
                self._react(state, moved.failures)
            if state.pool.name in tallies and _could_serve(state):
                tallies[state.pool.name][state.server.id] = Tally(0, 0) if moved is None else moved.tally
        for pool, outliers in self._outliers.items():
            self._carry_out(outliers.look(tallies[pool], now_s), now_s)

    def _take_in(self) -> None:
        """Begin with servers that are new, and forget those that are gone."""
        known, states = self._counted, self._states.by_id.values()
        if len(known) == len(states) and all(self._is_known(state) for state in states):
            return
        self._counted = {
            state.row: known[state.row] if self._is_known(state) else (state, Counted(self._segment, state.row))
            for state in states
        }

    def _is_known(self, state: ServerState) -> bool:
        return state.row in self._counted and self._counted[state.row][0] is state

    def _react(self, state: ServerState, kinds: Iterable[FailureKind]) -> None:
        on_error = state.pool.passive.on_error
        if on_error is OnError.IGNORE or state.admin is AdminState.MAINT:
            return
        failures = [kind for kind in kinds if kind is not FailureKind.RESPONSE_STATUS]
        if not failures:
            return
        certain = [kind for kind in failures if kind not in _DOUBTFUL]
        if on_error is OnError.MARK_DOWN and certain and state.health is not HealthState.DOWN:
            words = certain[0].name.lower().replace("_", " ")
            self._checks.found_down(state, f"a client's request failed: {words}")
        self._checks.probe_now(state)

    def _carry_out(self, decisions: Iterable[Ejected | Returned], now_s: float) -> None:
        for decision in decisions:
            state = self._states.by_id.get(decision.server)
            if state is None:
                continue  # it is gone
            if isinstance(decision, Ejected):
                self._states.eject(state, decision.reason, decision.until_s - now_s)
            else:
                self._states.end_ejection(state)


def _could_serve(state: ServerState) -> bool:
    """Say whether a server could get new clients if it were not ejected."""
    return state.is_wanted and state.health_for_workers is not HealthState.DOWN
