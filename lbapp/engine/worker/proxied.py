"""The PROXY protocol at work: who a client really is, and telling it to servers.

Responsible for taking in the header that a trusted proxy sends before all else, and for the header that a new connection to a
server begins with. Knows nothing of the bytes of a header (`wire.proxy_protocol`) or of what comes behind one.

Invariants: where a listener asks for a header, nothing of a connection is served before a whole one from a trusted peer has been
read; not one byte behind it is consumed, so that TLS, HTTP or a tunnel finds its first byte where it looks for it.
"""

from __future__ import annotations

import logging
import socket
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any, Final

from lbapp.engine.wire.forwarding import client_address
from lbapp.engine.wire.proxy_protocol import (
    BadProxyHeader,
    End,
    InetEnd,
    ProxyHeader,
    UnixEnd,
    build_v1,
    build_v2,
    parse_proxy_header,
)
from lbapp.engine.worker.reactor import READ, READ_AGAIN, DeadlinePassed
from lbapp.engine.worker.relay import SourceEnded
from lbapp.model.limits import FAULT_LOG_INTERVAL_S, PROXY_HEADER_BYTES_MAX
from lbapp.model.outcomes import Outcome
from lbapp.model.transport import ListenerTransport, ProxyVersion

if TYPE_CHECKING:
    from lbapp.engine.worker.downstream import Downstream

_ENDED: Final = READ & ~READ_AGAIN  # a stream that ended or broke, with or without bytes before that
log = logging.getLogger("lbapp.worker")


class ProxyPreamble:
    """Takes in the header of each connection of one listener. It runs before any other preamble."""

    def __init__(self, listener: str, transport: ListenerTransport) -> None:
        self._listener = listener
        self._networks = transport.proxy_protocol_from
        self._trusts_unix = transport.trusts_unix
        self._quiet_until = 0.0

    async def __call__(self, client: Downstream) -> None:
        """Let the client be who the header says it is. Raises SourceEnded or DeadlinePassed for who is not to be served."""
        try:
            if not self._is_trusted(client.address):
                raise BadProxyHeader("the peer is not in proxy_protocol_from")
            header = await _read_header(client)
        except BadProxyHeader as bad:
            self._refuse(client, Outcome.CLIENT_BAD_REQUEST, bad.reason)
            raise SourceEnded from bad
        except DeadlinePassed:
            self._refuse(client, Outcome.CLIENT_TIMEOUT, "no whole PROXY header came in time")
            raise
        client.take_over(header)

    def _is_trusted(self, address: IPv4Address | IPv6Address | None) -> bool:
        if address is None:
            return self._trusts_unix
        return any(address in network for network in self._networks)

    def _refuse(self, client: Downstream, outcome: Outcome, reason: str) -> None:
        client.listener.cells.turned_down(outcome)
        if client.listener.trail is not None:
            client.listener.trail.answered(client, None, outcome, 0, 0)
        now = client.reactor.now
        if now >= self._quiet_until:  # all are counted; one a second is written out
            self._quiet_until = now + FAULT_LOG_INTERVAL_S
            log.warning(
                "listener %s: closed a connection from %s: %s", self._listener, client.address or "unix:", reason
            )


async def _read_header(client: Downstream) -> ProxyHeader:
    """Read a header and no byte more. Raises BadProxyHeader, DeadlinePassed, SourceEnded, OSError."""
    deadline = client.reactor.now + client.limits.proxy_header_timeout_s
    while True:
        await client.readable(deadline)
        try:
            data = client.socket.recv(PROXY_HEADER_BYTES_MAX, socket.MSG_PEEK)
        except BlockingIOError:
            continue
        if not data:
            raise SourceEnded  # it never began: a port probe, or a health check that only connects
        parsed = parse_proxy_header(data)
        if parsed is not None:
            header, end = parsed
            client.socket.recv(end)
            client.ready |= READ_AGAIN  # what stands behind the header has had its event already
            return header
        if client.ready & _ENDED:
            raise BadProxyHeader("the connection ended within its PROXY header")


def build_proxy_header(version: ProxyVersion, client: Downstream) -> bytes:
    """Return the header that tells a server who the client is and where it came in."""
    header = _seen_from_here(client)
    return build_v1(header) if version is ProxyVersion.V1 else build_v2(header)


def _seen_from_here(client: Downstream) -> ProxyHeader:
    taken_over = client.proxied
    if taken_over is not None and taken_over.source is not None:
        return taken_over
    source, destination = _end(client.peer), _end(client.socket.getsockname())
    if isinstance(source, InetEnd) and isinstance(destination, InetEnd):
        if source.address.version != destination.address.version:  # one came as IPv4 over IPv6, and is both
            source, destination = _as_ipv6(source), _as_ipv6(destination)
        return ProxyHeader(False, source, destination)
    return ProxyHeader(False, source, destination)


def _end(name: Any) -> End:
    """Return one end as `accept` or `getsockname` names it."""
    address = client_address(name)
    if address is not None:
        return InetEnd(address, name[1])
    return UnixEnd(name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape"))


def _as_ipv6(end: InetEnd) -> InetEnd:
    address = end.address
    return InetEnd(IPv6Address(f"::ffff:{address}"), end.port) if address.version == 4 else end
