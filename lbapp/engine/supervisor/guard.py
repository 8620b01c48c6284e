"""Plans: what a change of servers is going to do to their pools, and whether that is to be asked first.

Responsible for putting states and figures into a prediction, and for refusing what leaves a pool without servers. Knows nothing
of how a change is made or recorded. Invariant: what is refused here has changed nothing, and says with which figure.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from anyio import to_thread

from lbapp.control.changes import PlannedShare, PoolPlan
from lbapp.engine.policy.agent import weight_of
from lbapp.engine.policy.capacity import Left, too_little
from lbapp.engine.policy.eligibility import Candidate
from lbapp.engine.policy.preview import Member, Prediction, part_of, parts, predict
from lbapp.engine.supervisor.reading import StatusReader
from lbapp.engine.supervisor.server_state import ServerState, admin_of
from lbapp.engine.supervisor.state import ServerStates
from lbapp.model.entities import Pool
from lbapp.model.errors import RequestRefused
from lbapp.model.journal import Change, Setting
from lbapp.model.states import WEIGHT_MAX, AdminState


@dataclass(frozen=True, slots=True)
class Becoming:
    """What a server is going to be; None: that stays."""

    state: ServerState
    admin: AdminState | None
    weight: int | None


def becoming(changes: Iterable[Change], by_id: Mapping[str, ServerState]) -> list[Becoming]:
    """Return what changes make of servers, each once; those of pools and of the node are not the guard's."""
    found: dict[str, Becoming] = {}
    for change in changes:
        if change.on in by_id:
            known = found.get(change.on) or Becoming(by_id[change.on], None, None)
            if change.setting is Setting.WEIGHT:
                found[change.on] = replace(known, weight=int(change.after))
            else:
                found[change.on] = replace(known, admin=admin_of(str(change.after))[0])
    return list(found.values())


@dataclass(frozen=True, slots=True)
class _Outlook:
    """The servers of a pool before and after a change, in one order; of which the change is; and their parts of new clients."""

    pool: Pool
    states: Sequence[ServerState]
    is_changed: list[bool]
    before: list[Member]
    after: list[Member]
    parts_before: list[int]
    parts_after: list[int]

    @property
    def is_nobody_left(self) -> bool:
        return any(self.parts_before) and not any(self.parts_after)

    @property
    def is_taking_away(self) -> bool:
        """Whether a server that is changed gets less than before: what gives is never too little."""
        compared = zip(self.is_changed, self.parts_before, self.parts_after, strict=True)
        return any(is_changed and after < before for is_changed, before, after in compared)


class Guard:
    """Looks at changes before they are made. A change is given whole: all servers of all pools that it is about, each once."""

    def __init__(self, states: ServerStates, reader: StatusReader) -> None:
        self._states = states
        self._reader = reader

    async def plan(self, change: Sequence[Becoming]) -> list[PoolPlan]:
        """Return what becomes of each pool that one of the servers is in."""
        return [await self._plan(outlook) for outlook in self._outlooks(change)]

    async def _plan(self, outlook: _Outlook) -> PoolPlan:
        pool, now_s = outlook.pool, time.time()
        # Where thousands of keys go takes seconds with a thousand servers.
        found = await to_thread.run_sync(predict, pool, outlook.before, outlook.after)
        peak = self._reader.history.peaks.of(pool.name).peak(now_s)
        return {
            "pool": pool.name,
            "requests_per_s": self._reader.pool(pool)["requests_per_s"],
            "eligible_before": sum(share > 0 for share in found.before),
            "eligible_after": sum(share > 0 for share in found.after),
            "leaves_nobody": found.leaves_nobody,
            "failover": pool.capacity.failover,
            "peak_in_flight": peak.in_flight,
            "peak_at": peak.at_s if peak.in_flight else None,
            "too_little": self._too_little(outlook, now_s),
            "keys_moved": found.keys_moved,
            "shares": _shares(outlook.states, found),
        }

    def check(self, change: Sequence[Becoming]) -> None:
        """Refuse what leaves a pool without servers, or with too few for its peak.

        Raises RequestRefused 409 leaves_nobody, too_little_capacity.
        """
        outlooks, now_s = self._outlooks(change), time.time()
        told = [self._told(outlook) for outlook in outlooks if outlook.is_nobody_left]
        hint = "Repeat it with --force if that is meant; nothing was changed"
        if told:
            raise RequestRefused("leaves_nobody", "; ".join(told), hint, 409)
        told = [f"pool {each.pool.name}: {why}" for each in outlooks if (why := self._too_little(each, now_s))]
        if told:
            raise RequestRefused("too_little_capacity", "; ".join(told), hint, 409)

    def _outlooks(self, change: Sequence[Becoming]) -> list[_Outlook]:
        changed = {each.state.row: each for each in change}
        pools = {each.state.pool.name: each.state.pool for each in change}
        return [self._outlook(pool, changed) for pool in pools.values()]

    def _outlook(self, pool: Pool, changed: Mapping[int, Becoming]) -> _Outlook:
        states = self._states.members(pool)
        before = [_member(state) for state in states]
        after = [_to_be(changed.get(state.row, Becoming(state, None, None))) for state in states]
        is_changed = [state.row in changed for state in states]
        return _Outlook(pool, states, is_changed, before, after, parts(pool, before), parts(pool, after))

    def _too_little(self, outlook: _Outlook, now_s: float) -> str:
        """Return why the servers that are left cannot carry the pool's peak; empty: they can, or it takes nothing away."""
        if not outlook.is_taking_away:
            return ""
        peaks = self._reader.history.peaks.of(outlook.pool.name)
        peak = peaks.peak(now_s)
        left = [
            Left(state.server.id, part, state.connections_max, peaks.of(state.row, now_s))
            for state, part in zip(outlook.states, outlook.parts_after, strict=True)
            if part
        ]
        parts_at_peak = sum(part_of(outlook.pool, weight) for weight in peak.weights)
        when = time.strftime("%H:%M", time.localtime(peak.at_s))
        return too_little(left, peak.in_flight, parts_at_peak, when)

    def _told(self, outlook: _Outlook) -> str:
        pool, count = outlook.pool, sum(part > 0 for part in outlook.parts_before)
        figures = f"{count} now, {self._reader.pool(pool)['requests_per_s']:.0f} requests/s"
        instead = f"; pool {pool.capacity.failover} would take over" if pool.capacity.failover else ""
        return f"pool {pool.name} would have no server for new clients: {figures}{instead}"


def _member(state: ServerState) -> Member:
    return Member(state.server.id, state.candidate, state.weight_for_workers)


def _to_be(becoming: Becoming) -> Member:
    """Return what a server is going to be: a weight that is on its way counts as what it is to become."""
    state = becoming.state
    wish = state.admin if becoming.admin is None else becoming.admin
    weight = state.intended_weight if becoming.weight is None else becoming.weight
    part = weight_of(weight, state.wish.percent, WEIGHT_MAX)
    is_wanted = wish is AdminState.READY and part > 0 and not state.no_new_clients and not state.is_leaving
    is_back = state.admin is AdminState.MAINT and wish is not AdminState.MAINT  # its health is forgotten then
    return Member(state.server.id, Candidate(is_wanted, state.is_healthy or is_back, state.server.is_backup), part)


def _shares(members: Sequence[ServerState], found: Prediction) -> list[PlannedShare]:
    return [
        {"server": state.server.id, "before": before, "after": after}
        for state, before, after in zip(members, found.before, found.after, strict=True)
    ]
