"""Pools that take no more than so much at a time.

Responsible for the limits of a pool and its servers when a server is chosen, and for the wish of who has to wait. Knows nothing
of why a server is eligible, nor of the order of those who wait.

Several workers count at the same cells, each at its own, and no lock is shared. So a place is taken first and looked at then: who
finds that too many are in now leaves again and waits, which may happen to two who came at the same moment, but never lets one too
many in. Invariant: what is counted as in flight when a request goes out exceeds no limit.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from lbapp.engine.policy.balance.base import LoadReader
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.worker.pools import UpstreamPool
from lbapp.engine.worker.queueing import PoolQueue
from lbapp.engine.worker.record import PoolCells
from lbapp.engine.worker.upstream import UpstreamServer
from lbapp.model.entities import Pool

Tried = tuple[int, ...]


class LimitedPool(UpstreamPool):
    """A pool with `connections_max`, of its own or of a server."""

    def __init__(self, pool: Pool, cells: PoolCells, servers: dict[int, UpstreamServer], load: LoadReader) -> None:
        self._rows: Sequence[int] = sorted(servers)
        self._limits: list[int] = []
        self._limit_of: dict[int, int] = {}
        queue = PoolQueue(pool.capacity.queue, cells, pool.name)
        super().__init__(pool, cells, servers, load)
        self.queue = queue

    def look(self, now_s: float) -> None:
        """See UpstreamPool."""
        before = self._seen
        super().look(now_s)
        if self._seen != before:
            self._take_limits()
            if self.queue is not None:
                self.queue.states_changed()

    def change_servers(self, servers: dict[int, UpstreamServer]) -> None:
        """See UpstreamPool."""
        self._rows = sorted(servers)
        super().change_servers(servers)

    def choose(self, client_key: bytes, now_s: float, tried: Tried = ()) -> UpstreamServer | None:
        """See UpstreamPool; None also where all that would do have no room."""
        self.look_if_changed()
        excluded = (*tried, *self.full())
        while (index := self._chooser.choose_server(client_key, now_s, excluded)) is not None:
            server = self.servers[index]
            if self.take(server):
                return server
            excluded += (index,)
        return None

    def take(self, server: UpstreamServer) -> bool:
        """See UpstreamPool."""
        assert self.queue is not None
        cells = server.cells
        if server.is_retired or not self.queue.may_choose(cells.index):
            return False
        cells.add_in_flight(1)
        limit = self._limit_of[cells.index]
        if self.connections_max or limit:
            loads = self.load.in_flight(self._rows)
            is_over = 0 < limit < loads[self._rows.index(cells.index)]
            if is_over or 0 < self.connections_max < sum(loads):
                cells.add_in_flight(-1)
                return False
        return True

    def full(self) -> Tried:
        """See UpstreamPool."""
        assert self.queue is not None
        loads = self.load.in_flight(self._rows)
        if 0 < self.connections_max <= sum(loads) or not self.queue.may_choose_any():
            return tuple(self._rows)
        limited = zip(self._rows, loads, self._limits, strict=True)
        return tuple([row for row, load, limit in limited if 0 < limit <= load or not self.queue.may_choose(row)])

    def _take_limits(self) -> None:
        states = [self.servers[row].cells for row in self._rows]
        self.connections_max = self.cells.cells[self.cells.connections_max]
        self._limits = [cells.cells[cells.state + at.STATE_CONNECTIONS_MAX] for cells in states]
        self._limit_of = dict(zip(self._rows, self._limits, strict=True))


class ServerWish:
    """A server of one pool, none of those tried, as `choose` finds it for those tried."""

    __slots__ = ("_choose", "_pool", "_tried")

    def __init__(self, pool: UpstreamPool, tried: Tried, choose: Callable[[Tried], UpstreamServer | None]) -> None:
        self._pool = pool
        self._tried = tried
        self._choose = choose

    def choose(self) -> UpstreamServer | None:
        """See Wish."""
        return self._choose(self._tried)

    def wants(self) -> Hashable:
        """See Wish."""
        return self._pool.wanted if self._pool.wanted is not None else self._tried or None

    def is_hopeless(self) -> bool:
        """See Wish."""
        return not self._pool.has_eligible_beside(self._tried) and self._pool.wanted is None
