"""`python -m tests.bench connections`: what an idle keep-alive connection costs, then what a pick costs.

Responsible for opening connections, sending one request on each, leaving them idle, and comparing the memory
of the proxy's worker before and after. Only user memory is seen; the kernel's sockets cost the same behind
every proxy.

Invariant: all connections counted are still open when the memory is read.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from tests.bench.cpu import read_memory
from tests.bench.heads import request_heads
from tests.bench.options import Options
from tests.bench.peers import Running
from tests.bench.process import HOST, BenchError, connections_max
from tests.bench.session import open_session
from tests.bench.table import format_table, ratio, show_facts, write_json

CONNECTIONS_PER_ADDRESS = 20_000
CONNECTIONS_SPARE = 100
_COLUMNS = ("proxy", "KiB/connection", "x haproxy", "KiB resident", "before MiB", "after MiB")


@dataclass(frozen=True, slots=True)
class Idle:
    """Memory of one worker with and without idle connections. `private` is shared with nobody."""

    count: int
    private_before_bytes: int
    private_after_bytes: int
    resident_before_bytes: int
    resident_after_bytes: int

    @property
    def private_kib(self) -> float:
        """Private KiB for each connection."""
        return (self.private_after_bytes - self.private_before_bytes) / 1024 / self.count

    @property
    def resident_kib(self) -> float:
        """Resident KiB for each connection."""
        return (self.resident_after_bytes - self.resident_before_bytes) / 1024 / self.count


def run(options: Options) -> int:
    """Measure, print the table, then measure picks; return the exit status."""
    count = min(options.count, connections_max() - CONNECTIONS_SPARE)
    measured: dict[str, Idle] = {}
    with open_session(options, ("http",), options.peers) as session:
        if count < options.count:
            session.problems.append(f"the limit of open files (ulimit -Hn) leaves room for {count} connections only")
        for peer in session.peers:
            try:
                measured[peer.name] = _measure(peer, count)
            except (OSError, BenchError) as error:
                session.fail(f"{peer.name}: {error}")
        print(f"\nMemory of the worker for each idle keep-alive connection: {count} of them, one request each")
        print(show_facts(session.facts) + "\n")
        _show(measured)
        results = {
            name: {"private_kib": idle.private_kib, "resident_kib": idle.resident_kib, "count": idle.count}
            for name, idle in measured.items()
        }
        write_json(options.json, "connections", session.facts, results)
        status = session.finish()
    return status or _picks()


def _picks() -> int:
    # Imported late: the peers can be measured while lbapp itself cannot be imported.
    from tests.bench import picks

    print()
    return picks.main([])


def _measure(peer: Running, count: int) -> Idle:
    heads = request_heads(256)
    # First a few that come and go, so that what is set up once is not charged to the connections.
    with _idle_connections(peer.ports["http"], min(count, 64), heads):
        pass
    worker = peer.program.worker_pid()
    before = read_memory(worker)
    with _idle_connections(peer.ports["http"], count, heads) as connections:
        after = read_memory(worker)
        _require_open(connections)
    return Idle(count, before.private_bytes, after.private_bytes, before.resident_bytes, after.resident_bytes)


@contextmanager
def _idle_connections(port: int, count: int, heads: Sequence[bytes]) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        connections = []
        for number in range(count):
            source = f"127.0.0.{2 + number // CONNECTIONS_PER_ADDRESS}"
            connection = socket.create_connection((HOST, port), timeout=10.0, source_address=(source, 0))
            connections.append(stack.enter_context(connection))
            connection.sendall(heads[number % len(heads)])
            _read_answer(connection)
        yield connections


def _read_answer(connection: socket.socket) -> None:
    data = b""
    while b"\r\n\r\n" not in data:
        received = connection.recv(65_536)
        if not received:
            raise BenchError(f"a connection was closed instead of answered: {data[:80]!r}")
        data += received
    head, _, body = data.partition(b"\r\n\r\n")
    status, _, fields = head.lower().partition(b"\r\n")
    if b" 200" not in status:
        raise BenchError(f"the answer is {status.decode(errors='replace')}")
    length = int(fields.partition(b"content-length:")[2].partition(b"\r\n")[0])
    while len(body) < length:
        received = connection.recv(65_536)
        if not received:
            raise BenchError("a response ended early")
        body += received


def _require_open(connections: Sequence[socket.socket]) -> None:
    for connection in connections:
        connection.setblocking(False)
        try:
            connection.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            continue
        raise BenchError("an idle connection was closed while it was measured")


def _show(measured: dict[str, Idle]) -> None:
    haproxy = measured["haproxy"].private_kib if "haproxy" in measured else None
    rows = [
        (
            name,
            f"{idle.private_kib:.2f}",
            ratio(idle.private_kib, haproxy),
            f"{idle.resident_kib:.2f}",
            f"{idle.private_before_bytes / 2**20:.1f}",
            f"{idle.private_after_bytes / 2**20:.1f}",
        )
        for name, idle in measured.items()
    ]
    print(format_table(_COLUMNS, rows))
