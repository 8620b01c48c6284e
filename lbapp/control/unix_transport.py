"""Carrying httpx requests over a Unix socket, in a way that may be cancelled at any moment and leaves nothing open.

Responsible for the connection under both clients: connect, read, write and close with timeouts. Knows nothing of the control
API. httpx's own Unix transports are not used. The plain one leaves a socket that did not connect to the garbage collector. The
asynchronous one has anyio's raw Unix streams (4.16), which hand `Future.set_result` to the loop, so that leaving while an answer
comes in raises InvalidStateError in the loop; the same socket wrapped as a plain `SocketStream` is read through a transport and
has no such moment.

Invariant: every connection carries one exchange; what goes wrong is an error of httpcore, which httpx makes its own.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import anyio
import httpcore
import httpx
from anyio.abc import SocketStream

_CONNECTIONS_MAX: Final = 100  # at a time; as httpx has it


class UnixTransport(httpx.HTTPTransport):
    """Sends every request to the socket at `path`, each on a connection of its own."""

    def __init__(self, path: Path) -> None:
        # No TLS on a Unix socket: loading the certificates would cost every command 50 ms.
        super().__init__(verify=False)
        self._pool = httpcore.ConnectionPool(
            uds=str(path),
            max_connections=_CONNECTIONS_MAX,
            max_keepalive_connections=0,
            network_backend=_Backend(),
        )


class AsyncUnixTransport(httpx.AsyncHTTPTransport):
    """The same for an event loop."""

    def __init__(self, path: Path) -> None:
        super().__init__(verify=False)
        self._pool = httpcore.AsyncConnectionPool(
            uds=str(path), max_keepalive_connections=0, network_backend=_AsyncBackend()
        )


@contextmanager
def _connected(path: str) -> Iterator[socket.socket]:
    """Connect, and close the connection again where that or the block fails."""
    # A Unix socket connects at once or not at all, so there is nothing for a timeout to end.
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.setblocking(False)
        connection.connect(path)
        yield connection
    except OSError as error:
        connection.close()
        raise httpcore.ConnectError(str(error)) from error
    except BaseException:
        connection.close()
        raise


class _Backend(httpcore.NetworkBackend):
    def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        with _connected(path) as connection:
            return _Stream(connection)


class _AsyncBackend(httpcore.AsyncNetworkBackend):
    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own signature
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        with _connected(path) as connection:
            return _AsyncStream(await SocketStream.from_socket(connection))


class _Stream(httpcore.NetworkStream):
    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            self._connection.settimeout(timeout)
            return self._connection.recv(max_bytes)
        except TimeoutError as error:
            raise httpcore.ReadTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ReadError(str(error)) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            self._connection.settimeout(timeout)
            self._connection.sendall(buffer)
        except TimeoutError as error:
            raise httpcore.WriteTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.WriteError(str(error)) from error

    def close(self) -> None:
        self._connection.close()


class _AsyncStream(httpcore.AsyncNetworkStream):
    def __init__(self, stream: SocketStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        try:
            with anyio.fail_after(timeout):
                return await self._stream.receive(max_bytes)
        except anyio.EndOfStream:
            return b""
        except TimeoutError as error:
            raise httpcore.ReadTimeout(str(error)) from error
        except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise httpcore.ReadError(str(error)) from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        try:
            with anyio.fail_after(timeout):
                await self._stream.send(buffer)
        except TimeoutError as error:
            raise httpcore.WriteTimeout(str(error)) from error
        except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise httpcore.WriteError(str(error)) from error

    async def aclose(self) -> None:
        await self._stream.aclose()
