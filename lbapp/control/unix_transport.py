"""Carrying requests over a Unix socket on the event loop, in a way that may be cancelled at any moment.

Responsible for the connection under the asynchronous client: connect, read, write and close with timeouts. Knows nothing of
the control API. httpcore's own Unix backend is not used: anyio's raw Unix streams (4.16) hand `Future.set_result` to the
loop, so that leaving while an answer comes in raises InvalidStateError in the loop. The same socket wrapped as a plain
`SocketStream` is read through a transport and has no such moment.

Invariant: every connection carries one exchange; what goes wrong is an error of httpcore.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from pathlib import Path

import anyio
import httpcore
from anyio.abc import SocketStream


def connections(path: Path) -> httpcore.AsyncConnectionPool:
    """Return what sends every request to the socket at `path`, each on a connection of its own."""
    return httpcore.AsyncConnectionPool(uds=str(path), max_keepalive_connections=0, network_backend=_UnixBackend())


class _UnixBackend(httpcore.AsyncNetworkBackend):
    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own signature
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        # A Unix socket connects at once or not at all, so there is nothing for the timeout to end.
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.setblocking(False)
            connection.connect(path)
            return _Stream(await SocketStream.from_socket(connection))
        except OSError as error:
            connection.close()
            raise httpcore.ConnectError(str(error)) from error
        except BaseException:
            connection.close()
            raise


class _Stream(httpcore.AsyncNetworkStream):
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
