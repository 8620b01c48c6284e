"""An open loop: requests sent when they are due, whatever became of those before.

Responsible for a schedule of Poisson arrivals that is the same for everyone who asks with the same seed, for sending it over
connections that are kept, from one process on one epoll, and for the time from when each was due to its last byte. Knows nothing
of proxies or servers, but for the field X-Server that says which one answered.

Invariant: every planned request is answered or counted as an error; a late start counts as waiting, so that no pause is hidden.
"""

from __future__ import annotations

import random
import re
import select
import socket
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

from tests.bench.heads import request_heads
from tests.bench.process import HOST

HEADS_DIFFERENT: Final = 1_024
LINGER_S: Final = 10.0  # how long the last answers are waited for
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_SERVER: Final = re.compile(rb"\r\nx-server: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Planned:
    """One request: when it is due after the start, and its bytes."""

    at_s: float
    head: bytes


@dataclass
class Arrivals:
    """What came of a schedule: milliseconds of each good answer, answers by server, and errors by what they were."""

    waited_ms: list[float] = field(default_factory=list)
    servers: Counter[int] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    late_ms: float = 0.0  # the latest that a request was sent after it was due

    def percentile(self, share: float) -> float:
        """Return what such a share of the good answers did not exceed; 0 without any."""
        ordered = sorted(self.waited_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def plan(rate: float, count: int, seed: int) -> list[Planned]:
    """Return Poisson arrivals whose work is exponential with mean 1."""
    source = random.Random(seed)
    heads = request_heads(HEADS_DIFFERENT)
    planned, at_s = [], 0.0
    for number in range(count):
        at_s += source.expovariate(rate)
        head = heads[number % len(heads)].removesuffix(b"\r\n")
        planned.append(Planned(at_s, head + b"X-Work: %.6f\r\n\r\n" % source.expovariate(1.0)))
    return planned


class _Connection:
    __slots__ = ("due_s", "received", "sent", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((HOST, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.received = bytearray()
        self.due_s = 0.0
        self.sent = False


class Sender:
    """Sends one schedule to one port. `warm_s`: what is due before that is sent and not counted."""

    def __init__(self, port: int, warm_s: float = 0.0) -> None:
        self._port = port
        self._warm_s = warm_s
        self._epoll = select.epoll()
        self._all: dict[int, _Connection] = {}
        self._free: list[_Connection] = []
        self._under_way = 0
        self._counted_from_s = 0.0
        self.found = Arrivals()

    def run(self, planned: Sequence[Planned], is_over: Callable[[], bool] = lambda: False) -> Arrivals:
        """Send everything, or what is due until it `is_over`; wait for the last answer, return what came."""
        left = deque(planned)
        started = perf_counter() + 0.05
        self._counted_from_s = started + self._warm_s
        give_up_s = started + planned[-1].at_s + LINGER_S
        while (left or self._under_way) and perf_counter() < give_up_s:
            wait_s = started + left[0].at_s - perf_counter() if left else LINGER_S
            # epoll waits whole milliseconds; select waits by the microsecond, on epoll's own descriptor.
            select.select([self._epoll.fileno()], (), (), max(wait_s, 0.0))
            for number, _ in self._epoll.poll(0):
                self._receive(self._all[number])
            if left and is_over():
                left.clear()
                give_up_s = perf_counter() + LINGER_S
            while left and started + left[0].at_s <= perf_counter():
                request = left.popleft()
                self._send(request.head, started + request.at_s)
        if self._under_way:
            self.found.errors["no answer in time"] += self._under_way
        for connection in self._all.values():
            connection.socket.close()
        self._epoll.close()
        return self.found

    def _send(self, head: bytes, due_s: float) -> None:
        try:
            connection = self._free.pop() if self._free else self._open()
            connection.due_s = due_s
            connection.socket.send(head)
        except OSError as error:
            self.found.errors[type(error).__name__] += 1
            return
        connection.sent = True
        self._under_way += 1
        self.found.late_ms = max(self.found.late_ms, (perf_counter() - due_s) * 1e3)

    def _open(self) -> _Connection:
        connection = _Connection(self._port)
        self._all[connection.socket.fileno()] = connection
        self._epoll.register(connection.socket, select.EPOLLIN)
        return connection

    def _receive(self, connection: _Connection) -> None:
        try:
            data = connection.socket.recv(65_536)
        except OSError:
            data = b""
        if not data:
            self._lost(connection)
            return
        received = connection.received
        received += data
        end = received.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _LENGTH.search(received, 0, end + 2)
        if length is not None and len(received) < end + 4 + int(length[1]):
            return
        self._answered(connection, bytes(received[:end]))
        if length is None or b"\r\nconnection: close" in received[:end].lower():
            self._lost(connection)  # as the answer says: it is not to be used again
        else:
            received.clear()
            self._free.append(connection)

    def _answered(self, connection: _Connection, head: bytes) -> None:
        connection.sent = False
        self._under_way -= 1
        if connection.due_s < self._counted_from_s:
            return
        server = _SERVER.search(head + b"\r\n")
        if server is not None:
            self.found.servers[int(server[1])] += 1
        if head[9:12] == b"200":
            self.found.waited_ms.append((perf_counter() - connection.due_s) * 1e3)
        else:
            self.found.errors[head[9:12].decode("ascii", "replace")] += 1

    def _lost(self, connection: _Connection) -> None:
        if connection.sent:
            self._under_way -= 1
            self.found.errors["connection lost"] += 1
        with suppress(ValueError):
            self._free.remove(connection)
        del self._all[connection.socket.fileno()]
        connection.socket.close()
