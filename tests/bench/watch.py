"""`python -m tests.bench watch`: what it costs an engine to be watched, by whole statuses and by changes.

Responsible for an engine over many servers all of whose counters change twice a second, for one who watches and reads as fast as
lines come, and for the supervisor's CPU meanwhile, beside what it is while nobody watches. Knows nothing of how lines are made.

Invariants: traffic is counted where workers count it, in slots that no worker has, by one writer; every server counts between two
lines, or more often; a figure of CPU is that of a line, over all that the supervisor does anyway.
"""

from __future__ import annotations

import os
import random
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, Final

from lbapp.engine.scoreboard import layout as at
from lbapp.engine.scoreboard.segment import Segment
from lbapp.model.histogram import bucket_of
from tests.bench.cpu import cpu_between, read_cpu
from tests.bench.options import Options
from tests.bench.process import BenchError, Program
from tests.bench.table import Spread, format_table, machine_facts, show_facts, write_json

PATHS: Final = {"status": "/v1/watch", "changes": "/v1/watch?as=changes"}
_WORKERS: Final = 2
_SETTLED_S: Final = 1.0
_SETTLED_BRIEF_S: Final = 0.1
_COLUMNS = (
    "servers",
    "lines of",
    "lines/s",
    "first line kB",
    "kB a line",
    "CPU ms a line",
    "supervisor CPU %",
    "unwatched %",
)


@dataclass(frozen=True, slots=True)
class Found:
    """One round of one kind of lines."""

    lines_per_s: float
    first_line_bytes: int
    bytes_per_line: float
    cpu_ms_per_line: float
    cpu_percent: float
    unwatched_cpu_percent: float


def run(options: Options) -> int:
    """Measure a tenth, one and ten times `options.servers`, print the table, return the exit status."""
    facts = machine_facts({})
    found: dict[str, list[Found]] = {}
    for servers in (max(1, options.servers // 10), options.servers, 10 * options.servers):
        with tempfile.TemporaryDirectory(prefix="lbapp-bench-") as name, ExitStack() as stack:
            for kind, rounds in _measure(stack, Path(name), servers, options).items():
                found[f"{servers} {kind}"] = rounds
    print(f"\nevery server counts twice a second; {options.rounds} rounds of {options.seconds} s")
    print(show_facts(facts) + "\n")
    print(format_table(_COLUMNS, [_row(name, rounds) for name, rounds in found.items()]))
    write_json(
        options.json, "watch", facts, {name: [asdict(each) for each in rounds] for name, rounds in found.items()}
    )
    return 0


def _measure(stack: ExitStack, folder: Path, servers: int, options: Options) -> dict[str, list[Found]]:
    engine = stack.enter_context(_engine(folder, servers))
    control = folder / "c.sock"
    deadline = time.monotonic() + 120
    while not _answers(control):
        if time.monotonic() > deadline:
            raise BenchError(f"the engine does not answer within 120 s; its log is {engine.log}")
        engine.pids()  # raises when it has ended
        time.sleep(0.05)
    supervisor = engine.pids()[0]
    stack.enter_context(_traffic(supervisor, servers))
    found: dict[str, list[Found]] = {kind: [] for kind in PATHS}
    for _ in range(options.rounds):
        time.sleep(options.effort(_SETTLED_S, _SETTLED_BRIEF_S))
        unwatched = _cpu_percent(supervisor, options.seconds)
        for kind, path in PATHS.items():
            found[kind].append(_watched(control, path, supervisor, options.seconds, unwatched))
    return found


def _engine(folder: Path, servers: int) -> Program:
    listed = "".join(
        f'[[pool.server]]\nname = "s{number:05}"\naddress = "127.{1 + number // 65_000}.{number // 250 % 256}.'
        f'{1 + number % 250}:9"\n'
        for number in range(servers)
    )
    configuration = folder / "lbapp.toml"
    configuration.write_text(
        f'[engine]\nworkers = {_WORKERS}\nstate_dir = "{folder}"\n'
        '[[listener]]\nname = "web"\nbind = "127.0.0.1:0"\npool = "app"\n'
        f'[[pool]]\nname = "app"\n[pool.health_check]\ntype = "none"\n{listed}'
    )
    command = [sys.executable, "-m", "lbapp", "run", "-c", str(configuration), "--socket", str(folder / "c.sock")]
    return Program("lbapp", command, folder)


def _answers(control: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as asking:
        try:
            asking.connect(str(control))
        except OSError:
            return False
        asking.sendall(b"GET /v1/workers HTTP/1.1\r\nHost: lbapp\r\nConnection: close\r\n\r\n")
        return b'"serving"' in asking.makefile("rb").read()


@contextmanager
def _traffic(supervisor: int, servers: int) -> Iterator[None]:
    """Have every server count twice a second."""
    entries = Path(f"/proc/{supervisor}/fd").iterdir()
    entry = next((each for each in entries if str(each.readlink()).startswith("/memfd:lbapp-scoreboard")), None)
    if entry is None:
        raise BenchError("the engine's scoreboard was not found among its open files")
    segment = Segment.attach(os.open(entry, os.O_RDWR))
    is_over = threading.Event()

    def count() -> None:
        source = random.Random(servers)
        while not is_over.wait(0.4):
            for server in range(servers):
                _count(segment, server, source)

    counting = threading.Thread(target=count)
    counting.start()
    try:
        yield
    finally:
        is_over.set()
        counting.join()
        segment.close()


def _count(segment: Segment, server: int, source: random.Random) -> None:
    cells = segment.cells
    for slot in range(_WORKERS, segment.layout.slots):  # those are for the next generation: no worker has them
        base = segment.layout.server(slot, server)
        total_us = int(source.lognormvariate(9.0, 0.5))
        for cell, more in (
            (at.SERVER_RESPONSES + 1, 1),
            (at.SERVER_OUTCOMES, 1),
            (at.SERVER_BYTES_IN, 600),
            (at.SERVER_BYTES_OUT, 9_000),
            (at.SERVER_TOTAL + bucket_of(total_us), 1),
            (at.SERVER_FIRST_BYTE + bucket_of(total_us * 9 // 10), 1),
        ):
            cells[base + cell] += more


def _cpu_percent(pid: int, seconds: float) -> float:
    began_s, before = time.monotonic(), read_cpu([pid])
    time.sleep(seconds)
    return cpu_between(before, read_cpu([pid])) / 1e7 / (time.monotonic() - began_s)


def _watched(control: Path, path: str, supervisor: int, seconds: float, unwatched: float) -> Found:
    with socket.socket(socket.AF_UNIX) as watching:
        watching.connect(str(control))
        watching.sendall(f"GET {path} HTTP/1.1\r\nHost: lbapp\r\n\r\n".encode())
        reading = watching.makefile("rb")
        while reading.readline().strip():
            pass  # the head
        first, _ = _line(reading), _line(reading)
        began_s, before = time.monotonic(), read_cpu([supervisor])
        lines: list[int] = []
        while time.monotonic() < began_s + seconds:
            lines.append(_line(reading))
        took_s = time.monotonic() - began_s
        cpu_ms = cpu_between(before, read_cpu([supervisor])) / 1e6
    return Found(
        len(lines) / took_s,
        first,
        sum(lines) / len(lines),
        (cpu_ms - unwatched * took_s * 10) / len(lines),
        cpu_ms / 10 / took_s,
        unwatched,
    )


def _line(reading: BinaryIO) -> int:
    """Read one line of a chunked answer, which is a chunk; return its bytes."""
    size = int(reading.readline(), 16)
    if not size:
        raise BenchError("the engine has ended the watch")
    chunk = reading.read(size + 2)
    assert chunk.endswith(b"\n\r\n")
    return size


def _row(name: str, rounds: list[Found]) -> tuple[str, ...]:
    servers, kind = name.split()
    spread = [
        Spread(tuple(values)).show(digits)
        for digits, values in (
            (2, [each.lines_per_s for each in rounds]),
            (1, [each.first_line_bytes / 1e3 for each in rounds]),
            (1, [each.bytes_per_line / 1e3 for each in rounds]),
            (1, [each.cpu_ms_per_line for each in rounds]),
            (1, [each.cpu_percent for each in rounds]),
            (1, [each.unwatched_cpu_percent for each in rounds]),
        )
    ]
    return (servers, kind, *spread)
