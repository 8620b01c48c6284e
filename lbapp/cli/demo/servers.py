"""The demo's servers: real HTTP servers of different speeds, one of them moody, and two that echo TCP.

Responsible for answering on free loopback ports, which it prints as one line of JSON. Knows nothing of lbapp.
Invariant: it ends when its standard input does.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import anyio
import h11
from anyio.abc import SocketAttribute, SocketStream, TaskGroup

from lbapp.cli.demo.parent import wait_for_end_of_input

SPEEDS_S: Final = {"fast": 0.004, "medium": 0.012, "slow": 0.05, "moody": 0.008}
ECHOES: Final = ("echo-1", "echo-2")
_MOOD_PERIOD_S: Final = 40.0
_MOOD_LENGTH_S: Final = 15.0
_MOODY_ERRORS: Final = 0.3  # of the requests that reach it while its health check fails
_GONE: Final = (anyio.BrokenResourceError, anyio.EndOfStream, h11.RemoteProtocolError)


def is_in_bad_mood(name: str, now_s: float) -> bool:
    """Say whether a server fails its health check at a moment, in seconds since the start."""
    return name == "moody" and now_s % _MOOD_PERIOD_S > _MOOD_PERIOD_S - _MOOD_LENGTH_S


class HttpServer:
    """One server: answers with its name after a while that differs from request to request."""

    def __init__(self, name: str, mean_s: float) -> None:
        self._name = name
        self._mean_s = mean_s
        self._started_s = time.monotonic()

    async def serve(self, stream: SocketStream) -> None:
        """Serve one connection until either side ends it."""
        connection = h11.Connection(h11.SERVER)
        async with stream:
            try:
                while (target := await self._receive(stream, connection)) is not None:
                    await self._answer(stream, connection, target)
                    if connection.our_state is h11.MUST_CLOSE:
                        return
                    connection.start_next_cycle()
            except _GONE:
                return

    async def _receive(self, stream: SocketStream, connection: h11.Connection) -> str | None:
        """Read one whole request; return its target, None when the client has closed."""
        target = ""
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await stream.receive())
            elif isinstance(event, h11.Request):
                target = event.target.decode("ascii")
            elif isinstance(event, h11.EndOfMessage):
                return target
            elif isinstance(event, h11.ConnectionClosed):
                return None

    async def _answer(self, stream: SocketStream, connection: h11.Connection, target: str) -> None:
        is_moody = is_in_bad_mood(self._name, time.monotonic() - self._started_s)
        if target == "/healthz":
            status = 503 if is_moody else 200
        else:
            await anyio.sleep(random.expovariate(1 / self._mean_s))
            status = 500 if is_moody and random.random() < _MOODY_ERRORS else 200
        body = f"{self._name} answers {target}\n".encode()
        fields = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
        parts = (
            h11.Response(status_code=status, headers=fields),
            h11.Data(data=body),
            h11.EndOfMessage(),
        )
        await stream.send(b"".join(connection.send(part) or b"" for part in parts))


async def _echo(stream: SocketStream) -> None:
    async with stream:
        try:
            async for data in stream:
                await stream.send(data)
        except anyio.BrokenResourceError:
            return


async def _listen(tasks: TaskGroup, serve: Callable[[SocketStream], Awaitable[None]]) -> int:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    tasks.start_soon(partial(listener.serve, serve))
    port: int = listener.extra(SocketAttribute.local_port)
    return port


async def main() -> None:
    """Serve until standard input ends."""
    async with anyio.create_task_group() as tasks:
        ports = {name: await _listen(tasks, HttpServer(name, mean_s).serve) for name, mean_s in SPEEDS_S.items()}
        ports |= {name: await _listen(tasks, _echo) for name in ECHOES}
        sys.stdout.write(json.dumps(ports) + "\n")
        sys.stdout.flush()
        await wait_for_end_of_input()
        tasks.cancel_scope.cancel()


if __name__ == "__main__":
    anyio.run(main)
