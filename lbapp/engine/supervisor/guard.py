"""Plans: what a change of servers is going to do to their pools, and whether that is to be asked first.

Responsible for putting states and figures into a prediction, and for refusing what leaves a pool without servers. Knows nothing
of how a change is made or recorded. Invariant: what is refused here has changed nothing, and says with which figure.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

from anyio import to_thread

from lbapp.control.changes import PlannedShare, PoolPlan
from lbapp.engine.policy.agent import weight_of
from lbapp.engine.policy.capacity import Left, Peaks, too_little
from lbapp.engine.policy.eligibility import Candidate, eligible
from lbapp.engine.policy.preview import Member, Prediction, predict
from lbapp.engine.supervisor.reading import StatusReader
from lbapp.engine.supervisor.server_state import ServerState
from lbapp.engine.supervisor.state import ServerStates
from lbapp.model.entities import Pool
from lbapp.model.errors import RequestRefused
from lbapp.model.states import WEIGHT_MAX, AdminState


class Guard:
    """Looks at changes before they are made."""

    def __init__(self, states: ServerStates, reader: StatusReader) -> None:
        self._states = states
        self._reader = reader

    async def plan(
        self, servers: Collection[ServerState], admin: AdminState | None, weight: int | None
    ) -> list[PoolPlan]:
        """Return what becomes of each pool that one of the servers is in, if they are changed like that."""
        rows = {state.row for state in servers}
        return [await self._plan(pool, rows, admin, weight) for pool in _pools(servers)]

    async def _plan(self, pool: Pool, rows: Collection[int], admin: AdminState | None, weight: int | None) -> PoolPlan:
        members = self._states.members(pool)
        before, after = _before_and_after(members, rows, admin, weight)
        # Where thousands of keys go takes seconds with a thousand servers.
        found = await to_thread.run_sync(predict, pool, before, after)
        return {
            "pool": pool.name,
            "requests_per_s": self._reader.pool(pool)["requests_per_s"],
            "eligible_before": sum(share > 0 for share in found.before),
            "eligible_after": sum(share > 0 for share in found.after),
            "leaves_nobody": found.leaves_nobody,
            "failover": pool.capacity.failover,
            "peak_in_flight": self._reader.history.peaks.get(pool.name, Peaks()).total(time.time()),
            "too_little": self._too_little(pool, rows, admin, weight),
            "keys_moved": found.keys_moved,
            "shares": _shares(members, found),
        }

    def check(self, servers: Collection[ServerState], admin: AdminState | None, weight: int | None) -> None:
        """Refuse what leaves a pool without servers, or with too few for its peak.

        Raises RequestRefused 409 leaves_nobody, too_little_capacity.
        """
        rows = {state.row for state in servers}
        told = [self._told(pool, count) for pool in _pools(servers) if (count := self._last(pool, rows, admin, weight))]
        hint = "Repeat it with --force if that is meant; nothing was changed"
        if told:
            raise RequestRefused("leaves_nobody", "; ".join(told), hint, 409)
        told = [
            f"pool {pool.name}: {why}"
            for pool in _pools(servers)
            if (why := self._too_little(pool, rows, admin, weight))
        ]
        if told:
            raise RequestRefused("too_little_capacity", "; ".join(told), hint, 409)

    def _last(self, pool: Pool, rows: Collection[int], admin: AdminState | None, weight: int | None) -> int:
        """Return how many servers for new clients the change takes away, if these are all that there are; else 0."""
        count, left = (
            sum(eligible([member.candidate for member in members], pool.passive.panic_percent).chosen)
            for members in _before_and_after(self._states.members(pool), rows, admin, weight)
        )
        return 0 if left else count

    def _too_little(self, pool: Pool, rows: Collection[int], admin: AdminState | None, weight: int | None) -> str:
        """Return why the servers that are left cannot carry the pool's peak; empty: they can, or it takes nothing away."""
        members = self._states.members(pool)
        before, after = _before_and_after(members, rows, admin, weight)
        chosen = [
            eligible([each.candidate for each in some], pool.passive.panic_percent).chosen for some in (before, after)
        ]
        weights = [
            sum(each.weight for each, is_in in zip(*pair, strict=True) if is_in)
            for pair in zip((before, after), chosen, strict=True)
        ]
        if weights[1] >= weights[0]:
            return ""
        peaks, now_s = self._reader.history.peaks.get(pool.name, Peaks()), time.time()
        left = [
            Left(each.weight, state.connections_max, peaks.of(str(state.row), now_s))
            for state, each, is_in in zip(members, after, chosen[1], strict=True)
            if is_in
        ]
        return too_little(left, peaks.total(now_s))

    def _told(self, pool: Pool, count: int) -> str:
        figures = f"{count} now, {self._reader.pool(pool)['requests_per_s']:.0f} requests/s"
        instead = f"; pool {pool.capacity.failover} would take over" if pool.capacity.failover else ""
        return f"pool {pool.name} would have no server for new clients: {figures}{instead}"


def _pools(servers: Collection[ServerState]) -> list[Pool]:
    return list({state.pool.name: state.pool for state in servers}.values())


def _before_and_after(
    members: Sequence[ServerState], rows: Collection[int], admin: AdminState | None, weight: int | None
) -> tuple[list[Member], list[Member]]:
    before = [_member(state) for state in members]
    return before, [_changed(state, admin, weight) if state.row in rows else _member(state) for state in members]


def _member(state: ServerState) -> Member:
    return Member(state.server.id, state.candidate, state.weight_for_workers)


def _changed(state: ServerState, admin: AdminState | None, weight: int | None) -> Member:
    wish = state.admin if admin is None else admin
    part = weight_of(state.weight if weight is None else weight, state.wish.percent, WEIGHT_MAX)
    is_wanted = wish is AdminState.READY and part > 0 and not state.no_new_clients and not state.is_leaving
    is_back = state.admin is AdminState.MAINT and wish is not AdminState.MAINT  # its health is forgotten then
    return Member(state.server.id, Candidate(is_wanted, state.is_healthy or is_back, state.server.is_backup), part)


def _shares(members: Sequence[ServerState], found: Prediction) -> list[PlannedShare]:
    return [
        {"server": state.server.id, "before": before, "after": after}
        for state, before, after in zip(members, found.before, found.after, strict=True)
    ]
