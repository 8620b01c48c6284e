"""One run of a health check against one server.

Responsible for the TCP connection, TLS where the pool speaks it, the HTTP request and the words for what was
found. Knows nothing of thresholds, states or when to probe. Invariants: a probe ends within its timeout, whatever
the server does; it never raises for anything a server can do; 2xx and 3xx are successes, all else is a failure
with its reason.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
import time
from collections.abc import Sequence
from typing import Final

import anyio
import h11

from lbapp import __version__
from lbapp.engine.channel import SocketAddress
from lbapp.engine.policy.health import ProbeResult
from lbapp.engine.socket_options import bind_source
from lbapp.engine.tls_contexts import ServerTls
from lbapp.engine.tls_stream import TlsStream
from lbapp.engine.wire.proxy_protocol import ProxyHeader, build_v1, build_v2
from lbapp.model.entities import CheckType, HealthCheck
from lbapp.model.limits import PROBE_BODY_BYTES_MAX
from lbapp.model.transport import PoolTransport, ProxyVersion

_RECEIVE_BYTES: Final = 16 * 1024
_PLAIN: Final = PoolTransport()
_OWN_HEADERS: Final = {  # a probe is nobody's connection but ours
    ProxyVersion.V1: build_v1(ProxyHeader(is_local=True)),
    ProxyVersion.V2: build_v2(ProxyHeader(is_local=True)),
}
_REASONS: Final = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.EPIPE: "connection reset",
    errno.EHOSTUNREACH: "no route to host",
    errno.ENETUNREACH: "network unreachable",
    errno.ETIMEDOUT: "connection timed out",
    errno.EAGAIN: "the queue of its socket is full",
    errno.EMFILE: "lbapp has too many open files",
}


async def probe(
    check: HealthCheck,
    addresses: Sequence[SocketAddress],
    authority: str,
    transport: PoolTransport = _PLAIN,
    tls: ServerTls | None = None,
) -> ProbeResult:
    """Run `check` once.

    `authority` is the Host field; of several addresses the first that connects is asked, the way traffic would.
    """
    started = time.monotonic()
    is_success, reason = False, f"no answer within {check.timeout_s:g}s"
    with anyio.move_on_after(check.timeout_s):
        try:
            is_success, reason = await _probe(check, addresses, authority, transport, tls)
        except ssl.SSLCertVerificationError as error:
            reason = f"certificate refused: {error.verify_message}"
        except ssl.SSLError as error:
            reason = f"TLS failed: {(getattr(error, 'reason', None) or str(error)).lower().replace('_', ' ')}"
        except OSError as error:
            reason = _REASONS.get(error.errno or 0) or error.strerror or str(error)
        except h11.RemoteProtocolError:
            reason = "no valid HTTP response"
    return ProbeResult(is_success, reason, time.monotonic() - started)


async def _probe(
    check: HealthCheck,
    addresses: Sequence[SocketAddress],
    authority: str,
    transport: PoolTransport,
    tls: ServerTls | None,
) -> tuple[bool, str]:
    if not addresses:
        return False, "name not resolved"
    connection = await _connect_first(addresses, transport.source)
    with connection:
        if transport.proxy_protocol is not None:
            await _send(connection, _OWN_HEADERS[transport.proxy_protocol])
        stream: socket.socket | TlsStream = connection
        if tls is not None:
            stream = await _secured(connection, tls)
        if check.type is CheckType.TCP:
            found = True, "connected"
        else:
            found = await _ask(stream, check.path, authority)
        if isinstance(stream, TlsStream):
            stream.end()
        return found


async def _secured(connection: socket.socket, tls: ServerTls) -> TlsStream:
    stream = TlsStream(tls.context, connection, tls.name)
    while not stream.shake_hands():
        await (anyio.wait_writable(connection) if stream.is_blocked else anyio.wait_readable(connection))
    return stream


async def _connect_first(addresses: Sequence[SocketAddress], source: str | None) -> socket.socket:
    for position, address in enumerate(addresses, 1):
        try:
            return await _connect(address, source)
        except OSError:
            if position == len(addresses):
                raise
    raise AssertionError("no address")


async def _connect(address: SocketAddress, source: str | None) -> socket.socket:
    family, host, port = address
    connection = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        if source is not None:
            bind_source(connection, source)
        number = connection.connect_ex(host if family == socket.AF_UNIX else (host, port))
        if number == errno.EINPROGRESS:
            await anyio.wait_writable(connection)
            number = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            raise OSError(number, os.strerror(number))
    except BaseException:
        connection.close()
        raise
    return connection


async def _ask(connection: socket.socket | TlsStream, path: str, authority: str) -> tuple[bool, str]:
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=PROBE_BODY_BYTES_MAX)
    headers = [
        ("Host", authority),
        ("User-Agent", f"lbapp/{__version__} health-check"),
        ("Accept", "*/*"),
        ("Connection", "close"),
    ]
    request = http.send(h11.Request(method="GET", target=path, headers=headers)) or b""
    await _send(connection, request + (http.send(h11.EndOfMessage()) or b""))
    status, body_bytes = 0, 0
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await _receive(connection))
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body_bytes += len(event.data)
            if body_bytes > PROBE_BODY_BYTES_MAX:
                break
        elif not isinstance(event, h11.InformationalResponse):
            break
    if not status:
        return False, "closed without a response"
    return 200 <= status < 400, f"HTTP {status}"


async def _send(connection: socket.socket | TlsStream, data: bytes) -> None:
    while data:
        try:
            data = data[connection.send(data) :]
        except BlockingIOError:
            await anyio.wait_writable(connection)


async def _receive(connection: socket.socket | TlsStream) -> bytes:
    while True:
        try:
            return connection.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            await anyio.wait_readable(connection)
