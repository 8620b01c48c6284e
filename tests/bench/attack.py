"""Clients that mean harm, many of them in one process: `python -m tests.bench.attack KIND PORT COUNT PATH`.

Responsible for opening connections gradually from several loopback addresses, for holding each as its kind does, for opening
another where one was cut, and for saying how many are held and how many were cut, a line for each byte on stdin. Knows nothing of
who is attacked.

Invariants: it never waits for one connection, so all are held at the same time; a connection that is cut is not counted as held.
"""

from __future__ import annotations

import heapq
import json
import os
import select
import socket
import sys
import time
from dataclasses import dataclass, field
from typing import Final

from tests.bench.process import HOST, raise_open_files

OPENED_PER_S: Final = 1_000
DRIP_INTERVAL_S: Final = 5.0  # within every proxy's timeout between two bytes
ADDRESSES: Final = 8
CHURN_PER_TURN: Final = 20
KINDS: Final = ("heads", "bodies", "readers", "idle", "churn")
_HEAD: Final = b"GET / HTTP/1.1\r\nHost: attacker.example.com\r\n"
_BEGINNINGS: Final = {
    "heads": _HEAD,
    "bodies": b"POST %b HTTP/1.1\r\nHost: attacker.example.com\r\nContent-Length: 1000000\r\n\r\n",
    "readers": b"GET %b HTTP/1.1\r\nHost: attacker.example.com\r\n\r\n",
    "idle": b"",
}
_DRIPS: Final = {"heads": b"X-A: b\r\n", "bodies": b"x"}


@dataclass
class Attack:
    """All connections of one kind. `cut`: how many the other side ended; `refused`: how many were not let in at all."""

    kind: str
    port: int
    count: int
    path: str
    held: dict[int, socket.socket] = field(default_factory=dict)
    cut: int = 0
    refused: int = 0
    opened: int = 0
    _poll: select.epoll = field(default_factory=select.epoll)
    _drips: list[tuple[float, int]] = field(default_factory=list)
    _next_open_at: float = 0.0

    def run(self) -> None:
        """Attack until stdin ends."""
        self._poll.register(sys.stdin.fileno(), select.EPOLLIN)
        while True:
            now = time.monotonic()
            self._open(now)
            self._drip(now)
            for fd, _ in self._poll.poll(0.01, 256):
                if fd != sys.stdin.fileno():
                    self._heard_of(fd)
                elif os.read(fd, 1):
                    self._say()
                else:
                    return

    def _say(self) -> None:
        print(json.dumps({"held": len(self.held), "cut": self.cut, "refused": self.refused, "opened": self.opened}))
        sys.stdout.flush()

    def _open(self, now: float) -> None:
        if self.kind == "churn":
            for _ in range(CHURN_PER_TURN):
                sock = self._connected()
                if sock is not None:
                    sock.close()
            return
        if len(self.held) >= self.count or now < self._next_open_at:
            return
        wanted = min(self.count - len(self.held), OPENED_PER_S // 50)
        self._next_open_at = now + wanted / OPENED_PER_S
        for _ in range(wanted):
            sock = self._connected()
            if sock is not None:
                self._hold(sock, now)

    def _connected(self) -> socket.socket | None:
        sock = socket.socket()
        self.opened += 1
        try:
            if self.kind == "readers":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
            sock.settimeout(0.5)
            sock.bind((f"127.0.1.{1 + self.opened % ADDRESSES}", 0))
            sock.connect((HOST, self.port))
            sock.setblocking(False)
        except OSError:
            self.refused += 1
            sock.close()
            return None
        return sock

    def _hold(self, sock: socket.socket, now: float) -> None:
        beginning = _BEGINNINGS[self.kind].replace(b"%b", self.path.encode())
        try:
            if beginning:
                sock.send(beginning)
        except OSError:
            self.cut += 1
            sock.close()
            return
        fd = sock.fileno()
        self.held[fd] = sock
        # Who reads nothing must not be woken by what has come; that the connection has ended is told all the same.
        self._poll.register(fd, select.EPOLLRDHUP | (0 if self.kind == "readers" else select.EPOLLIN))
        if self.kind in _DRIPS:
            heapq.heappush(self._drips, (now + DRIP_INTERVAL_S, fd))

    def _drip(self, now: float) -> None:
        while self._drips and self._drips[0][0] <= now:
            _, fd = heapq.heappop(self._drips)
            sock = self.held.get(fd)
            if sock is None:
                continue
            try:
                sock.send(_DRIPS[self.kind])
            except BlockingIOError:
                pass
            except OSError:
                self._cut(fd)
                continue
            heapq.heappush(self._drips, (now + DRIP_INTERVAL_S, fd))

    def _heard_of(self, fd: int) -> None:
        if fd in self.held:
            self._cut(fd)  # whatever it is, an answer or the end: the attack on this connection is over

    def _cut(self, fd: int) -> None:
        self.cut += 1
        self.held.pop(fd).close()


def main(argv: list[str]) -> int:
    """Attack as the command line says."""
    raise_open_files()
    kind, port, count, path = argv
    Attack(kind, int(port), int(count), path).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
