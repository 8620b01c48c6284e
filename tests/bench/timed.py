"""Servers whose service takes time and no CPU: `python -m tests.bench.timed KIND...`, a KIND being PORT:MEAN_US:SLOTS:STATUS.

Responsible for one process that is many HTTP servers: each serves `SLOTS` requests at a time and lets others queue, in order of
arrival. How long a request takes is its own demand (the field X-Work, a share of the mean) times the server's mean, so that the
same requests are the same work whoever passes them on. Knows nothing of proxies.

Invariant: a request without X-Work, such as a health probe, is answered at once and takes no slot.
"""

from __future__ import annotations

import heapq
import re
import select
import socket
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from tests.bench.process import HOST

_WORK: Final = re.compile(rb"\r\nx-work: *([0-9.]+)", re.IGNORECASE)
_BODY: Final = b"0123456789abcdef" * 16
_WAIT_MAX_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Kind:
    """One server: requests a time unit of work takes (`mean_us`), how many at once, and the status it answers work with."""

    port: int
    mean_us: int
    slots: int = 2
    status: int = 200

    def show(self) -> str:
        """Return it as the command line has it."""
        return f"{self.port}:{self.mean_us}:{self.slots}:{self.status}"

    @classmethod
    def read(cls, text: str) -> Kind:
        """The reverse of `show`."""
        return cls(*map(int, text.split(":")))


class _Server:
    """One port: what is being served and what waits for a slot."""

    def __init__(self, kind: Kind) -> None:
        self.mean_s = kind.mean_us / 1e6
        self.free = kind.slots
        self.queue: deque[tuple[_Connection, float]] = deque()
        self.answer = _answer(kind.status, kind.port)
        self.idle_answer = _answer(200, kind.port)
        self.listener = socket.create_server((HOST, kind.port), backlog=4096)
        self.listener.setblocking(False)


def _answer(status: int, port: int) -> bytes:
    fields = (
        f"HTTP/1.1 {status} Answer\r\nContent-Type: text/plain\r\nX-Server: {port}\r\nContent-Length: {len(_BODY)}\r\n"
    )
    return f"{fields}Cache-Control: private\r\n\r\n".encode() + _BODY


@dataclass(slots=True)
class _Connection:
    socket: socket.socket
    server: _Server
    received: bytearray = field(default_factory=bytearray)


class Process:
    """All servers on one epoll and one heap of due answers."""

    def __init__(self, kinds: Sequence[Kind]) -> None:
        self._epoll = select.epoll()
        self._due: list[tuple[float, int, _Connection]] = []
        self._number = 0
        self._listeners: dict[int, _Server] = {}
        self._connections: dict[int, _Connection] = {}
        for kind in kinds:
            server = _Server(kind)
            self._listeners[server.listener.fileno()] = server
            self._epoll.register(server.listener, select.EPOLLIN)

    def run(self) -> None:
        """Serve until the process is ended."""
        while True:
            wait_s = self._due[0][0] - monotonic() if self._due else _WAIT_MAX_S
            # epoll waits whole milliseconds, too coarse here; select waits on epoll's own descriptor by the microsecond.
            select.select([self._epoll.fileno()], (), (), max(wait_s, 0.0))
            for number, _ in self._epoll.poll(0):
                if number in self._listeners:
                    self._accept(self._listeners[number])
                else:
                    self._receive(self._connections[number])
            now_s = monotonic()
            while self._due and self._due[0][0] <= now_s:
                at_s, _, connection = heapq.heappop(self._due)
                self._finish(connection, at_s)

    def _accept(self, server: _Server) -> None:
        with suppress(BlockingIOError):
            while True:
                accepted, _ = server.listener.accept()
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._connections[accepted.fileno()] = _Connection(accepted, server)
                self._epoll.register(accepted, select.EPOLLIN)

    def _receive(self, connection: _Connection) -> None:
        try:
            data = connection.socket.recv(65_536)
        except OSError:
            data = b""
        if not data:
            self._connections.pop(connection.socket.fileno()).socket.close()
            return
        connection.received += data
        if not connection.received.endswith(b"\r\n\r\n"):
            return
        found = _WORK.search(bytes(connection.received))
        connection.received.clear()
        server = connection.server
        if found is None:
            _send(connection, server.idle_answer)
        elif server.free:
            server.free -= 1
            self._serve(connection, float(found[1]), monotonic())
        else:
            server.queue.append((connection, float(found[1])))

    def _serve(self, connection: _Connection, work: float, now_s: float) -> None:
        self._number += 1
        heapq.heappush(self._due, (now_s + work * connection.server.mean_s, self._number, connection))

    def _finish(self, connection: _Connection, now_s: float) -> None:
        server = connection.server
        _send(connection, server.answer)
        if server.queue:
            self._serve(*server.queue.popleft(), now_s)
        else:
            server.free += 1


def _send(connection: _Connection, answer: bytes) -> None:
    with suppress(OSError):  # gone meanwhile: its slot was taken all the same
        connection.socket.send(answer)


if __name__ == "__main__":
    Process([Kind.read(text) for text in sys.argv[1:]]).run()
