"""`python -m tests.bench bulk`: what relaying large bodies costs each proxy.

Responsible for downloads over HTTP and TCP and uploads over HTTP, through each proxy in turn, and for CPU
seconds of the proxy per gigabyte (10^9 bytes). The client runs in this process and drops what it receives
without a copy; only the proxy's own processes are counted.

Invariant: before a path is measured, one body has gone through it and arrived byte for byte.
"""

from __future__ import annotations

import hashlib
import socket
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench.backends import BULK_PATH
from tests.bench.cpu import cpu_between, read_cpu
from tests.bench.options import Options
from tests.bench.peers import Running
from tests.bench.process import HOST, BenchError
from tests.bench.session import Session, open_session
from tests.bench.sink import DISCARD_BYTES, discard
from tests.bench.table import Spread, format_table, ratio, show_facts, write_json

BODIES_PER_ROUND = 4
_KINDS = {"http": "download over HTTP", "tcp": "download over TCP", "upload": "upload over HTTP"}
_COLUMNS = ("proxy", "CPU s/GB", "x haproxy's best", "MB/s")


@dataclass(frozen=True, slots=True)
class Round:
    """One proxy in one round and one way."""

    cpu_s_per_gb: float
    megabytes_per_s: float


def run(options: Options) -> int:
    """Measure, print a table for each way, return the exit status."""
    size = options.megabytes * 1_000_000
    names = [name for peer in options.peers for name in ((peer, "haproxy splice") if peer == "haproxy" else (peer,))]
    rounds: dict[str, dict[str, list[Round]]] = {kind: {} for kind in _KINDS}
    with open_session(options, tuple(_KINDS), names, bulk_bytes=size) as session:
        file = session.folder / "backends" / "files" / BULK_PATH.lstrip("/")
        usable = {peer.name: _usable_kinds(session, peer, file) for peer in session.peers}
        for _, peer in session.interleave(options.rounds):
            for kind in usable[peer.name]:
                rounds[kind].setdefault(peer.name, []).append(_measure(peer, kind, file))
        print(f"\n{options.megabytes} MB bodies, one at a time, {options.rounds} interleaved rounds", end=" ")
        print(f"of {BODIES_PER_ROUND} bodies: median [lowest-highest]\n{show_facts(session.facts)}")
        for kind, title in _KINDS.items():
            _show(title, {peer.name: rounds[kind].get(peer.name, []) for peer in session.peers})
        results = {
            kind: {name: [asdict(each) for each in values] for name, values in measured.items()}
            for kind, measured in rounds.items()
        }
        write_json(options.json, "bulk", session.facts, results)
        return session.finish()


def _usable_kinds(session: Session, peer: Running, file: Path) -> list[str]:
    """Send one body each way, check it, and return the ways that work; the others become problems."""
    usable = []
    for kind in _KINDS:
        if kind not in peer.ports:
            session.problems.append(f"{peer.name} has no {kind} front here, so it is left out of {_KINDS[kind]}")
            continue
        try:
            _check(peer, kind, file)
        except (BenchError, OSError) as error:
            session.fail(f"{peer.name}, {_KINDS[kind]}: {error}")
            continue
        usable.append(kind)
    return usable


def _check(peer: Running, kind: str, file: Path) -> None:
    if kind == "upload":
        _upload(peer.ports[kind], file)
        return
    digest = hashlib.sha256()
    with _request(peer.ports[kind]) as connection:
        rest, left = _read_head(connection)
        digest.update(rest)
        left -= len(rest)
        while left > 0 and (piece := connection.recv(min(left, DISCARD_BYTES))):
            digest.update(piece)
            left -= len(piece)
    with file.open("rb") as source:
        expected = hashlib.file_digest(source, "sha256").hexdigest()
    if digest.hexdigest() != expected:
        raise BenchError("the body did not arrive byte for byte")


def _measure(peer: Running, kind: str, file: Path) -> Round:
    before, started_s = read_cpu(peer.program.pids()), time.monotonic()
    moved = 0
    for _ in range(BODIES_PER_ROUND):
        moved += _upload(peer.ports[kind], file) if kind == "upload" else _download(peer.ports[kind])
    took_s = time.monotonic() - started_s
    used_ns = cpu_between(before, read_cpu(peer.program.pids()))
    return Round(cpu_s_per_gb=used_ns / moved, megabytes_per_s=moved / took_s / 1e6)


def _download(port: int) -> int:
    with _request(port) as connection:
        rest, length = _read_head(connection)
        if len(rest) + discard(connection, length - len(rest)) != length:
            raise BenchError("the body ended early")
    return length


def _upload(port: int, file: Path) -> int:
    size = file.stat().st_size
    with _connect(port) as connection, file.open("rb") as source:
        connection.sendall(f"POST /upload HTTP/1.1\r\nHost: bulk\r\nContent-Length: {size}\r\n\r\n".encode())
        connection.sendfile(source)
        body, length = _read_head(connection)
        while len(body) < length and (piece := connection.recv(4_096)):
            body += piece
    if body != str(size).encode():
        raise BenchError(f"the upload of {size} bytes was answered with {body[:80]!r}")
    return size


def _connect(port: int) -> socket.socket:
    return socket.create_connection((HOST, port), timeout=60.0)


def _request(port: int) -> socket.socket:
    connection = _connect(port)
    connection.sendall(f"GET {BULK_PATH} HTTP/1.1\r\nHost: bulk\r\n\r\n".encode())
    return connection


def _read_head(connection: socket.socket) -> tuple[bytes, int]:
    """Return what has come of the body, and its Content-Length. Raises BenchError unless it is a 200."""
    data = b""
    while b"\r\n\r\n" not in data:
        received = connection.recv(65_536)
        if not received:
            raise BenchError(f"the connection ended before a whole response head: {data[:80]!r}")
        data += received
    head, _, rest = data.partition(b"\r\n\r\n")
    status, *fields = head.split(b"\r\n")
    if b" 200 " not in status + b" ":
        raise BenchError(f"the answer is {status.decode(errors='replace')}")
    for field in fields:
        name, _, value = field.partition(b":")
        if name.lower() == b"content-length":
            with suppress(ValueError):
                return rest, int(value)
    raise BenchError("the answer has no Content-Length")


def _show(title: str, rounds: dict[str, list[Round]]) -> None:
    costs = {name: Spread(tuple(r.cpu_s_per_gb for r in each)) for name, each in rounds.items() if each}
    best = min((cost.median for name, cost in costs.items() if name.startswith("haproxy")), default=None)
    rows = []
    for name, each in rounds.items():
        if not each:
            rows.append((name, "-", "-", "-"))
            continue
        speed = Spread(tuple(r.megabytes_per_s for r in each))
        rows.append((name, costs[name].show(3), ratio(costs[name].median, best), speed.show(0)))
    print(f"\n{title}\n\n{format_table(_COLUMNS, rows)}")
