"""`python -m tests.bench hostile`: what those who mean well wait while thousands of slow clients hold on.

Responsible for the order of things: each proxy in quiet, then under each kind of attack, with the same clients at the same
rate; for what the proxy spent meanwhile; and for the table. Knows nothing of how an attack is made (`attack`) or a request timed
(`visitors`).

Invariant: quiet and attack are measured one right after the other, so that a noisy machine is noisy for both.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import IO, Final

from tests.bench.attack import KINDS
from tests.bench.backends import BULK_PATH, UPLOAD_PATH
from tests.bench.cpu import cpu_between, read_cpu, read_memory
from tests.bench.options import Options
from tests.bench.peers import Running
from tests.bench.process import BenchError
from tests.bench.session import Session, open_session
from tests.bench.table import format_table, ratio, show_facts, write_json
from tests.bench.visitors import visit

PEERS_HOSTILE: Final = ("lbapp", "haproxy", "nginx")
RATE: Final = 200  # requests a second of those who mean well
SLOW_BODY_BYTES: Final = 256 * 1024  # what slow readers ask for: small enough that the machine holds thousands of them
_PATHS: Final = {"readers": BULK_PATH, "bodies": UPLOAD_PATH}
_SETTLE_S: Final = 2.0
_SETTLE_BRIEF_S: Final = 0.2
_OPENING_TIMEOUT_S: Final = 60.0
_COLUMNS = (
    "attack", "proxy", "held", "cut", "p50 quiet ms", "p50 ms", "p99 quiet ms", "p99 ms", "x quiet", "failed", "CPU %", "MiB",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Siege:
    """One proxy under one attack. Times in milliseconds; `cpu_percent` of one core; `memory_mib` of its largest process."""

    held: int
    cut: int
    refused: int
    quiet_p50_ms: float
    quiet_p99_ms: float
    p50_ms: float
    p99_ms: float
    served: int
    failures: dict[str, int]
    cpu_percent: float
    memory_mib: float


def run(options: Options) -> int:
    """Measure, print the table, return the exit status."""
    peers = tuple(name for name in options.peers if name in PEERS_HOSTILE)
    with open_session(options, ("exposed",), peers, SLOW_BODY_BYTES) as session:
        found: dict[str, dict[str, list[Siege]]] = {}
        for kind in KINDS:
            found[kind] = {peer.name: [] for peer in session.peers}
            for _, peer in session.interleave(options.rounds):
                try:
                    found[kind][peer.name].append(_besiege(peer, kind, options))
                except (BenchError, OSError) as error:
                    session.fail(f"{peer.name} under {kind}: {error}")
        _show(session, options, found)
        results = {
            kind: {name: [asdict(each) for each in rounds] for name, rounds in by_peer.items()}
            for kind, by_peer in found.items()
        }
        write_json(options.json, "hostile", session.facts, results)
        return session.finish()


def _besiege(peer: Running, kind: str, options: Options) -> Siege:
    port, settle_s = peer.ports["exposed"], options.effort(_SETTLE_S, _SETTLE_BRIEF_S)
    visit(port, RATE, options.effort(1.0, 0.1))  # what is set up once is not measured
    quiet = visit(port, RATE, options.seconds)
    with _attacking(kind, port, options.count) as attack:
        _await_opened(attack, 1 if kind == "churn" else options.count)
        time.sleep(settle_s)
        pids = peer.program.pids()
        before, began = read_cpu(pids), time.monotonic()
        busy = visit(port, RATE, options.seconds)
        cpu_s, seconds = cpu_between(before, read_cpu(pids)) / 1e9, time.monotonic() - began
        memory = read_memory(peer.program.worker_pid()).resident_bytes
        said = _ask_how_it_goes(attack)
    time.sleep(settle_s)
    return Siege(
        said["held"], said["cut"], said["refused"],
        quiet.percentile(0.5), quiet.percentile(0.99), busy.percentile(0.5), busy.percentile(0.99),
        len(busy.waited_ms), dict(busy.failures), 100 * cpu_s / seconds, memory / 2**20,
    )  # fmt: skip


@contextmanager
def _attacking(kind: str, port: int, count: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.bench.attack", kind, str(port), str(count), _PATHS.get(kind, "/")]
    attack = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, process_group=0)
    try:
        yield attack
    finally:
        attack.kill()
        attack.wait()
        for stream in (attack.stdin, attack.stdout):
            if stream is not None:
                stream.close()


def _await_opened(attack: subprocess.Popen[str], count: int) -> None:
    deadline = time.monotonic() + _OPENING_TIMEOUT_S
    while _ask_how_it_goes(attack)["opened"] < count:
        if time.monotonic() > deadline:
            raise BenchError(f"the attack did not open {count} connections within {_OPENING_TIMEOUT_S:.0f} s")
        time.sleep(0.05)


def _ask_how_it_goes(attack: subprocess.Popen[str]) -> dict[str, int]:
    stdin, stdout = _stream(attack.stdin), _stream(attack.stdout)
    stdin.write("?")
    stdin.flush()
    line = stdout.readline()
    if not line:
        raise BenchError("the attack has ended by itself")
    said: dict[str, int] = json.loads(line)
    return said


def _stream(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


def _show(session: Session, options: Options, found: dict[str, dict[str, list[Siege]]]) -> None:
    rows = []
    for kind, by_peer in found.items():
        for name, rounds in by_peer.items():
            if not rounds:
                continue
            each = sorted(rounds, key=lambda siege: siege.p99_ms)[len(rounds) // 2]
            failed = sum(sum(siege.failures.values()) for siege in rounds)
            rows.append(
                (
                    kind, name, str(each.held), str(each.cut),
                    f"{each.quiet_p50_ms:.2f}", f"{each.p50_ms:.2f}", f"{each.quiet_p99_ms:.2f}", f"{each.p99_ms:.2f}",
                    ratio(each.p99_ms, each.quiet_p99_ms), str(failed), f"{each.cpu_percent:.0f}", f"{each.memory_mib:.0f}",
                )
            )  # fmt: skip
    print(
        f"\n{options.count} slow clients at a time, {RATE} requests a second of others, every fifth on a new connection;"
    )
    print(f"{options.rounds} rounds of {options.seconds} s; the round with the median p99")
    print(show_facts(session.facts) + "\n")
    print(format_table(_COLUMNS, rows))
