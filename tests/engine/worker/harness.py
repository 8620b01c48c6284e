"""A real worker process without a supervisor, and small real servers for it to reach."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import anyio

from lbapp.engine.channel import Assignment, Channel, Rows, Serving, SocketAddress, channel_pair
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.scoreboard.layout import Layout
from lbapp.engine.scoreboard.segment import Segment
from lbapp.engine.scoreboard.totals import (
    ListenerTotals,
    PoolTotals,
    ServerTotals,
    listener_totals,
    pool_totals,
    server_totals,
)
from lbapp.model.access_log import NO_LOG, AccessLog
from lbapp.model.entities import Configuration, EngineSettings, Listener, Pool, Server
from lbapp.model.limits import Limits
from lbapp.model.states import HealthState
from lbapp.model.tls import NO_MATERIAL, TlsMaterial

Handler = Callable[[socket.socket], None]


class TcpServer:
    """Calls `handler` with each accepted connection in a thread of its own, and closes it behind."""

    def __init__(self, handler: Handler, family: int = socket.AF_INET, port: int = 0) -> None:
        self._handler = handler
        self.accepted = 0
        self._open: set[socket.socket] = set()
        self.socket = socket.create_server(("127.0.0.1" if family == socket.AF_INET else "::1", port), family=family)
        self.port: int = self.socket.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(20)
        self._open.add(connection)
        with connection:
            try:
                self._handler(connection)
            except OSError:
                return
            finally:
                self._open.discard(connection)

    def close(self) -> None:
        # shutdown wakes the thread in accept; close alone would not.
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


def read_head(connection: socket.socket, data: bytes = b"") -> tuple[bytes, bytes]:
    """Read up to the end of a head; return it with its empty line, and what came behind."""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            raise OSError("the stream ended")
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n", rest


def read_exactly(connection: socket.socket, count: int, data: bytes = b"") -> bytes:
    while len(data) < count:
        more = connection.recv(65536)
        if not more:
            raise OSError("the stream ended")
        data += more
    return data


def answering(name: bytes = b"s", seen: list[bytes] | None = None) -> Handler:
    """An HTTP server that keeps its connection and answers with its name."""

    def handle(connection: socket.socket) -> None:
        rest = b""
        while True:
            head, rest = read_head(connection, rest)
            if seen is not None:
                seen.append(head)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(name), name))

    return handle


def scripted(answer: bytes, seen: list[bytes] | None = None) -> Handler:
    """A server that reads one head, sends `answer` and closes."""

    def handle(connection: socket.socket) -> None:
        head, _ = read_head(connection)
        if seen is not None:
            seen.append(head)
        connection.sendall(answer)

    return handle


@dataclass
class RunningWorker:
    """A worker process under test. `ports` by listener name."""

    process: subprocess.Popen[bytes]
    channel: Channel
    segment: Segment
    ports: dict[str, int]
    rows: Rows

    def connect(self, listener: str = "web") -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.ports[listener]), timeout=20)

    def request(self, raw: bytes, listener: str = "web") -> bytes:
        """Send bytes on a new connection and return all that comes until the end."""
        with self.connect(listener) as connection:
            connection.sendall(raw)
            answer = b""
            while data := connection.recv(65536):
                answer += data
            return answer

    def send(self, message: Any) -> None:
        anyio.run(self.channel.send, message)

    def ask(self, question: Any) -> Any:
        """Return what the worker says to a question."""

        async def asked() -> Any:
            await self.channel.send(question)
            with anyio.fail_after(20):
                return (await self.channel.receive())[0]

        return anyio.run(asked)

    def server(self, server_id: str) -> ServerTotals:
        return server_totals(self.segment, self.rows.servers[server_id])

    def listener(self, name: str = "web") -> ListenerTotals:
        return listener_totals(self.segment, self.rows.listeners[name])

    def pool(self, name: str = "app") -> PoolTotals:
        return pool_totals(self.segment, self.rows.pools[name])

    def set_state(self, server_id: str, cell: int, value: int) -> None:
        """Write a server's state as the supervisor does: the cell, then the pool's version."""
        layout = self.segment.layout
        self.segment.cells[layout.state(self.rows.servers[server_id]) + cell] = value
        self.segment.cells[layout.pool_version(self.rows.pools[server_id.partition("/")[0]])] += 1


def server(name: str, port: int, *, pool: str = "app", host: str = "127.0.0.1", weight: int = 100) -> Server:
    return Server(pool=pool, name=name, host=host, port=port, weight=weight)


@contextmanager
def running_worker(
    listeners: tuple[Listener, ...],
    pools: tuple[Pool, ...],
    limits: Limits | None = None,
    state_dir: str | None = None,
    tls: TlsMaterial = NO_MATERIAL,
    module: str = "lbapp.engine.worker.run",
    access_log: AccessLog = NO_LOG,
) -> Iterator[RunningWorker]:
    """Start a worker on free ports, as `module` starts it; end it behind."""
    settings = EngineSettings(state_dir=state_dir)
    configuration = Configuration(settings, listeners, pools, limits or Limits(), access_log)
    rows = Rows(
        listeners={each.name: row for row, each in enumerate(listeners)},
        pools={each.name: row for row, each in enumerate(pools)},
        servers={each.id: row for row, each in enumerate(configuration.servers)},
    )
    segment = Segment.create(
        Layout(slots=2, listeners=len(listeners), pools=len(pools), servers=len(rows.servers) or 1)
    )
    addresses: dict[int, tuple[SocketAddress, ...]] = {}
    for pool in configuration.pools:
        cell = segment.layout.pool_connections_max(rows.pools[pool.name])
        segment.cells[cell] = pool.capacity.connections_max
    for listener in listeners:
        cell = segment.layout.listener_connections_max(rows.listeners[listener.name])
        segment.cells[cell] = listener.admission.connections_max
    for each in configuration.servers:
        row = rows.servers[each.id]
        state = segment.layout.state(row)
        segment.cells[state + at.STATE_WEIGHT] = each.weight
        segment.cells[state + at.STATE_HEALTH] = HealthState.UP
        segment.cells[state + at.STATE_CONNECTIONS_MAX] = each.connections_max
        family = socket.AF_INET6 if ":" in each.host else socket.AF_INET
        addresses[row] = ((socket.AF_UNIX if each.is_unix else family, each.host, each.port),)
    sockets = {each.name: socket.create_server(("127.0.0.1", 0), backlog=512) for each in listeners}
    ours, theirs = channel_pair()
    process = subprocess.Popen([sys.executable, "-m", module, str(theirs.fileno())], pass_fds=(theirs.fileno(),))
    theirs.close()

    async def assign() -> None:
        assignment = Assignment(0, 1, configuration, rows, addresses, tuple((name, name) for name in sockets), tls)
        await ours.send(assignment, [segment.fd, *(sock.fileno() for sock in sockets.values())])
        with anyio.fail_after(20):
            message, _ = await ours.receive()
        assert isinstance(message, Serving)

    try:
        anyio.run(assign)
        ports = {name: sock.getsockname()[1] for name, sock in sockets.items()}
        yield RunningWorker(process, ours, segment, ports, rows)
    finally:
        process.kill()
        process.wait()
        ours.close()
        for sock in sockets.values():
            sock.close()
        segment.close()


__all__ = ["RunningWorker", "TcpServer", "replace", "running_worker", "server"]
