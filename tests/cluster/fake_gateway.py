"""A gateway that can be told to misbehave: it answers whatever it is told to, or passes everything on to a real store."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from anyio.abc import SocketStream, TaskStatus

Asked = tuple[str, dict[str, Any], dict[str, str]]  # path below /v3/, body, head fields in small letters
Behaviour = Callable[["Exchange"], Awaitable[None]]


@dataclass
class Exchange:
    """One request, and the connection that it came by."""

    gateway: FakeGateway
    stream: SocketStream
    path: str
    body: dict[str, Any]
    fields: dict[str, str]

    async def send(self, data: bytes) -> None:
        await self.stream.send(data)
        self.gateway.sent_bytes += len(data)

    async def answer(self, body: object, status: int = 200, more: str = "") -> None:
        """Answer with JSON, or with bytes as they are."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(data)}\r\n{more}\r\n"
        await self.send(head.encode() + data)

    async def begin(self) -> None:
        """Begin an answer of unknown length."""
        await self.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")

    async def chunk(self, data: bytes) -> None:
        await self.send(b"%x\r\n%b\r\n" % (len(data), data))


@dataclass
class FakeGateway:
    """`behave`: what comes of each request; None: it is passed on to `store`, a port."""

    behave: Behaviour | None = None
    store: int = 0
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    sent_bytes: int = 0
    _open: set[SocketStream] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def calls(self, path: str) -> list[Asked]:
        return [each for each in self.asked if each[0] == path]

    async def become(self, behave: Behaviour | None) -> None:
        """Behave so from now on, and break off what is open."""
        self.behave = behave
        for stream in list(self._open):
            await anyio.aclose_forcefully(stream)

    async def serve(self, *, task_status: TaskStatus[None]) -> None:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        self.port = listener.extra(anyio.abc.SocketAttribute.local_port)
        task_status.started()
        async with listener:
            await listener.serve(self._connection)

    async def _connection(self, stream: SocketStream) -> None:
        self._open.add(stream)
        broken = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, OSError)
        try:
            async with stream:
                with contextlib.suppress(*broken):
                    await (self._pass_on(stream) if self.behave is None else self._exchanges(stream))
        finally:
            self._open.discard(stream)

    async def _exchanges(self, stream: SocketStream) -> None:
        data = b""
        while True:
            while b"\r\n\r\n" not in data:
                data += await stream.receive()
            head, _, data = data.partition(b"\r\n\r\n")
            lines = head.decode().split("\r\n")
            fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            while len(data) < int(fields["content-length"]):
                data += await stream.receive()
            body, data = data[: int(fields["content-length"])], data[int(fields["content-length"]) :]
            path = lines[0].split(" ")[1].removeprefix("/v3/")
            self.asked.append((path, json.loads(body), fields))
            assert self.behave is not None
            await self.behave(Exchange(self, stream, path, json.loads(body), fields))

    async def _pass_on(self, stream: SocketStream) -> None:
        async with await anyio.connect_tcp("127.0.0.1", self.store) as store, anyio.create_task_group() as tasks:

            async def relay(source: SocketStream, sink: SocketStream) -> None:
                broken = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, OSError)
                with contextlib.suppress(*broken):
                    while True:
                        await sink.send(await source.receive())
                tasks.cancel_scope.cancel()

            tasks.start_soon(relay, stream, store)
            tasks.start_soon(relay, store, stream)


@asynccontextmanager
async def running_gateway(behave: Behaviour | None = None, store: int = 0) -> AsyncIterator[FakeGateway]:
    """Run a gateway until the block ends."""
    gateway = FakeGateway(behave, store)
    async with anyio.create_task_group() as tasks:
        await tasks.start(gateway.serve)
        yield gateway
        tasks.cancel_scope.cancel()


async def hang(_: Exchange) -> None:
    """Say nothing."""
    await anyio.sleep_forever()


def always(body: object, status: int = 200) -> Behaviour:
    """Answer everything so."""

    async def behave(exchange: Exchange) -> None:
        await exchange.answer(body, status)

    return behave
