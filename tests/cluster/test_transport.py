from __future__ import annotations

import contextlib
import ssl

import anyio
import httpx
import pytest
from anyio.abc import SocketStream

from lbapp.cluster.transport import CancellableTransport

pytestmark = pytest.mark.anyio


async def test_a_handshake_that_is_given_up_leaves_no_socket_open() -> None:
    begun, ended = anyio.Event(), anyio.Event()

    async def say_nothing(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            begun.set()
            with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                while True:
                    await stream.receive()
            ended.set()

    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
        httpx.AsyncClient(transport=CancellableTransport(ssl.create_default_context())) as client,
    ):
        tasks.start_soon(listener.serve, say_nothing)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with anyio.create_task_group() as asking:
            asking.start_soon(client.get, f"https://127.0.0.1:{port}/")
            await begun.wait()
            asking.cancel_scope.cancel()
        with anyio.fail_after(5):
            await ended.wait()
        tasks.cancel_scope.cancel()
