"""The client of the lab: a process in the client's namespace. An order is one line of JSON, and so is its answer.

Orders: spread, flows, flows_now, flows_end, probe, probe_now, probe_end; what they mean stands at `Client` of lab.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections import Counter
from typing import Any

_ONCE = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
_KEPT = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
_AT_ONCE = 32
_FLOW_PAUSE_S = 0.1
_PROBE_PAUSE_S = 0.01


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> tuple[str, bool]:
    """Send one request; return the body, and whether the server closes behind it. Raises OSError, EOFError."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise OSError(head.split(b"\r\n")[0].decode())
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    return (await reader.readexactly(length)).decode(), b"connection: close" in head.lower()


async def once(address: str, port: int, timeout_s: float) -> str:
    async with asyncio.timeout(timeout_s):
        reader, writer = await asyncio.open_connection(address, port)
        try:
            return (await ask(reader, writer, _ONCE))[0]
        finally:
            writer.transport.abort()


class Kept:
    """A connection that is kept, with a request now and then. An engine that asks it to leave is obeyed: it is not broken."""

    def __init__(self) -> None:
        self.node = self.error = ""
        self.port = self.answers = 0
        self.moved = False
        self.task: asyncio.Task[None] | None = None
        self.answered = asyncio.Event()
        self.is_over = False

    async def run(self, address: str, port: int) -> None:
        try:
            async with asyncio.timeout(10):
                reader, writer = await asyncio.open_connection(address, port)
            self.port = writer.get_extra_info("sockname")[1]
            try:
                is_last = has_left = False
                while not is_last and not has_left:
                    is_last = self.is_over
                    async with asyncio.timeout(5):
                        node, has_left = await ask(reader, writer, _KEPT)
                    self.moved = self.moved or bool(self.node and node != self.node)
                    self.node = self.node or node
                    self.answers += 1
                    self.answered.set()
                    await asyncio.sleep(_FLOW_PAUSE_S)
            finally:
                writer.transport.abort()
        except (OSError, EOFError, TimeoutError) as error:
            self.error = f"from port {self.port}, after {self.answers} answers: {error!r}"
        self.answered.set()


class Orders:
    """What is under way."""

    def __init__(self) -> None:
        self._kept: list[Kept] = []
        self._probes: list[asyncio.Task[None]] = []
        self._seen: list[tuple[float, str, bool, float, float]] = []

    async def spread(self, count: int, address: str, port: int) -> dict[str, int]:
        met: Counter[str] = Counter()
        left = iter(range(count))

        async def some() -> None:
            for _ in left:
                try:
                    met[await once(address, port, 10)] += 1
                except (OSError, EOFError, TimeoutError) as error:
                    met[repr(error)] += 1

        await asyncio.gather(*(some() for _ in range(_AT_ONCE)))
        return dict(met)

    async def flows(self, count: int, address: str, port: int) -> None:
        self._kept = [Kept() for _ in range(count)]
        for each in self._kept:
            each.task = asyncio.create_task(each.run(address, port))
        for each in self._kept:
            await each.answered.wait()

    async def flows_now(self) -> dict[str, Any]:
        born = Counter(each.node or each.error for each in self._kept)
        broken: dict[str, list[str]] = {}
        for each in self._kept:
            if each.error:
                broken.setdefault(each.node, []).append(each.error)
        return {"born": born, "broken": broken, "moved": sum(each.moved for each in self._kept)}

    async def flows_end(self) -> dict[str, Any]:
        for each in self._kept:
            each.is_over = True
        await asyncio.gather(*(each.task for each in self._kept if each.task))
        return await self.flows_now()

    async def probe(self, address: str, port: int, timeout_s: float, clients: int) -> None:
        self._seen = []
        self._probes = [asyncio.create_task(self._probing(address, port, timeout_s)) for _ in range(clients)]

    async def _probing(self, address: str, port: int, timeout_s: float) -> None:
        while True:
            began_at = time.time()
            try:
                what, is_good = await once(address, port, timeout_s), True
            except (OSError, EOFError, TimeoutError) as error:
                what, is_good = repr(error), False
            self._seen.append((time.monotonic(), what, is_good, began_at, time.time()))
            await asyncio.sleep(_PROBE_PAUSE_S)

    async def probe_now(self) -> list[tuple[float, str, bool, float, float]]:
        return self._seen

    async def probe_end(self) -> list[tuple[float, str, bool, float, float]]:
        assert self._probes
        for each in self._probes:
            each.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await each
        return self._seen


async def main() -> None:
    orders = Orders()
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        order = json.loads(line)
        answer = await getattr(orders, order.pop("do"))(**order)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
