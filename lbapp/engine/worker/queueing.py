"""Waiting for room: requests and TCP connections whose pool has all that its servers may have.

Responsible for parking a coroutine until there is room, and for who may choose a server while others wait. Knows nothing of how a
server is chosen: whoever waits brings that along, and is asked again when something may have changed.

What frees room in this worker is an event of its reactor, so the queues are looked at behind every batch of events; what other
workers free is seen by a timer that runs while somebody waits. Invariants: everybody who waits is resumed exactly once: with a
server that it is in flight at, with None when no server is left to wait for, or with an error; a newcomer passes nobody who
waits for the same, in this worker at all, in others by QUEUE_FAIRNESS_S at most.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Generator, Hashable
from time import monotonic_ns
from typing import TYPE_CHECKING, Final, Protocol

from lbapp.engine.policy.waiting import WaitingLines
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.worker.ended import ExchangeEnded
from lbapp.engine.worker.reactor import Aborted, Reactor, Task
from lbapp.engine.worker.record import PoolCells
from lbapp.model.capacity import Queue
from lbapp.model.histogram import bucket_of
from lbapp.model.limits import HEARTBEAT_INTERVAL_S, QUEUE_FAIRNESS_S, QUEUE_LOOK_INTERVAL_S
from lbapp.model.outcomes import Outcome

if TYPE_CHECKING:
    from lbapp.engine.worker.downstream import Downstream
    from lbapp.engine.worker.upstream import UpstreamServer

_FAIRNESS_NS: Final = int(QUEUE_FAIRNESS_S * 1e9)
_SILENT_NS: Final = int(2 * HEARTBEAT_INTERVAL_S * 1e9)


class Wish(Protocol):
    """What somebody waits for."""

    def choose(self) -> UpstreamServer | None:
        """Return a server that has room, at which one more is then in flight."""

    def wants(self) -> Hashable:
        """Return the row of the only server that will do, None where any will, anything else where some will not."""

    def is_hopeless(self) -> bool:
        """Say whether no server is left that would do if it had room."""


class Waiter:
    """One that waits, in the place where its connection to a server will be."""

    __slots__ = ("_queue", "_reactor", "_task", "arrived_ns", "error", "server", "wants", "wish")

    def __init__(self, queue: PoolQueue, reactor: Reactor, wish: Wish) -> None:
        self._queue = queue
        self._reactor = reactor
        self._task: Task | None = None
        self.arrived_ns = monotonic_ns()
        self.server: UpstreamServer | None = None
        self.error: Exception | None = None  # that choosing came to
        self.wish = wish
        self.wants = wish.wants()

    @types.coroutine
    def park(self) -> Generator[None, None, None]:
        """Wait until `go_on` or `interrupt`."""
        self._task = self._reactor.current
        yield

    @property
    def is_waiting(self) -> bool:
        """Say whether it has not been resumed yet."""
        return self._task is not None

    def go_on(self) -> None:
        """Resume it, out of its line already, with what `server` is, or with `error`."""
        task, self._task = self._task, None
        if task is None:
            return
        if self.error is not None:
            self._reactor.throw(task, self.error)
        else:
            self._reactor.start(task)

    def interrupt(self, error: Exception) -> None:
        """Raise `error` where it waits; nothing happens if it does not wait any more."""
        task, self._task = self._task, None
        if task is not None:
            self._queue.leave(self)
            self._reactor.throw(task, error)


class PoolQueue:
    """Those who wait for room at one pool, in this worker."""

    def __init__(self, settings: Queue, cells: PoolCells, name: str) -> None:
        self._settings = settings
        self._cells = cells
        self._name = name
        self._lines: WaitingLines[Waiter] = WaitingLines()
        self._serving: Waiter | None = None
        self._is_timer_running = False
        self._timeout_ns = int(settings.timeout_s * 1e9)
        self._have_states_changed = False

    def __bool__(self) -> bool:
        return bool(self._lines)

    @property
    def is_serving(self) -> bool:
        """Say whether who is being given a server has waited for it."""
        return self._serving is not None

    # -- who may choose ----------------------------------------------------------------------------------------------

    def may_choose_any(self) -> bool:
        """Say whether who asks now may have any server: not if somebody else has waited for that for longer."""
        asking = self._serving
        if asking is None and self._lines.first_of(None) is not None:
            return False
        return not self._is_other_first(monotonic_ns() if asking is None else asking.arrived_ns)

    def may_choose(self, index: int) -> bool:
        """Say whether who asks now may have this server: not if somebody waits for it and nothing else."""
        return self._serving is not None or self._lines.first_of(index) is None

    def _is_other_first(self, arrived_ns: int) -> bool:
        # Nobody waits for a worker that hangs.
        waiting = self._cells.of_the_living(at.POOL_QUEUED_SINCE_NS, monotonic_ns() - _SILENT_NS)
        return any(0 < since_ns < arrived_ns - _FAIRNESS_NS for since_ns in waiting)

    # -- waiting -----------------------------------------------------------------------------------------------------

    async def wait(self, client: Downstream, wish: Wish) -> UpstreamServer | None:
        """Wait until the wish comes true; None: it is hopeless. Raises ExchangeEnded, PeerGone, Aborted."""
        cells, length_max = self._cells, self._settings.length_max
        if cells.total(at.POOL_QUEUED) >= length_max:
            reason = f"pool {self._name} has no room, and {length_max} wait for it already"
            raise ExchangeEnded(Outcome.QUEUE_FULL, reason)
        waiter = Waiter(self, client.reactor, wish)
        self._lines.add(waiter)
        cells.add(at.POOL_QUEUED, 1)
        cells.add(at.POOL_QUEUED_TOTAL, 1)
        self._note_first()
        self._start_timer()
        client.partner = waiter
        try:
            await waiter.park()
        finally:
            client.partner = None
            self._count_wait(client, waiter)
        return waiter.server

    def _count_wait(self, client: Downstream, waiter: Waiter) -> None:
        waited_us = (monotonic_ns() - waiter.arrived_ns) // 1000
        self._cells.add(at.POOL_QUEUE_WAIT + bucket_of(waited_us), 1)
        client.listener.cells.count_latency(client.listener.cells.queue, waited_us)
        if waiter.server is not None:
            waiter.server.cells.count_latency(waiter.server.cells.queue, waited_us)

    def leave(self, waiter: Waiter) -> None:
        """Take one out."""
        self._lines.remove(waiter)
        self._has_left()

    def _has_left(self) -> None:
        self._cells.add(at.POOL_QUEUED, -1)
        self._note_first()

    def _note_first(self) -> None:
        first = self._lines.first_of(None)
        self._cells.put(at.POOL_QUEUED_SINCE_NS, 0 if first is None else first.arrived_ns)

    # -- the end of a wait -------------------------------------------------------------------------------------------

    def states_changed(self) -> None:
        """Note that other servers may suit those who wait, or that none is left."""
        self._have_states_changed = True

    def look(self) -> None:
        """Give those who wait what has become free."""
        if self._have_states_changed:
            self._have_states_changed = False
            self._look_at_all()
        for waiter in self._lines.serve(self._is_served):
            self._has_left()
            waiter.go_on()

    def end(self) -> None:
        """End everybody's wait: the worker leaves."""
        for waiter in self._lines.everybody():
            waiter.interrupt(Aborted())

    def _look_at_all(self) -> None:
        for waiter in self._lines.everybody():
            if not waiter.is_waiting:
                continue  # who went on before had it end
            if self._is_served(waiter) or waiter.wish.is_hopeless():
                self.leave(waiter)
                waiter.go_on()
            elif (wants := waiter.wish.wants()) != waiter.wants:
                self._lines.remove(waiter)
                waiter.wants = wants
                self._lines.add(waiter)
        self._note_first()

    def _is_served(self, waiter: Waiter) -> bool:
        self._serving = waiter
        try:
            waiter.server = waiter.wish.choose()
        except Exception as error:  # noqa: BLE001 - a connection task: it is raised there
            waiter.error = error
        finally:
            self._serving = None
        return waiter.server is not None or waiter.error is not None

    # -- time --------------------------------------------------------------------------------------------------------

    def _start_timer(self) -> None:
        if not self._is_timer_running:
            self._is_timer_running = True
            loop = asyncio.get_running_loop()
            # Called from within the loop's own select, which has to be told that there is a timer now.
            loop.call_soon_threadsafe(loop.call_later, QUEUE_LOOK_INTERVAL_S, self._tick)

    def _tick(self) -> None:
        self._is_timer_running = False
        for waiter in self._lines.overdue(monotonic_ns() - self._timeout_ns):
            timeout_s = self._settings.timeout_s
            reason = f"pool {self._name} has had no room for {timeout_s:g} s"
            waiter.interrupt(ExchangeEnded(Outcome.QUEUE_TIMEOUT, reason))
        self.look()
        if self._lines:
            self._start_timer()
