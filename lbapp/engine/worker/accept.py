"""Accepting: from a listening socket to a connection that is served.

Responsible for what a listener is to this worker, and for taking in the clients that wait at its sockets. Knows nothing of what
a connection carries. Invariants: no more connections are open than the limits allow; a shortage of descriptors or memory
pauses accepting and ends nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from random import Random
from typing import TYPE_CHECKING

from lbapp.engine.policy.routing import Router
from lbapp.engine.worker.downstream import Downstream
from lbapp.engine.worker.passthrough import PassthroughPreamble
from lbapp.engine.worker.proxied import ProxyPreamble
from lbapp.engine.worker.reactor import Aborted, DeadlinePassed, PeerGone, Reactor, Task
from lbapp.engine.worker.record import ListenerCells
from lbapp.engine.worker.relay import SinkGone, SourceEnded
from lbapp.engine.worker.secure import TlsPreamble
from lbapp.engine.worker.steering import Steering, build_steering
from lbapp.engine.worker.tunnels import serve_tcp
from lbapp.engine.worker.upstream import UpstreamPool
from lbapp.model.entities import Listener, Protocol
from lbapp.model.limits import ACCEPTS_PER_EVENT_MAX
from lbapp.model.tls import NO_MATERIAL, TlsMaterial

if TYPE_CHECKING:
    from lbapp.engine.worker.run import Worker


# Something that comes before the protocol of a listener, on every connection of it. What it raises closes the connection.
Preamble = Callable[[Downstream], Awaitable[None]]


class ListenerRuntime:
    """One listener as this worker serves it. `preambles` are run in their order before its protocol is served."""

    def __init__(
        self,
        listener: Listener,
        cells: ListenerCells,
        router: Router,
        pools: dict[str, UpstreamPool],
        material: TlsMaterial = NO_MATERIAL,
    ) -> None:
        self.name = listener.name
        self.protocol = listener.protocol
        self.cells = cells
        self.router = router
        self.pools = pools
        self.pool = pools[listener.pool] if listener.pool is not None else None
        self.scheme = "http" if listener.tls is None else "https"
        self.forwarding = listener.forwarding
        is_http = listener.protocol is Protocol.HTTP
        self.steering: Steering | None = build_steering(listener, router, pools, Random()) if is_http else None
        self.only_pool = None if self.steering is not None else self.pool
        self.transport = transport = listener.transport
        self.preambles: tuple[Preamble, ...] = ()
        if transport.proxy_protocol:  # first of all: even a TLS handshake stands behind the header
            self.preambles = (ProxyPreamble(listener.name, transport),)
        self.tls = None if listener.tls is None else TlsPreamble(listener, material)
        if self.tls is not None:
            self.preambles += (self.tls,)
        elif listener.routes and not is_http:
            self.preambles += (PassthroughPreamble(listener, pools),)


class Acceptor:
    """Accepts the clients of one listening socket."""

    def __init__(self, worker: Worker, listener: ListenerRuntime, sock: socket.socket) -> None:
        self._worker = worker
        self._listener = listener
        self.socket = sock

    def accept(self) -> bool:
        """Take the clients that are waiting, up to a limit, and start serving them; return whether more may wait."""
        worker, listener = self._worker, self._listener
        reactor: Reactor = worker.reactor
        for _ in range(ACCEPTS_PER_EVENT_MAX):
            if len(worker.connections) >= worker.limits.connections_max:
                worker.pause_accepting()
                return False
            try:
                sock, peer = self.socket.accept()
            except BlockingIOError:
                return False
            except OSError:
                worker.pause_accepting()  # descriptors or memory are short: those being served go first
                return False
            sock.setblocking(False)
            client = Downstream(worker, listener, sock, peer)
            reactor.start(_after_preambles(client) if listener.preambles else _served(client))
        return True


def _served(client: Downstream) -> Task:
    return client.serve_http() if client.listener.protocol is Protocol.HTTP else serve_tcp(client)


async def _after_preambles(client: Downstream) -> None:
    try:
        for preamble in client.listener.preambles:
            await preamble(client)
    except (SourceEnded, SinkGone, PeerGone, Aborted, DeadlinePassed, OSError):
        client.close()
    else:
        client.reactor.start(_served(client))
