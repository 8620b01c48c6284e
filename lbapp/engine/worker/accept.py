"""Accepting: from a listening socket to a connection that is served.

Responsible for what a listener is to this worker, and for taking in the clients that wait at its sockets. Knows nothing of what
a connection carries, and leaves it to `admission` who is let in. Invariants: no more connections are served than the limits
allow; a shortage of descriptors or memory pauses accepting and ends nothing under way.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from random import Random
from typing import TYPE_CHECKING

from lbapp.engine.policy.routing import Router
from lbapp.engine.worker.admission import ClientPreamble, Door, RequestRate
from lbapp.engine.worker.downstream import Downstream
from lbapp.engine.worker.ended import SHORTAGES
from lbapp.engine.worker.passthrough import PassthroughPreamble
from lbapp.engine.worker.pools import UpstreamPool
from lbapp.engine.worker.proxied import ProxyPreamble
from lbapp.engine.worker.reactor import Aborted, DeadlinePassed, PeerGone, Reactor, Task
from lbapp.engine.worker.record import ListenerCells
from lbapp.engine.worker.relay import SinkGone, SourceEnded
from lbapp.engine.worker.secure import TlsPreamble
from lbapp.engine.worker.steering import Steering, build_steering
from lbapp.engine.worker.trail import Trail
from lbapp.engine.worker.tunnels import serve_tcp
from lbapp.model.entities import Listener, Protocol
from lbapp.model.limits import ACCEPTS_PER_EVENT_MAX, TURNED_AWAY_PER_EVENT_MAX

if TYPE_CHECKING:
    from lbapp.engine.worker.run import Worker


# Something that comes before the protocol of a listener, on every connection of it. What it raises closes the connection.
Preamble = Callable[[Downstream], Awaitable[None]]


class ListenerRuntime:
    """One listener as this worker serves it. `preambles` are run in their order before its protocol is served.

    `tls`: what shakes hands with its clients, where it has them speak TLS.
    """

    def __init__(
        self,
        listener: Listener,
        cells: ListenerCells,
        router: Router,
        pools: dict[str, UpstreamPool],
        tls: TlsPreamble | None = None,
    ) -> None:
        self.settings = listener
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
        self.knows_client_late = transport.proxy_protocol  # not at the accept
        self.may_answer_at_once = is_http and listener.tls is None  # who is turned away is told so in plain HTTP
        self.door: Door | None = None
        self.rate: RequestRate | None = None
        self.trail: Trail | None = None  # where its exchanges are logged
        if transport.proxy_protocol:  # first of all: even a TLS handshake stands behind the header
            self.preambles = (ProxyPreamble(listener.name, transport),)
        self.tls = tls
        if self.tls is not None:
            self.preambles += (self.tls,)
        elif listener.routes and not is_http:
            self.preambles += (PassthroughPreamble(listener, pools),)

    def may_become(self, fresh: ListenerRuntime) -> bool:
        """Say whether connections that are open can go on by what is served from now on."""
        before, after = self.settings, fresh.settings
        return (
            before.protocol is after.protocol
            and (before.tls is None) is (after.tls is None)
            and self.knows_client_late is fresh.knows_client_late
        )

    def become(self, fresh: ListenerRuntime) -> None:
        """Serve by another configuration from the next request on, on connections that are open as well."""
        self.__dict__.update(fresh.__dict__)

    def admit_through(self, door: Door | None) -> None:
        """Ask of every client what `door` does: at the accept, or as soon as it is known who it is."""
        self.door = door
        if door is not None and self.knows_client_late and door.asks_who:
            self.preambles = (self.preambles[0], ClientPreamble(door), *self.preambles[1:])

    def limit_requests(self, rate: RequestRate | None) -> None:
        """Ask of every request whether its client asks too often. A limit that stays goes on counting."""
        if rate is not None and self.rate is not None and rate.admission == self.rate.admission:
            rate = self.rate
        self.rate = rate
        if rate is not None:
            self.only_pool = None


class Acceptor:
    """Accepts the clients of one listening socket."""

    def __init__(self, worker: Worker, listener: ListenerRuntime, sock: socket.socket) -> None:
        self._worker = worker
        self.listener = listener
        self.socket = sock

    def accept(self) -> bool:
        """Take the clients that are waiting, up to a limit, and start serving them; return whether more may wait."""
        worker, listener = self._worker, self.listener
        reactor: Reactor = worker.reactor
        keeper, door = worker.doorkeeper, listener.door
        turned_away = 0
        for _ in range(ACCEPTS_PER_EVENT_MAX):
            try:
                sock, peer = self.socket.accept()
            except BlockingIOError:
                return False
            except OSError as error:
                if error.errno not in SHORTAGES:
                    continue  # that client is gone already
                if not keeper.ran_short():
                    worker.pause_accepting()  # those being served go first; see `Worker.look_after_servers`
                return False
            sock.setblocking(False)
            if (door is not None or not keeper.has_room()) and not keeper.lets_in(listener, sock, peer):
                turned_away += 1
                if turned_away >= TURNED_AWAY_PER_EVENT_MAX:
                    break  # those being served go first
                continue
            client = Downstream(worker, listener, sock, peer)
            if door is not None and not listener.knows_client_late:
                door.enter(client)
            reactor.start(_after_preambles(client) if listener.preambles else _served(client))
        return True


def _served(client: Downstream) -> Task:
    return client.serve_http() if client.listener.protocol is Protocol.HTTP else serve_tcp(client)


async def _after_preambles(client: Downstream) -> None:
    client.is_in_preamble = True
    try:
        for preamble in client.listener.preambles:
            await preamble(client)
    except (SourceEnded, SinkGone, PeerGone, Aborted, DeadlinePassed, OSError):
        client.close()
    else:
        client.is_in_preamble = False
        client.reactor.start(_served(client))
