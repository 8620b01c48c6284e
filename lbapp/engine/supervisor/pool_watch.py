"""Saying what becomes of a pool as a whole: its backups serve it, another pool takes over, nobody does, requests wait.

Responsible for one event at each of these changes, and for who serves a pool's requests now. Knows nothing of single servers'
health. Invariants: nothing is said while nothing changes; a queue that began is said to have ended, with how many it was, unless
the engine ends before.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from enum import Enum

import anyio

from lbapp.engine.policy.eligibility import Eligible, eligible
from lbapp.engine.policy.overload import Began, Ended, Episodes
from lbapp.engine.scoreboard.totals import PoolTotals, pool_outcomes, pool_totals
from lbapp.engine.supervisor.events import Events
from lbapp.engine.supervisor.running import Running
from lbapp.engine.supervisor.server_state import ServerState
from lbapp.engine.supervisor.state import ServerStates
from lbapp.model.entities import Pool
from lbapp.model.limits import OVERLOAD_LOOK_INTERVAL_S, OVERLOAD_QUIET_S
from lbapp.model.outcomes import Outcome


class Situation(Enum):
    """Who serves a pool's requests."""

    SERVERS = "servers"
    BACKUPS = "backups"
    PANIC = "panic"  # all of them, whatever their health
    NOBODY = "nobody"  # of the pool itself


@dataclass(slots=True)
class _Watched:
    """A pool, and what was said of it last."""

    pool: Pool
    queue: Episodes
    situation: Situation = Situation.SERVERS
    served_by: str | None = None
    waiting_since: float | None = None  # Unix seconds
    in_vain_before: int = 0


class PoolWatch:
    """What is said of pools."""

    def __init__(self, running: Running, states: ServerStates, events: Events) -> None:
        self._running = running
        self._states = states
        self._events = events
        self._found_at = states.revision
        self._known: dict[str, Eligible] = {}
        self._watched = {
            pool.name: _Watched(pool, Episodes(self.totals(pool).queued_total, OVERLOAD_QUIET_S), served_by=pool.name)
            for pool in running.configuration.pools
        }

    def take_over(self, former: PoolWatch) -> None:
        """Go on with what a generation before has said of pools."""
        self._known = {}  # the states have been taken over, too
        for name in self._watched.keys() & former._watched.keys():
            self._watched[name] = replace(former._watched[name], pool=self._watched[name].pool)

    def totals(self, pool: Pool) -> PoolTotals:
        """Return what the workers have counted of a pool."""
        return pool_totals(self._running.segment, self._running.rows.pools[pool.name])

    def eligible(self, pool: Pool) -> list[ServerState]:
        """Return the servers that may get new clients: backups only when nobody else may, all in a panic."""
        members = self._states.members(pool)
        return [member for member, is_chosen in zip(members, self._found(pool).chosen, strict=True) if is_chosen]

    def is_panic(self, pool: Pool) -> bool:
        """Say whether so few servers are available that health is ignored."""
        return self._found(pool).is_panic

    def _found(self, pool: Pool) -> Eligible:
        """Return what was found of a pool's servers; it stays as long as none of any pool changes."""
        if self._found_at != self._states.revision:
            self._found_at, self._known = self._states.revision, {}
        if pool.name not in self._known:
            members = self._states.members(pool)
            self._known[pool.name] = eligible([each.candidate for each in members], pool.passive.panic_percent)
        return self._known[pool.name]

    def situation(self, pool: Pool) -> Situation:
        """Return who serves a pool's requests."""
        found = self._found(pool)
        if not any(found.chosen) or self._is_withheld(pool):
            return Situation.NOBODY
        if found.is_panic:
            return Situation.PANIC
        first = self._states.members(pool)[found.chosen.index(True)]
        return Situation.BACKUPS if first.server.is_backup else Situation.SERVERS

    def served_by(self, pool: Pool) -> str | None:
        """Return the name of the pool that gets a pool's requests: itself, one that takes over, or None."""
        wanted: Pool | None = pool
        while wanted is not None and self.situation(wanted) is Situation.NOBODY:
            name = wanted.capacity.failover
            wanted = None if name is None else self._running.configuration.pool(name)
        return None if wanted is None else wanted.name

    def waiting_since(self, pool: Pool) -> float | None:
        """Return since when requests have had to wait again and again (Unix seconds); None: they do not."""
        return self._watched[pool.name].waiting_since

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            self.look(time.monotonic())
            await anyio.sleep(OVERLOAD_LOOK_INTERVAL_S)

    def look(self, now_s: float) -> None:
        """Look at every pool, and say what there is to say."""
        for watched in self._watched.values():
            self._look_at_servers(watched)
            if watched.pool.is_limited:
                self._look_at_queue(watched, now_s)

    def _look_at_servers(self, watched: _Watched) -> None:
        pool = watched.pool
        situation, served_by = self.situation(pool), self.served_by(pool)
        if (situation, served_by) == (watched.situation, watched.served_by):
            return
        watched.situation, watched.served_by = situation, served_by
        why = "is unpublished" if self._is_withheld(pool) else "has no eligible server"
        if situation is Situation.SERVERS:
            kind, message = "pool_recovered", "is served by its own servers again"
        elif situation is Situation.PANIC:
            kind = "pool_in_panic"
            message = f"has fewer than {pool.passive.panic_percent} % of its servers available: health is ignored"
        elif situation is Situation.BACKUPS:
            kind, message = "pool_on_backups", "has no eligible server but its backups: they serve it"
        elif served_by is not None:
            kind, message = "pool_failed_over", f"{why}: pool {served_by} takes over"
        else:
            kind, message = "pool_unserved", f"{why}: requests get 503"
        self._events.add(kind, pool.name, f"pool {pool.name} {message}")

    def _look_at_queue(self, watched: _Watched, now_s: float) -> None:
        pool = watched.pool
        said = watched.queue.look(self.totals(pool).queued_total, now_s)
        if isinstance(said, Began):
            watched.waiting_since = time.time()
            message = f"pool {pool.name} has all it may have (connections_max): requests wait"
            self._events.add("pool_queue_began", pool.name, message)
        elif isinstance(said, Ended):
            watched.waiting_since = None
            in_vain = self._in_vain(pool)
            lost = in_vain - watched.in_vain_before
            watched.in_vain_before = in_vain
            message = f"pool {pool.name}: {said.count} had to wait within {said.seconds:.1f} s, {lost} got 503; nobody waits now"
            self._events.add("pool_queue_ended", pool.name, message)

    def _in_vain(self, pool: Pool) -> int:
        outcomes = pool_outcomes(self._running.segment, self._running.rows.pools[pool.name])
        return outcomes[Outcome.QUEUE_FULL] + outcomes[Outcome.QUEUE_TIMEOUT]

    def _is_withheld(self, pool: Pool) -> bool:
        segment = self._running.segment
        return bool(segment.cells[segment.layout.pool_withheld(self._running.rows.pools[pool.name])])
