"""TLS that is passed on unopened: the pool is chosen by the name that the client asks for.

Responsible for reading, without consuming it, the hello that every connection of such a listener has to begin with. Knows nothing
of its bytes (`wire.client_hello`) and holds no key.

Invariants: not one byte is consumed, so that the server gets the hello as the client sent it; nothing is relayed before a whole
hello has been read; a client that speaks no TLS reaches no server.
"""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING, Final

from lbapp.engine.policy.server_names import RouteNames
from lbapp.engine.wire.client_hello import BadClientHello, parse_client_hello
from lbapp.engine.worker.pools import UpstreamPool
from lbapp.engine.worker.reactor import READ, READ_AGAIN, DeadlinePassed
from lbapp.engine.worker.relay import SourceEnded
from lbapp.model.entities import Listener
from lbapp.model.limits import CLIENT_HELLO_BYTES_MAX, FAULT_LOG_INTERVAL_S
from lbapp.model.outcomes import Outcome

if TYPE_CHECKING:
    from lbapp.engine.worker.downstream import Downstream

_ENDED: Final = READ & ~READ_AGAIN
log = logging.getLogger("lbapp.worker")


class PassthroughPreamble:
    """Chooses the pool of each connection of one TCP listener."""

    def __init__(self, listener: Listener, pools: dict[str, UpstreamPool]) -> None:
        self._listener = listener.name
        routes = [(route.sni, pools[route.pool]) for route in listener.routes if route.sni and route.pool]
        self._names: RouteNames[UpstreamPool] = RouteNames(routes)
        self._quiet_until = 0.0

    async def __call__(self, client: Downstream) -> None:
        """Note the pool on the connection. Raises SourceEnded or DeadlinePassed for who is not to be served."""
        try:
            name = await _read_name(client)
        except BadClientHello as bad:
            self._refuse(client, Outcome.CLIENT_BAD_REQUEST, str(bad))
            raise SourceEnded from bad
        except DeadlinePassed:
            self._refuse(client, Outcome.CLIENT_TIMEOUT, "no whole TLS hello came in time")
            raise
        found = self._names.find(name) if name is not None else None
        if found is not None:
            client.tcp_pool = found
        if client.tcp_pool is None:
            wanted = f"no route takes {name}" if name is not None else "the client asks for no name"
            self._refuse(client, Outcome.NO_ROUTE, wanted)
            raise SourceEnded

    def _refuse(self, client: Downstream, outcome: Outcome, reason: str) -> None:
        client.listener.cells.turned_down(outcome)
        if client.listener.trail is not None:
            client.listener.trail.answered(client, None, outcome, 0, 0)
        now = client.reactor.now
        if now >= self._quiet_until:  # all are counted; one a second is written out
            self._quiet_until = now + FAULT_LOG_INTERVAL_S
            name, address = self._listener, client.address or "unix:"
            log.info("listener %s: closed a connection from %s: %s", name, address, reason)


async def _read_name(client: Downstream) -> str | None:
    """Return the name that the client asks for. Raises BadClientHello, DeadlinePassed, SourceEnded, OSError."""
    deadline = client.reactor.now + client.limits.tls_handshake_timeout_s
    while True:
        await client.readable(deadline)
        try:
            data = client.socket.recv(CLIENT_HELLO_BYTES_MAX, socket.MSG_PEEK)
        except BlockingIOError:
            continue
        if not data:
            raise SourceEnded  # it never began: a port probe, or a health check that only connects
        hello = parse_client_hello(data)
        if hello is not None:
            client.read_again()  # it is still there, and has had its event
            return hello.server_name
        if client.ready & _ENDED:
            raise BadClientHello("the connection ended within its hello")
