"""Plans: what a change of servers is going to do to their pools, and whether that is to be asked first.

Responsible for putting states and figures into a prediction, and for refusing what leaves a pool without servers. Knows nothing
of how a change is made or recorded. Invariant: what is refused here has changed nothing, and says with which figure.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from lbapp.control.changes import PlannedShare, PoolPlan
from lbapp.engine.policy.agent import weight_of
from lbapp.engine.policy.eligibility import Candidate, eligible
from lbapp.engine.policy.preview import Member, Prediction, predict
from lbapp.engine.supervisor.reading import StatusReader
from lbapp.engine.supervisor.state import ServerState, ServerStates
from lbapp.model.entities import Pool
from lbapp.model.errors import RequestRefused
from lbapp.model.states import WEIGHT_MAX, AdminState


class Guard:
    """Looks at changes before they are made."""

    def __init__(self, states: ServerStates, reader: StatusReader) -> None:
        self._states = states
        self._reader = reader

    def plan(self, servers: Collection[ServerState], admin: AdminState | None, weight: int | None) -> list[PoolPlan]:
        """Return what becomes of each pool that one of the servers is in, if they are changed like that."""
        pools = {state.pool.name: state.pool for state in servers}
        rows = {state.row for state in servers}
        return [self._plan(pool, rows, admin, weight) for pool in pools.values()]

    def _plan(self, pool: Pool, rows: Collection[int], admin: AdminState | None, weight: int | None) -> PoolPlan:
        members = self._states.members(pool)
        before = [_member(state) for state in members]
        after = [_changed(state, admin, weight) if state.row in rows else _member(state) for state in members]
        found = predict(pool, before, after)
        return {
            "pool": pool.name,
            "requests_per_s": self._reader.pool(pool)["requests_per_s"],
            "eligible_before": sum(share > 0 for share in found.before),
            "eligible_after": sum(share > 0 for share in found.after),
            "leaves_nobody": found.leaves_nobody,
            "failover": pool.capacity.failover,
            "keys_moved": found.keys_moved,
            "shares": _shares(members, found),
        }

    def check(self, servers: Collection[ServerState], admin: AdminState | None, weight: int | None) -> None:
        """Refuse what takes the last server of a pool away. Raises RequestRefused 409 leaves_nobody."""
        rows = {state.row for state in servers}
        pools = {state.pool.name: state.pool for state in servers}
        bad = [pool for pool in pools.values() if self._leaves_nobody(pool, rows, admin, weight)]
        if bad:
            told = "; ".join(_told(self._plan(pool, rows, admin, weight)) for pool in bad)
            raise RequestRefused(
                "leaves_nobody", told, "Repeat it with --force if that is meant; nothing was changed", 409
            )

    def _leaves_nobody(self, pool: Pool, rows: Collection[int], admin: AdminState | None, weight: int | None) -> bool:
        members = self._states.members(pool)
        before = [_member(state).candidate for state in members]
        after = [
            (_changed(state, admin, weight) if state.row in rows else _member(state)).candidate for state in members
        ]
        percent = pool.passive.panic_percent
        return any(eligible(before, percent).chosen) and not any(eligible(after, percent).chosen)


def _told(plan: PoolPlan) -> str:
    figures = f"{plan['eligible_before']} now, {plan['requests_per_s']:.0f} requests/s"
    instead = f"; pool {plan['failover']} would take over" if plan["failover"] else ""
    return f"pool {plan['pool']} would have no server for new clients: {figures}{instead}"


def _member(state: ServerState) -> Member:
    candidate = Candidate(state.is_wanted, state.is_healthy, state.server.is_backup)
    return Member(state.server.id, candidate, state.weight_for_workers)


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
