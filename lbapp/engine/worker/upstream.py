"""Connections to servers: dialled, kept idle, taken again, closed.

Responsible for every upstream connection of this worker. Knows nothing of HTTP, nor of pools.

Invariants: an idle connection has no waiter and nothing to read; it is used again only if it is young enough and silent;
last in, first out, so that surplus connections age and go. Every open connection is in `open`, so that it can be closed by
force.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Final

from lbapp.engine.channel import SocketAddress
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.socket_options import apply, bind_source, tcp_options
from lbapp.engine.tls_contexts import ServerTls
from lbapp.engine.worker.ended import SHORTAGES, ExchangeEnded
from lbapp.engine.worker.proxied import build_proxy_header
from lbapp.engine.worker.reactor import READ, Aborted, DeadlinePassed, Endpoint, PeerGone, Reactor
from lbapp.engine.worker.record import ServerCells
from lbapp.engine.worker.secure import failure_of, shake_hands_as_client
from lbapp.model.entities import Server
from lbapp.model.limits import RECEIVE_BYTES, Limits
from lbapp.model.outcomes import FailureKind, Outcome
from lbapp.model.transport import PoolTransport

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

    __slots__ = ("cut", "expires_at", "idle_since", "is_idle", "is_tunnel", "opened_at", "owner", "server")

    def __init__(self, reactor: Reactor, sock: socket.socket, server: UpstreamServer) -> None:
        super().__init__(reactor, sock)
        self.server = server
        self.opened_at = reactor.now
        self.expires_at = reactor.now + server.limits.idle_connection_age_s
        self.idle_since = 0.0
        self.is_idle = False
        self.is_tunnel = False
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
        self.server = server
        self.place = 0  # among the servers of its pool, as the file has them
        self.id = server.id
        self.address = server.authority.encode()
        self.transport = transport
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
        self.is_going = False  # not READY, when its state was read last
        self.is_retired = False  # let go: what it has goes on
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

    def may_become(self, fresh: UpstreamServer) -> bool:
        """Say whether connections to this server are as good as those that another would open."""
        before, after = self.server, fresh.server
        is_same_place = (before.id, before.host, before.port) == (after.id, after.host, after.port)
        is_same_speech = self.transport == fresh.transport and (self.tls is None) is (fresh.tls is None)
        return is_same_place and is_same_speech and type(self) is type(fresh)

    def become(self, fresh: UpstreamServer) -> None:
        """Take over what another is to be like, and keep the connections."""
        self.server, self.place, self.tls, self.limits = fresh.server, fresh.place, fresh.tls, fresh.limits
        self.is_retired = False

    def retire(self) -> None:
        """Let a server go: nothing new comes, and no connection is kept idle."""
        self.is_retired = True
        self.may_keep_idle = self.may_have_remembered = False
        self.close_idle()

    def close_all(self) -> int:
        """Close every connection at once; what is in flight on them fails. Return how much that is."""
        self.close_idle()
        count = len(self.open)
        for upstream in list(self.open):
            if upstream.cut is not None:
                upstream.cut()
            else:
                upstream.interrupt(Aborted())
                upstream.interrupt_writer(Aborted())
        return count

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
            latency_us = int((monotonic() - started) * 1e6)
            self.cells.count_latency(self.cells.connect, latency_us)
            client.listener.cells.count_latency(client.listener.cells.connect, latency_us)
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
