"""The demo's clients: steady traffic with varied paths, over kept and over new connections.

Responsible for a hundred or two requests a second, so that a laptop stays cool. Knows nothing of lbapp but its
addresses. Invariant: it ends when its standard input does; a refused or broken connection is tried again, never
fatal.
"""

from __future__ import annotations

import random
import sys
from typing import Final

import anyio
import h11
from anyio.abc import SocketStream

from lbapp.cli.demo.parent import wait_for_end_of_input

_CLIENTS: Final = 12
_TALKERS: Final = 3
_PAUSE_S: Final = 0.06
_TALK_PAUSE_S: Final = 0.3
_RETRY_PAUSE_S: Final = 0.5
_REQUESTS_PER_CONNECTION: Final = 50
_GONE: Final = (OSError, anyio.BrokenResourceError, anyio.EndOfStream, h11.RemoteProtocolError)


def _path() -> str:
    number = random.randrange(10**6)
    return random.choice(("/", f"/items/{number}", f"/search?q={number:x}", f"/api/orders/{number}"))


async def _exchange(stream: SocketStream, connection: h11.Connection) -> bool:
    """Send one request and read its answer; return whether the connection may carry another."""
    fields = [("Host", "demo.example"), ("User-Agent", "lbapp-demo"), ("X-Id", f"{random.getrandbits(64):x}")]
    head = h11.Request(method="GET", target=_path(), headers=fields)
    await stream.send(b"".join(connection.send(part) or b"" for part in (head, h11.EndOfMessage())))
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await stream.receive())
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            break
    if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
        return False
    connection.start_next_cycle()
    return True


async def _client(host: str, port: int) -> None:
    while True:
        try:
            async with await anyio.connect_tcp(host, port) as stream:
                connection = h11.Connection(h11.CLIENT)
                for _ in range(random.randint(1, _REQUESTS_PER_CONNECTION)):
                    if not await _exchange(stream, connection):
                        break
                    await anyio.sleep(random.expovariate(1 / _PAUSE_S))
        except _GONE:
            await anyio.sleep(_RETRY_PAUSE_S)


async def _talker(host: str, port: int) -> None:
    while True:
        try:
            async with await anyio.connect_tcp(host, port) as stream:
                for _ in range(random.randint(5, 60)):
                    await stream.send(bytes(random.randint(1, 4000)))
                    await stream.receive()
                    await anyio.sleep(_TALK_PAUSE_S)
        except _GONE:
            await anyio.sleep(_RETRY_PAUSE_S)


async def main(http: str, tcp: str) -> None:
    """Send traffic to these addresses (`host:port`) until standard input ends."""
    async with anyio.create_task_group() as tasks:
        for address, client, number in ((http, _client, _CLIENTS), (tcp, _talker, _TALKERS)):
            host, _, port = address.rpartition(":")
            for _ in range(number):
                tasks.start_soon(client, host, int(port))
        await wait_for_end_of_input()
        tasks.cancel_scope.cancel()


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2])
