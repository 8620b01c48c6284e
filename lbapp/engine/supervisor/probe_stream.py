"""The connection of a probe: opened, secured, written to, read from.

Responsible for bytes to and from one server, and for how far the probe has come. Knows nothing of what is asked or expected.
Invariants: every wait can be cancelled, which is how a probe ends in time; a connection that fails half-way is closed.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence
from typing import Final

import anyio

from lbapp.engine.channel import SocketAddress
from lbapp.engine.socket_options import bind_source
from lbapp.engine.tls_contexts import ServerTls
from lbapp.engine.tls_stream import TlsStream
from lbapp.engine.wire.proxy_protocol import ProxyHeader, build_v1, build_v2
from lbapp.model.limits import PROBE_EXCERPT_BYTES_MAX
from lbapp.model.transport import PoolTransport, ProxyVersion

_RECEIVE_BYTES: Final = 16 * 1024
_OWN_HEADERS: Final = {  # a probe is nobody's connection but ours
    ProxyVersion.V1: build_v1(ProxyHeader(is_local=True)),
    ProxyVersion.V2: build_v2(ProxyHeader(is_local=True)),
}


class ProbeStream:
    """One connection. `layer` is how far it came; `seen` the beginning of what the server said."""

    def __init__(self) -> None:
        self.layer = "name"
        self.seen = b""
        self._socket: socket.socket | None = None
        self._stream: socket.socket | TlsStream | None = None

    async def open(self, addresses: Sequence[SocketAddress], transport: PoolTransport, tls: ServerTls | None) -> None:
        """Connect to the first address that can be connected to, and introduce and secure the connection as the pool wants.

        Raises OSError, without an address too.
        """
        if not addresses:
            raise OSError("name not resolved")
        self.layer = "connect"
        connection = await _connect_first(addresses, transport.source)
        self._socket = self._stream = connection
        if transport.proxy_protocol is not None:
            await self.send(_OWN_HEADERS[transport.proxy_protocol])
        if tls is not None:
            self.layer = "tls"
            stream = TlsStream(tls.context, connection, tls.name)
            while not stream.shake_hands():
                await (anyio.wait_writable(connection) if stream.is_blocked else anyio.wait_readable(connection))
            self._stream = stream

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        assert self._socket is not None and self._stream is not None  # noqa: PT018 - open before use
        while data:
            try:
                data = data[self._stream.send(data) :]
            except BlockingIOError:
                await anyio.wait_writable(self._socket)

    async def receive(self) -> bytes:
        """Return what comes next; nothing at the end."""
        assert self._socket is not None and self._stream is not None  # noqa: PT018 - open before use
        while True:
            try:
                data: bytes = self._stream.recv(_RECEIVE_BYTES)
            except BlockingIOError:
                await anyio.wait_readable(self._socket)
                continue
            if len(self.seen) < PROBE_EXCERPT_BYTES_MAX:
                self.seen = (self.seen + data)[:PROBE_EXCERPT_BYTES_MAX]
            return data

    def end(self) -> None:
        """Say that no more comes, where that can be said."""
        if isinstance(self._stream, TlsStream):
            self._stream.end()

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()


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
