"""Connections to servers: dialled, kept idle, taken again, closed.

Responsible for every upstream connection of this worker, and for the pools' view of which servers are eligible. Knows
nothing of HTTP.

Invariants: an idle connection has no waiter and nothing to read; it is used again only if it is young enough and silent;
last in, first out, so that surplus connections age and go. Every open connection is in `open`, so that it can be closed by
force. The pool's picture of its servers is as old as the version cell it was read at, which is compared at every pick.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from random import Random
from time import monotonic
from typing import TYPE_CHECKING, Final

from lbapp.engine.channel import SocketAddress
from lbapp.engine.policy.balance.base import Algorithm, LoadReader, ServerState
from lbapp.engine.policy.balance.factory import build_algorithm
from lbapp.engine.policy.retry import RetryBudget, has_attempt_left
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.socket_options import apply, bind_source, tcp_options
from lbapp.engine.tls_contexts import ServerTls
from lbapp.engine.worker.ended import SHORTAGES, ExchangeEnded
from lbapp.engine.worker.proxied import build_proxy_header
from lbapp.engine.worker.reactor import READ, Aborted, DeadlinePassed, Endpoint, PeerGone, Reactor
from lbapp.engine.worker.record import PoolCells, ServerCells
from lbapp.engine.worker.secure import failure_of, shake_hands_as_client
from lbapp.model.entities import Pool, Server
from lbapp.model.limits import RECEIVE_BYTES, Limits
from lbapp.model.outcomes import FailureKind, Outcome
from lbapp.model.states import AdminState, is_eligible, is_eligible_for_remembered
from lbapp.model.transport import PoolTransport

if TYPE_CHECKING:
    from lbapp.engine.worker.persistence import PoolPersistence

if TYPE_CHECKING:
    from lbapp.engine.worker.downstream import Downstream

# A Unix socket refuses where there is no file (any more), and with EAGAIN when its queue is full.
_REFUSED: Final = frozenset((errno.ECONNREFUSED, errno.ECONNRESET, errno.ENOENT, errno.EAGAIN))
_PLAIN: Final = PoolTransport()


class AttemptFailed(Exception):
    """One attempt at one server came to nothing."""

    def __init__(self, kind: FailureKind) -> None:
        super().__init__(kind.name)
        self.kind = kind


class Upstream(Endpoint):
    """One connection to a server. `cut` is called to close it by force where interrupting its own waits is not enough."""

    __slots__ = ("cut", "expires_at", "idle_since", "is_idle", "owner", "server")

    def __init__(self, reactor: Reactor, sock: socket.socket, server: UpstreamServer) -> None:
        super().__init__(reactor, sock)
        self.server = server
        self.expires_at = reactor.now + server.limits.idle_connection_age_s
        self.idle_since = 0.0
        self.is_idle = False
        self.owner: Downstream | None = None  # the only client it may serve, where it is not for all
        self.cut: Callable[[], None] | None = None
        server.open.add(self)
        server.cells.add(at.SERVER_CONNECTIONS, 1)

    def unawaited(self, mask: int) -> None:
        """Go if the server has ended the connection, or spoken, while it was idle."""
        if self.is_idle:
            if self.ready & READ and not is_silent(self):
                self.server.idle.remove(self)
                self.close()
        else:
            super().unawaited(mask)

    def close(self) -> None:
        """Close the connection and take it off the server's counts."""
        if self.fd >= 0:
            self.server.open.discard(self)
            self.server.cells.add(at.SERVER_CONNECTIONS, -1)
            self.cut = None
        super().close()


class UpstreamServer:
    """One server as this worker reaches it."""

    def __init__(
        self, reactor: Reactor, server: Server, cells: ServerCells, limits: Limits, transport: PoolTransport = _PLAIN
    ) -> None:
        self.reactor = reactor
        self.id = server.id
        self.address = server.authority.encode()
        self.proxy_protocol = transport.proxy_protocol
        self.source = transport.source
        self.options = tcp_options(transport.tcp)
        self.tls: ServerTls | None = None
        self.cells = cells
        self.addresses: tuple[SocketAddress, ...] = ()
        self.idle: list[Upstream] = []
        self.open: set[Upstream] = set()
        self.may_keep_idle = True
        self.may_have_remembered = True
        self.is_drain_over = False  # past its timeout: nobody is left there, remembered or not
        self.limits = limits

    def take_idle(self, client: Downstream, *, is_to_be_checked: bool) -> Upstream | None:
        """Return the idle connection used last, or None; any serves any client (but see `private`).

        `is_to_be_checked`: ask the kernel too, not only past events.
        """
        idle, now = self.idle, self.reactor.now
        while idle:
            upstream = idle.pop()
            upstream.is_idle = False
            if now < upstream.expires_at and (not (upstream.ready & READ or is_to_be_checked) or is_silent(upstream)):
                return upstream
            upstream.close()
        return None

    def give_back(self, upstream: Upstream) -> None:
        """Keep a connection whose exchange is complete on both sides, if there is room."""
        if not self.may_keep_idle or len(self.idle) >= self.limits.idle_connections_max:
            upstream.close()
            return
        upstream.idle_since = self.reactor.now
        upstream.is_idle = True
        self.idle.append(upstream)

    def close_idle(self, idle_timeout_s: float = 0.0) -> None:
        """Close what has been idle for longer; the oldest stand first."""
        before = self.reactor.now - idle_timeout_s
        while self.idle and self.idle[0].idle_since <= before:
            self.idle.pop(0).close()

    def close_all(self) -> None:
        """Close every connection at once; what is in flight on them fails."""
        self.close_idle()
        for upstream in list(self.open):
            if upstream.cut is not None:
                upstream.cut()
            else:
                upstream.interrupt(Aborted())
                upstream.interrupt_writer(Aborted())

    async def dial(self, client: Downstream) -> Upstream:
        """Open a new connection for a client, trying each address in turn. Raises AttemptFailed, ExchangeEnded."""
        if not self.addresses:
            raise AttemptFailed(FailureKind.NAME_NOT_RESOLVED)
        kind = FailureKind.CONNECT_UNREACHABLE
        started = monotonic()
        deadline = started + self.limits.connect_timeout_s
        for address in self.addresses:
            try:
                upstream = await self._connect(client, address, deadline)
                if self.proxy_protocol is not None:
                    _introduce(upstream, build_proxy_header(self.proxy_protocol, client))
                if self.tls is not None:
                    await self._secure(upstream, self.tls, deadline)
            except AttemptFailed as failed:
                kind = failed.kind
                if monotonic() >= deadline:
                    break
                continue
            self.cells.add(at.SERVER_CONNECTIONS_TOTAL, 1)
            self.cells.count_latency(self.cells.connect, int((monotonic() - started) * 1e6))
            return upstream
        raise AttemptFailed(kind)

    async def _connect(self, client: Downstream, address: SocketAddress, deadline: float) -> Upstream:
        family, host, port = address
        sock = _new_socket(client, family)
        try:
            if family == socket.AF_UNIX:
                code = sock.connect_ex(host)
            else:
                apply(sock, self.options)
                if self.source is not None:
                    bind_source(sock, self.source)
                code = sock.connect_ex((host, port))
        except (
            OSError
        ):  # an address that the kernel cannot take, such as one with an unknown zone, or a source it has lost
            code = errno.EADDRNOTAVAIL
        if code not in (0, errno.EINPROGRESS):
            sock.close()
            raise AttemptFailed(_kind_of(code))
        upstream = Upstream(self.reactor, sock, self)
        try:
            if code == errno.EINPROGRESS:
                await upstream.writable(deadline)
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        except DeadlinePassed:
            upstream.close()
            raise AttemptFailed(FailureKind.CONNECT_TIMEOUT) from None
        except (Aborted, PeerGone):
            upstream.close()
            raise
        if code:
            upstream.close()
            raise AttemptFailed(_kind_of(code))
        return upstream

    async def _secure(self, upstream: Upstream, tls: ServerTls, deadline: float) -> None:
        """Speak TLS on a new connection. Nothing of a request has been sent yet, so a failure is one of connecting."""
        try:
            await shake_hands_as_client(upstream, tls, deadline)
        except BaseException as error:
            upstream.close()
            kind = failure_of(error)
            if kind is None:
                raise
            raise AttemptFailed(kind) from error


def _new_socket(client: Downstream, family: int) -> socket.socket:
    try:
        return socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    except OSError as error:
        if error.errno not in SHORTAGES:
            raise AttemptFailed(FailureKind.CONNECT_UNREACHABLE) from error
        client.worker.doorkeeper.ran_short()
        raise ExchangeEnded(Outcome.OVERLOADED, "no file descriptors are left") from error  # no fault of the server's


def _introduce(upstream: Upstream, header: bytes) -> None:
    """Send what a connection begins with. Nothing of a request has been sent yet, so a failure is one of connecting."""
    try:
        if upstream.send(header) == len(header):  # a new socket has room for that
            return
    except OSError:
        pass
    upstream.close()
    raise AttemptFailed(FailureKind.CONNECT_REFUSED)


def _kind_of(code: int) -> FailureKind:
    if code in _REFUSED:
        return FailureKind.CONNECT_REFUSED
    return FailureKind.CONNECT_TIMEOUT if code == errno.ETIMEDOUT else FailureKind.CONNECT_UNREACHABLE


def is_silent(upstream: Upstream) -> bool:
    """Say whether nothing is to be read; a server's bytes or its end on an idle connection make it useless."""
    try:
        if upstream.tls is None:
            upstream.socket.recv(1, socket.MSG_PEEK)
        else:
            upstream.recv(RECEIVE_BYTES)  # what only TLS itself had to say is taken in, such as a ticket
    except BlockingIOError:
        upstream.ready &= ~READ
        return True
    except OSError:
        return False
    return False


class UpstreamPool:
    """One pool as this worker chooses from it."""

    def __init__(self, pool: Pool, cells: PoolCells, servers: dict[int, UpstreamServer], load: LoadReader) -> None:
        self.name = pool.name
        self.cells = cells
        self.servers = servers
        self._seen = -1
        self.persistence: PoolPersistence | None = None
        self.retry = pool.retry
        self.repeat_statuses = frozenset(pool.retry.on_status)
        self._budget = RetryBudget(pool.retry)
        self._eligible: frozenset[int] = frozenset()
        self._algorithm: Algorithm = build_algorithm(pool.algorithm, self._states(), load, Random())
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
        """Return the server for a new exchange, as the scoreboard stands now; None when no server is eligible."""
        cells = self.cells
        if cells.cells[cells.version] != self._seen:
            self.look(now_s)
        index = self._algorithm.choose_server(client_key, now_s, tried)
        return None if index is None else self.servers[index]

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

    def remembered(self, index: int, tried: tuple[int, ...]) -> UpstreamServer | None:
        """Return the server a client had, if it may have it again as the scoreboard stands now."""
        self.look_if_changed()
        server = self.servers[index]
        return server if server.may_have_remembered and index not in tried else None

    def drain_is_over(self, index: int) -> None:
        """Give the server to nobody any more until its state changes: its drain has passed its timeout."""
        self.servers[index].is_drain_over = True
        self._seen = -1

    def _states(self) -> list[ServerState]:
        states = []
        is_published = self.is_published
        for index, server in self.servers.items():
            cells, state = server.cells.cells, server.cells.state
            admin, health, weight = (
                cells[state + at.STATE_ADMIN],
                cells[state + at.STATE_HEALTH],
                cells[state + at.STATE_WEIGHT],
            )
            eligible = is_published and is_eligible(admin, health, weight)
            states.append(ServerState(index=index, id=server.id, weight=weight, is_eligible=eligible))
            server.is_drain_over = server.is_drain_over and admin == AdminState.DRAIN
            server.may_have_remembered = is_eligible_for_remembered(admin, health) and not server.is_drain_over
            server.may_keep_idle = eligible or (self.persistence is not None and server.may_have_remembered)
            if not server.may_keep_idle:
                server.close_idle()
        self._eligible = frozenset([each.index for each in states if each.is_eligible])
        return states
