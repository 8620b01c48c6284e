"""`python -m tests.bench checks`: what checking a thousand servers costs, and how punctual the probes are.

Responsible for an engine without traffic over servers at addresses of their own (127.1.x.y, one port), for one process that
answers their probes and notes when each came, for the engine's own plan of them, and for the supervisor's CPU meanwhile. Knows
nothing of how probes are made.

Invariants: what is counted are probes that arrived, between two moments, after every server had been seen twice; a probe is late
by the time from the moment for which the engine had planned it, jitter and all, until the server saw it. Both clocks are the
machine's monotonic one. Noting the plan is one line written for each probe, by the supervisor, and part of its CPU here.
"""

from __future__ import annotations

import bisect
import select
import socket
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import anyio

from lbapp.cli.main import main as lbapp
from lbapp.engine.supervisor.checks import Checks
from lbapp.engine.supervisor.targets import Target
from tests.bench.cpu import cpu_between, read_cpu
from tests.bench.options import Options
from tests.bench.process import BenchError, Program, free_port, raise_open_files
from tests.bench.table import format_table, machine_facts, show_facts, write_json

INTERVAL_S: Final = 5.0
_INTERVAL_BRIEF_S: Final = 1.0
JITTER: Final = 0.1  # an interval is up to so much shorter
_PLANS: Final = "plan"  # the word by which this module is an engine that notes its plan
_EARLY_S: Final = 0.001  # the clock is read on the way
KINDS: Final = ("tcp", "http")
_ANSWER: Final = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
_COLUMNS = (
    "check", "servers", "probes/s", "supervisor CPU %", "CPU us / probe", "interval p50 s", "late p50 ms", "p99 ms", "max ms",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Place:
    """Where one kind of check is measured, and of what."""

    folder: Path
    kind: str
    servers: int
    interval_s: float


@dataclass(frozen=True, slots=True)
class Found:
    """One kind of check. `late`: from the moment for which a probe was planned until its server saw it."""

    servers: int
    probes_per_s: float
    cpu_percent: float
    cpu_us_per_probe: float
    interval_p50_s: float
    late_p50_ms: float
    late_p99_ms: float
    late_max_ms: float


def run(options: Options) -> int:
    """Measure, print the table, return the exit status."""
    raise_open_files()
    servers, interval_s = min(options.servers, 60_000), options.effort(INTERVAL_S, _INTERVAL_BRIEF_S)
    facts = machine_facts({})
    found: dict[str, Found] = {}
    for kind in KINDS:
        with tempfile.TemporaryDirectory(prefix="lbapp-bench-") as name, ExitStack() as stack:
            found[kind] = _measure(stack, _Place(Path(name), kind, servers, interval_s), options.seconds)
    print(
        f"\n{servers} servers checked every {interval_s:g} s, {JITTER:.0%} jitter, no traffic; {options.seconds} s each"
    )
    print(show_facts(facts) + "\n")
    print(format_table(_COLUMNS, [_row(kind, each) for kind, each in found.items()]))
    write_json(options.json, "checks", facts, {kind: [asdict(each)] for kind, each in found.items()})
    return 0


def _measure(stack: ExitStack, place: _Place, seconds: int) -> Found:
    port, folder, servers = free_port(), place.folder, place.servers
    notes, plan = folder / "notes", folder / "plan"
    answering = stack.enter_context(
        Program("the servers", [sys.executable, "-m", "tests.bench.checks", str(port), str(notes)], folder)
    )
    answering.wait_for_port(port)
    engine = stack.enter_context(_engine(place, port))
    deadline = time.monotonic() + 60
    while sum(len(times) >= 2 for times in _seen(notes).values()) < servers:
        if time.monotonic() > deadline:
            raise BenchError("not every server was probed twice within 60 s")
        time.sleep(0.5)
    supervisor = [engine.pids()[0]]
    began_s, before = time.monotonic(), read_cpu(supervisor)
    time.sleep(seconds)
    cpu_ns, ended_s = cpu_between(before, read_cpu(supervisor)), time.monotonic()
    seen = _seen(notes)
    intervals, late = (
        sorted(_intervals(seen, began_s, ended_s)),
        sorted(_late_s(seen, _planned(plan), began_s, ended_s)),
    )
    if not intervals or not late:
        raise BenchError("no server was probed twice in that time; give it more --seconds")
    took_s = ended_s - began_s
    return Found(
        servers,
        len(intervals) / took_s,
        cpu_ns / 1e7 / took_s,
        cpu_ns / 1e3 / len(intervals),
        _at(intervals, 0.5),
        *(_at(late, share) * 1e3 for share in (0.5, 0.99, 1.0)),
    )


def _at(ascending: Sequence[float], share: float) -> float:
    return ascending[int(share * (len(ascending) - 1))]


def _engine(place: _Place, port: int) -> Program:
    folder = place.folder
    addresses = (
        f"127.{1 + number // 65_000}.{number // 250 % 256}.{1 + number % 250}" for number in range(place.servers)
    )
    listed = "".join(
        f'[[pool.server]]\nname = "s{number}"\naddress = "{address}:{port}"\n'
        for number, address in enumerate(addresses)
    )
    configuration = folder / "lbapp.toml"
    configuration.write_text(
        f'[engine]\nworkers = 1\nstate_dir = "{folder}"\n[[listener]]\nname = "web"\nbind = "127.0.0.1:0"\npool = "app"\n'
        f'[[pool]]\nname = "app"\n[pool.health_check]\ntype = "{place.kind}"\ninterval = "{place.interval_s:g}s"\n{listed}'
    )
    arguments = ["run", "-c", str(configuration), "--socket", str(folder / "c.sock")]
    return Program(
        "lbapp", [sys.executable, "-m", "tests.bench.checks", _PLANS, str(folder / "plan"), *arguments], folder
    )


def _seen(notes: Path) -> dict[str, list[float]]:
    """Return when each server was probed."""
    seen = defaultdict[str, list[float]](list)
    for line in notes.read_text().splitlines() if notes.exists() else []:
        address, _, at_s = line.partition(" ")
        with suppress(ValueError):  # a line that is being written
            seen[address].append(float(at_s))
    return seen


def _intervals(seen: dict[str, list[float]], after_s: float, before_s: float) -> list[float]:
    """Return the times between two probes of one server, the second of which came between the two moments.

    The first interval of each is left out: by it probes are spread.
    """
    pairs = [pair for times in seen.values() for pair in pairwise(times[1:])]
    return [second - first for first, second in pairs if after_s <= second <= before_s]


def _planned(plan: Path) -> dict[str, list[tuple[float, float]]]:
    """Return, for each server, when a moment was planned for its next probe, and that moment."""
    found = defaultdict[str, list[tuple[float, float]]](list)
    for line in plan.read_text().splitlines():
        with suppress(ValueError):  # a line that is being written
            address, noted_s, due_s = line.split(" ")
            found[address].append((float(noted_s), float(due_s)))
    return found


def _late_s(
    seen: dict[str, list[float]], planned: dict[str, list[tuple[float, float]]], after_s: float, before_s: float
) -> list[float]:
    """Return how late each probe was that came between the two moments.

    None comes before its moment, and the next is planned when it has ended: so the last moment before it is its own. When that
    was noted does not tell, as a server on a busy machine may see a probe after it has ended.
    """
    late = []
    for address, times in seen.items():
        moments = [due_s for _, due_s in planned[address]]
        for at_s in times:
            place = bisect.bisect_right(moments, at_s + _EARLY_S)
            if after_s <= at_s <= before_s and place:
                late.append(at_s - moments[place - 1])
    return late


def _row(kind: str, found: Found) -> Sequence[str]:
    return (
        kind,
        str(found.servers),
        f"{found.probes_per_s:.0f}",
        f"{found.cpu_percent:.1f}",
        f"{found.cpu_us_per_probe:.0f}",
        f"{found.interval_p50_s:.2f}",
        f"{found.late_p50_ms:.1f}",
        f"{found.late_p99_ms:.1f}",
        f"{found.late_max_ms:.1f}",
    )


def answer(port: int, notes: Path) -> None:
    """Be every server: accept at all addresses, answer a request, note who was asked and when."""
    listener = socket.create_server(("", port), backlog=4096)
    listener.setblocking(False)
    poller = select.epoll()
    poller.register(listener, select.EPOLLIN)
    open_connections: dict[int, socket.socket] = {}
    with notes.open("a", buffering=1) as out:
        while True:
            for number, _ in poller.poll():
                if number == listener.fileno():
                    connection, _ = listener.accept()
                    out.write(f"{connection.getsockname()[0]} {time.monotonic():.6f}\n")
                    connection.setblocking(False)
                    open_connections[connection.fileno()] = connection
                    poller.register(connection, select.EPOLLIN)
                    continue
                connection = open_connections.pop(number)
                with suppress(OSError), connection:
                    if connection.recv(65_536):
                        connection.send(_ANSWER)


def plan_aloud(plan: Path, arguments: list[str]) -> None:
    """Be the lbapp command, with an engine that notes for when it plans each probe."""
    due_of = Checks._due_s
    out = plan.open("a", buffering=1)

    def noting(checks: Checks, target: Target) -> float:
        due_s, now_s = due_of(checks, target), anyio.current_time()
        out.write(f"{target.asked.server.host} {now_s:.6f} {due_s:.6f}\n")
        return due_s

    setattr(Checks, "_due_s", noting)  # noqa: B010 - a method of another class, on purpose
    sys.argv = ["lbapp", *arguments]
    lbapp()


if __name__ == "__main__":
    if sys.argv[1] == _PLANS:
        plan_aloud(Path(sys.argv[2]), sys.argv[3:])
    else:
        answer(int(sys.argv[1]), Path(sys.argv[2]))
