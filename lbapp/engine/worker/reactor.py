"""The reactor: resumes the coroutine of each connection when its socket is ready.

Responsible for one epoll set, for the coroutines that wait in it, and for their deadlines. Knows nothing of HTTP.

It is the selector of the anyio event loop: the loop's own few descriptors sit in an inner selector whose epoll descriptor
is one more member of the set. So one system call waits for everything, and a data-path socket costs neither a Future nor
a callback object. Every socket is registered once, edge-triggered, for both directions: no system call changes an
interest later. A readiness that nobody waits for is remembered in `Endpoint.ready`.

Invariants: an endpoint has at most one waiting coroutine; a descriptor is closed only after the batch of events it may
occur in, so an event never reaches a later owner of the same number; a coroutine resumed by the reactor awaits nothing but
its endpoints.
"""

from __future__ import annotations

import logging
import math
import selectors
import socket
import types
from collections.abc import Callable, Coroutine, Generator, Iterator, Mapping, Sequence
from select import EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP, epoll
from typing import Any, Final, Protocol, TypeVar

from lbapp.engine.tls_stream import TlsStream
from lbapp.model.limits import FAULT_LOG_INTERVAL_S, OVERDUE_PER_TURN_MAX, SWEPT_PER_TURN_MAX

log = logging.getLogger("lbapp.worker")

READ: Final = EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR
WRITE: Final = EPOLLOUT | EPOLLHUP | EPOLLERR
# Set in `Endpoint.ready` after a read that filled its buffer: what is left in the socket causes no further edge.
READ_AGAIN: Final = EPOLLIN
GONE: Final = EPOLLHUP | EPOLLERR
NEVER: Final = math.inf
_EVENTS_PER_POLL_MAX: Final = 256
_REGISTERED: Final = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET

Task = Coroutine[Any, None, None]


class DeadlinePassed(Exception):
    """Raised in a coroutine whose endpoint was not ready before `Endpoint.deadline`."""


class PeerGone(Exception):
    """Raised in a coroutine that waits for one endpoint because the other one, `Endpoint.partner`, broke down."""


class Aborted(Exception):
    """Raised in a coroutine that has to give up: the operator or the node's own stop ends its connection."""


class Partner(Protocol):
    """What is told when an endpoint breaks down while nobody waits for it."""

    def interrupt(self, error: Exception) -> None:
        """Raise `error` where somebody waits."""


class Endpoint:
    """One non-blocking socket in the reactor.

    `ready` holds the events seen and not yet consumed. One coroutine may wait to read and another to write, each up to its
    deadline (monotonic seconds). `partner` is interrupted with PeerGone when this socket breaks down while nobody waits for
    it. `tls` None: what goes through the socket is what is meant, so that it can be spliced; see `secure`.
    """

    __slots__ = (
        "fd", "partner", "reactor", "read_deadline", "reader", "ready", "recv", "send", "socket",
        "tls", "write_deadline", "writer",
    )  # fmt: skip

    def __init__(self, reactor: Reactor, sock: socket.socket) -> None:
        self.reactor = reactor
        self.socket = sock
        self.fd = sock.fileno()
        self.recv: Callable[[int], bytes] = sock.recv
        self.send: Callable[[bytes | memoryview], int] = sock.send
        self.ready = 0
        self.reader: Task | None = None
        self.writer: Task | None = None
        self.read_deadline = NEVER
        self.write_deadline = NEVER
        self.partner: Partner | None = None
        self.tls: TlsStream | None = None
        reactor.add(self)

    @types.coroutine
    def readable(self, deadline: float) -> Generator[None, None, None]:
        """Wait until a read may give bytes, the end, or an error. Raises DeadlinePassed. Readiness may be spurious."""
        if not self.ready & READ:
            self.read_deadline = deadline
            self.reader = self.reactor.current
            yield
        # A broken or ended stream stays ready: whoever reads next must not wait for an edge that never comes.
        self.ready &= ~EPOLLIN

    @types.coroutine
    def writable(self, deadline: float) -> Generator[None, None, None]:
        """Wait until a write may take something: call it after a write that would have blocked. Raises DeadlinePassed."""
        self.ready &= ~EPOLLOUT
        self.write_deadline = deadline
        self.writer = self.reactor.current
        yield

    @types.coroutine
    def next_turn(self) -> Generator[None, None, None]:
        """Let the other connections go first: a busy connection calls it between its rounds. It is a wait to read."""
        task = self.reactor.current
        self.read_deadline = NEVER
        self.reader = task
        self.reactor.resume_next(self, task)
        yield

    def interrupt(self, error: Exception) -> None:
        """Raise `error` in the coroutine that waits to read; without one, nothing happens."""
        reader, self.reader = self.reader, None
        if reader is not None:
            self.reactor.throw(reader, error)

    def interrupt_writer(self, error: Exception) -> None:
        """Raise `error` in the coroutine that waits to write; without one, nothing happens."""
        writer, self.writer = self.writer, None
        if writer is not None:
            self.reactor.throw(writer, error)

    def unawaited(self, mask: int) -> None:
        """Take in events that nobody waits for."""
        if mask & GONE and self.partner is not None:
            self.partner.interrupt(PeerGone())

    def secure(self, stream: TlsStream) -> None:
        """Send and receive through TLS from now on."""
        self.tls = stream
        self.recv = stream.recv
        self.send = stream.send

    def read_again(self) -> None:
        """Note that there is more to read, of which no edge tells."""
        self.ready |= READ_AGAIN

    def end_writing(self) -> None:
        """Tell the peer that no more is sent. Raises OSError when it is gone."""
        if self.tls is not None:
            self.tls.end()
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Take the socket out of the reactor and close it after the batch of events under way."""
        if self.fd >= 0:
            if self.tls is not None:
                self.tls.end()
                self.tls.detach()
            self.reactor.remove(self)
            self.fd = -1
            self.partner = None


_Each = TypeVar("_Each")


def portions(every: Sequence[_Each]) -> Iterator[Sequence[_Each]]:
    """Cut what is to be looked at into parts that keep nobody waiting for long."""
    for start in range(0, len(every), SWEPT_PER_TURN_MAX):
        yield every[start : start + SWEPT_PER_TURN_MAX]


class Reactor(selectors.BaseSelector):
    """The selector that anyio's event loop runs on, and the home of every data-path coroutine."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.now = clock()
        self.faults = 0
        self._quiet_until = -math.inf
        self.after_batch: Callable[[], None] = lambda: None  # called when a batch of events has been served
        self.current: Task | None = None
        self.endpoints: dict[int, Endpoint] = {}
        self._epoll = epoll()
        self._inner = selectors.EpollSelector()
        self._epoll.register(self._inner.fileno(), EPOLLIN)
        self._closing: list[socket.socket] = []
        self._next: list[tuple[Endpoint, Task | None]] = []  # who goes on in the next round, if it still waits
        self._overdue: list[Endpoint] = []  # whose wait had taken too long at the last sweep
        self._acceptors: dict[int, Callable[[], object]] = {}

    # -- the data path -----------------------------------------------------------------------------------------------

    def add(self, endpoint: Endpoint) -> None:
        """Register an endpoint's socket, once, for both directions."""
        self.endpoints[endpoint.fd] = endpoint
        self._epoll.register(endpoint.fd, _REGISTERED)

    def remove(self, endpoint: Endpoint) -> None:
        """Forget an endpoint; its socket is closed after this batch of events."""
        if self.endpoints.pop(endpoint.fd, None) is not None:
            self._epoll.unregister(endpoint.fd)
            self._closing.append(endpoint.socket)

    def accept_with(self, fd: int, accept: Callable[[], object]) -> None:
        """Call `accept` whenever the listening socket `fd` has clients waiting (level-triggered)."""
        self._acceptors[fd] = accept
        self._epoll.register(fd, EPOLLIN)

    def stop_accepting(self, fd: int) -> None:
        """Undo `accept_with`."""
        if self._acceptors.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def start(self, task: Task) -> None:
        """Run a coroutine up to its first wait; from then on its endpoints resume it."""
        self._step(task, None)

    def throw(self, task: Task, error: Exception) -> None:
        """Raise `error` in a coroutine at the place where it waits."""
        self._step(task, error)

    def _step(self, task: Task, error: Exception | None) -> None:
        interrupted, self.current = self.current, task
        try:
            if error is None:
                task.send(None)
            else:
                task.throw(error)
        except StopIteration:
            return
        except Exception:  # noqa: BLE001  # a connection task: one connection ends, the others go on
            self._report(task)
        finally:
            self.current = interrupted

    def _resume(self, task: Task) -> None:
        # `_step` for the dispatch loop, where no other coroutine is under way.
        self.current = task
        try:
            task.send(None)
        except StopIteration:
            return
        except Exception:  # noqa: BLE001  # a connection task: one connection ends, the others go on
            self._report(task)

    def _report(self, task: Task) -> None:
        self.faults += 1
        if self.now < self._quiet_until:
            return  # counted; a fault in every exchange must not fill the disk
        self._quiet_until = self.now + FAULT_LOG_INTERVAL_S
        log.exception("a connection ended with an error nobody foresaw in %s", getattr(task, "__qualname__", task))

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Serve the data path until the event loop itself is due: by its `timeout` or by an event of its own.

        A data-path coroutine schedules nothing on the event loop, so there is no need to go round the loop for each batch.
        """
        deadline = math.inf if timeout is None else self._clock() + timeout
        wait = -1.0 if timeout is None else max(timeout, 0.0)
        while True:
            is_in_hurry = self._next or self._overdue
            is_inner_ready = self._serve(self._epoll.poll(0 if is_in_hurry else wait, _EVENTS_PER_POLL_MAX))
            if is_inner_ready:
                return self._inner.select(0)
            if deadline <= self.now:
                return []
            if timeout is not None:
                wait = deadline - self.now

    def _serve(self, events: list[tuple[int, int]]) -> bool:  # noqa: C901  # hot: a call per event would cost more
        """Resume the coroutines that a batch of events belongs to; return whether the event loop has events of its own."""
        self.now = self._clock()
        endpoints = self.endpoints
        resume = self._resume
        is_inner_ready = False
        for fd, mask in events:
            endpoint = endpoints.get(fd)
            if endpoint is None:
                if fd in self._acceptors:
                    self._acceptors[fd]()
                else:
                    is_inner_ready = True
                continue
            endpoint.ready |= mask
            reader, writer = endpoint.reader, endpoint.writer
            if reader is not None and mask & READ:
                endpoint.reader = None
                self.current = reader
                try:
                    reader.send(None)
                except StopIteration:
                    pass
                except Exception:  # noqa: BLE001  # a connection task: one connection ends, the others go on
                    self._report(reader)
            if writer is not None:
                if mask & WRITE and endpoint.writer is writer:
                    endpoint.writer = None
                    resume(writer)
            elif reader is None:
                endpoint.unawaited(mask)
        if self._next:
            self._go_on()
        if self._overdue:
            self._interrupt_overdue()
        if self._closing:
            for sock in self._closing:
                sock.close()
            self._closing.clear()
        self.after_batch()
        return is_inner_ready

    def resume_next(self, endpoint: Endpoint, task: Task | None) -> None:
        """Resume `task`, which waits to read at `endpoint`, behind the next batch of events if it waits there still."""
        self._next.append((endpoint, task))

    def _go_on(self) -> None:
        going_on, self._next = self._next, []
        for endpoint, task in going_on:
            if task is not None and endpoint.reader is task:
                endpoint.reader = None
                self._resume(task)

    def sweep(self) -> Iterator[None]:
        """Raise DeadlinePassed in every coroutine whose wait has taken too long. Yields where others may go in between.

        Of a crowd that came at one moment, and is late at one moment, only a few at a time.
        """
        if self._overdue:
            return  # those of the last sweep first
        for some in portions(list(self.endpoints.values())):
            now = self.now = self._clock()
            self._overdue += [
                each
                for each in some
                if (each.read_deadline < now and each.reader is not None)
                or (each.write_deadline < now and each.writer is not None)
            ]
            self._interrupt_overdue()
            yield

    def _interrupt_overdue(self) -> None:
        few, self._overdue = self._overdue[:OVERDUE_PER_TURN_MAX], self._overdue[OVERDUE_PER_TURN_MAX:]
        now = self.now
        # A deadline stays behind its wait, and since the sweep a coroutine may have begun to wait anew: so look again.
        for endpoint in few:
            if endpoint.read_deadline < now:
                endpoint.interrupt(DeadlinePassed())
            if endpoint.write_deadline < now:
                endpoint.interrupt_writer(DeadlinePassed())

    # -- the event loop's own descriptors ----------------------------------------------------------------------------

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """See selectors.BaseSelector."""
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """See selectors.BaseSelector."""
        return self._inner.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """See selectors.BaseSelector."""
        return self._inner.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """See selectors.BaseSelector."""
        return self._inner.get_map()

    def close(self) -> None:
        """Close both epoll sets. Endpoints still open are closed with them."""
        for endpoint in list(self.endpoints.values()):
            endpoint.close()
        for sock in self._closing:
            sock.close()
        self._closing.clear()
        self._inner.close()
        self._epoll.close()
