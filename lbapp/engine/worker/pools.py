"""A pool as one worker chooses from it.

Responsible for the pool's view of which servers are eligible, for choosing one, and for what a retry may cost. Knows nothing of
HTTP, nor of how a server is reached. Invariant: the picture of the servers is as old as the version cell it was read at, which is
compared at every choice; who is given a server is in flight there from then on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from time import monotonic
from typing import TYPE_CHECKING

from lbapp.engine.policy.balance.base import Algorithm, Chooser, LoadReader, ServerState
from lbapp.engine.policy.balance.explaining import Explaining
from lbapp.engine.policy.balance.explanation import Explanation
from lbapp.engine.policy.balance.factory import build_algorithm
from lbapp.engine.policy.balance.key_hash import KeyHash
from lbapp.engine.policy.eligibility import Candidate, eligible
from lbapp.engine.policy.retry import RetryBudget, has_attempt_left
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.wire.heads import RequestHead
from lbapp.engine.wire.keys import key_finder
from lbapp.engine.worker.off_loop import off_loop
from lbapp.engine.worker.record import PoolCells
from lbapp.engine.worker.upstream import UpstreamServer
from lbapp.model.entities import Pool
from lbapp.model.outcomes import Outcome
from lbapp.model.states import AdminState, HealthState

if TYPE_CHECKING:
    from lbapp.engine.worker.persistence import PoolPersistence
    from lbapp.engine.worker.queueing import PoolQueue

Told = list[tuple[str, Explanation]]  # the name of each algorithm that has decided, and what it said


class UpstreamPool:
    """One pool as this worker chooses from it."""

    def __init__(self, pool: Pool, cells: PoolCells, servers: dict[int, UpstreamServer], load: LoadReader) -> None:
        self.settings = pool
        self.name = pool.name
        self.cells = cells
        self.servers = servers
        self.load = load
        self.connections_max = 0  # in flight on this node; 0: no limit
        self.is_to_be_recorded = False  # why the next server is chosen
        self._seen = -1
        self.persistence: PoolPersistence | None = None
        self.queue: PoolQueue | None = None  # of those who wait for room, where there may be none
        self.wanted: int | None = None  # the server that the last choice wants and that has no room
        self.failover: UpstreamPool | None = None  # that takes over while no server is eligible
        self._panic_percent = pool.passive.panic_percent
        self.retry = pool.retry
        self.repeat_statuses = frozenset(pool.retry.on_status)
        self._budget = RetryBudget(pool.retry)
        self._eligible: frozenset[int] = frozenset()
        self.find_key = key_finder(pool.hash)  # None: the client's address is the key
        self._algorithm: Algorithm = build_algorithm(
            pool.algorithm, self._states(), load, Random(), pool.hash.balance_percent
        )
        self._chooser: Chooser = self._algorithm
        if isinstance(self._algorithm, KeyHash):
            self._algorithm.build = off_loop  # from now on: while a table is built, the one before serves
        self.observe = self._algorithm.observe if self._algorithm.observes else None

    @property
    def is_published(self) -> bool:
        """Say whether the pool takes requests at all."""
        return not self.cells.cells[self.cells.withheld]

    @property
    def shortage(self) -> str:
        """Why no server can be chosen, in a sentence."""
        return f"no eligible server in pool {self.name}" if self.is_published else f"pool {self.name} is unpublished"

    def choose(self, client_key: bytes, now_s: float, tried: tuple[int, ...] = ()) -> UpstreamServer | None:
        """Return the server for a new exchange, as the scoreboard stands now, at which one more is in flight then.

        None when no server is eligible.
        """
        cells = self.cells
        if cells.cells[cells.version] != self._seen:
            self.look(now_s)
        index = self._chooser.choose_server(client_key, now_s, tried)
        if index is None:
            return None
        server = self.servers[index]
        counts = server.cells
        counts.cells[counts.in_flight] += 1
        return server

    @contextmanager
    def explaining(self, told: Told) -> Iterator[None]:
        """Have the algorithm add to `told` why it chooses, for as long as this lasts."""
        name = self.settings.algorithm.value
        self._chooser = Explaining(self._algorithm, lambda explanation: told.append((name, explanation)))
        try:
            yield
        finally:
            self._chooser = self._algorithm

    def explain(self, key: bytes, now_s: float, excluded: tuple[int, ...]) -> tuple[str, Explanation]:
        """Say by which algorithm whom would be chosen for a key, and why. Changes nothing."""
        return self.settings.algorithm.value, self._algorithm.explain(key, now_s, excluded)

    def is_eligible(self, index: int) -> bool:
        """Say whether a server may have new clients, as the pool's picture stands."""
        return index in self._eligible

    def key_of(self, client_key: bytes, head: RequestHead) -> bytes:
        """Return what a request is hashed by: `client_key`, where the pool wants that or the request lacks what it wants."""
        return client_key if self.find_key is None else self.find_key(head) or client_key

    def take(self, server: UpstreamServer) -> bool:
        """Have one more in flight at a server that was chosen otherwise. Returns whether it is there still and has room."""
        if server.is_retired:
            return False
        server.cells.add_in_flight(1)
        return True

    def full(self) -> tuple[int, ...]:
        """Return the servers that have no room for who asks now."""
        return ()

    def look(self, now_s: float) -> None:
        """Take over what the supervisor has written of the pool's servers. Idle connections to those it took out go."""
        version = self.cells.cells[self.cells.version]
        if version != self._seen:
            self._seen = version
            states = self._states()
            self._algorithm.update(states, now_s)
            if self.persistence is not None:
                self.persistence.look(states)

    def look_at_requests(self) -> None:
        """Note how many requests there have been: the retry budget is a share of them."""
        self._budget.look(monotonic(), self._requests())

    def may_try_another(self, servers_tried: int, started_s: float, *, was_sent: bool) -> bool:
        """Say whether attempts, time and budget allow another server.

        What no server has seen yet is not charged to the budget: it multiplies no load, and its client would pay for it.
        """
        now_s = monotonic()
        if not has_attempt_left(self.retry, servers_tried, now_s - started_s):
            return False
        if not was_sent or self._budget.may_spend(now_s, self._requests()):
            return True
        self.cells.add(at.POOL_RETRIES_REFUSED, 1)
        return False

    def has_eligible_beside(self, tried: tuple[int, ...]) -> bool:
        """Say whether a server may be chosen that was not tried."""
        self.look_if_changed()
        return not self._eligible.issubset(tried)

    def has_room_beside(self, tried: tuple[int, ...]) -> bool:
        """Say whether who asks now may have a server that was not tried."""
        self.look_if_changed()
        return not self._eligible.issubset((*tried, *self.full()))

    def _requests(self) -> int:
        every = self.servers.values()
        return sum([sum(each.cells.cells[each.cells.outcomes : each.cells.outcomes + len(Outcome)]) for each in every])

    def look_if_changed(self) -> None:
        """Do as `look`, for who chooses without the algorithm."""
        if self.cells.cells[self.cells.version] != self._seen:
            self.look(monotonic())

    def persist_with(self, persistence: PoolPersistence) -> None:
        """Have clients come back to the server they had."""
        self.persistence = persistence
        self._seen = -1

    def change_servers(self, servers: dict[int, UpstreamServer]) -> None:
        """Choose from these servers from now on, by row in ascending order."""
        self.servers = servers
        if self.persistence is not None:
            self.persistence.servers_changed()
        self._seen = -1
        self.look(monotonic())

    def remembered(self, index: int, tried: tuple[int, ...]) -> UpstreamServer | None:
        """Return the server a client had, if it may have it again as the scoreboard stands now."""
        self.look_if_changed()
        server = self.servers.get(index)
        return server if server is not None and server.may_have_remembered and index not in tried else None

    def drain_is_over(self, index: int) -> None:
        """Give the server to nobody any more until its state changes: its drain has passed its timeout."""
        self.servers[index].is_drain_over = True
        self._seen = -1

    def _states(self) -> list[ServerState]:
        is_published = self.is_published
        candidates, rows = [], []
        for server in self.servers.values():
            cells, state = server.cells.cells, server.cells.state
            admin, health, weight = (cells[state + cell] for cell in (at.STATE_ADMIN, at.STATE_HEALTH, at.STATE_WEIGHT))
            is_wanted = admin == AdminState.READY and weight > 0 and not cells[state + at.STATE_NO_NEW_CLIENTS]
            is_healthy = health != HealthState.DOWN and not cells[state + at.STATE_EJECTED]
            candidates.append(Candidate(is_published and is_wanted, is_healthy, server.server.is_backup))
            rows.append((server, admin, weight, cells[state + at.STATE_SHARE_PERMILLE] or 1000))
        found = eligible(candidates, self._panic_percent)
        for (server, admin, *_), candidate in zip(rows, candidates, strict=True):
            server.is_going = admin != AdminState.READY
            server.is_drain_over = server.is_drain_over and admin == AdminState.DRAIN
            may_serve = admin != AdminState.MAINT and (candidate.is_healthy or found.is_panic)
            server.may_have_remembered = may_serve and not server.is_drain_over
            is_new_welcome = candidate.is_wanted and (candidate.is_healthy or found.is_panic)
            server.may_keep_idle = is_new_welcome or (self.persistence is not None and server.may_have_remembered)
            if not server.may_keep_idle:
                server.close_idle()
        states = [
            ServerState(server.cells.index, server.id, weight, is_eligible, share, server.place)
            for (server, _, weight, share), is_eligible in zip(rows, found.chosen, strict=True)
        ]
        self._eligible = frozenset([each.index for each in states if each.is_eligible])
        return states
