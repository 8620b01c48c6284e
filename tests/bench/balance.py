"""`python -m tests.bench balance`: what clients wait when servers are unequal, by algorithm and proxy.

Responsible for the cases (servers, load, goals), for sending each variant the same arrivals with the same work in interleaved
rounds, and for the table with its ratios. Knows nothing of how a server takes its time (`timed`) or a request is timed
(`arrivals`).

Invariant: within one round every variant meets the same arrivals; ratios are those of one round, and their median is shown.
Times are longer and the rate is lower by one factor, so that neither client nor servers nor proxy come near a full core: queues
are the same.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from tests.bench.arrivals import Arrivals, Sender, plan
from tests.bench.backends import Backends
from tests.bench.cpu import cpu_between, read_cpu
from tests.bench.options import Options
from tests.bench.peers import PEERS, Front, Running
from tests.bench.process import BenchError, Program, free_port, raise_open_files
from tests.bench.session import Session
from tests.bench.table import Spread, format_table, machine_facts, show_facts, write_json
from tests.bench.timed import Kind

WARM_S: Final = 2.0
_WARM_BRIEF_S: Final = 0.5
FAST_US: Final = 4_000
ALGORITHMS: Final = {
    "lbapp": ("least_response_time", "least_connections"),
    "haproxy": ("leastconn", "random(2)"),
    "nginx": ("least_conn",),
    "envoy": ("LEAST_REQUEST",),
}
REFERENCE: Final = "haproxy leastconn"
GOALS: Final = {"lbapp least_response_time": 0.6, "lbapp least_connections": 1.05}
_COLUMNS = (
    "variant", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "p99 x HAProxy leastconn", "watched %", "shares %", "errors", "CPU %",
    "late ms",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """Servers by mean service time and status, the load as requests a second at full speed, and whose share is watched."""

    means_us: tuple[int, ...]
    rate: int
    watched: frozenset[int]
    says: str
    statuses: dict[int, int] = field(default_factory=dict)
    count: int = 0  # requests to count; 0: as many as come in the seconds of a round


CASES: Final = {
    "unequal": Case(
        (FAST_US,) * 6 + (5 * FAST_US,) * 2, 1_600, frozenset({6, 7}),
        "eight servers, two 5 x slower, at half of capacity; goal: least_response_time <= 0.6, least_connections <= 1.05",
    ),
    "fair": Case(
        (FAST_US,) * 5, 1_250, frozenset(range(5)), "five identical servers at half of capacity; goal: each gets 15 to 25 %",
        count=1_500,
    ),
    "sinkhole": Case(
        (FAST_US,) * 9 + (1_000,), 2_250, frozenset({9}),
        "ten servers, one of them answers 500 within 1 ms, at half of the others' capacity; goal: it gets < 2 %", {9: 500},
    ),
    "slow": Case(
        (FAST_US,) * 8 + (3 * FAST_US,) * 2, 3_030, frozenset({8, 9}),
        "ten servers, two 3 x slower, at 70 % of capacity; goal: the two get < 8 % together",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Round:
    """One variant in one round. `shares`: percent of answers by server; CPU in percent of one core."""

    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    shares: tuple[float, ...]
    errors: dict[str, int]
    proxy_cpu: float
    client_cpu: float
    servers_cpu: float
    late_ms: float


@dataclass(frozen=True, slots=True)
class _Bench:
    session: Session
    case: Case
    servers: Program
    ports: tuple[int, ...]
    rate: float
    warm_s: float


def run(options: Options) -> int:
    """Measure, print the table, return the exit status."""
    raise_open_files()
    case = CASES[options.case]
    rate = float(min(options.rate, case.rate))
    with tempfile.TemporaryDirectory(prefix="lbapp-bench-") as name, ExitStack() as stack:
        bench = _start(stack, Path(name), options, case, rate)
        session = bench.session
        found: dict[str, list[Round]] = {}
        # Peers change places from round to round; the algorithms of one follow each other.
        for number, peer in session.interleave(options.rounds):
            for algorithm in ALGORITHMS[peer.name]:
                measured = _measure(bench, peer, algorithm, number, options.seconds)
                found.setdefault(f"{peer.name} {algorithm}", []).append(measured)
        _show(bench, options, found)
        results = {variant: [asdict(each) for each in rounds] for variant, rounds in found.items()}
        write_json(options.json, "balance", session.facts, results)
        return session.finish()


def _start(stack: ExitStack, folder: Path, options: Options, case: Case, rate: float) -> _Bench:
    slower = case.rate / rate
    ports = tuple(free_port() for _ in case.means_us)
    kinds = [
        Kind(port, round(mean_us * slower), status=case.statuses.get(number, 200))
        for number, (port, mean_us) in enumerate(zip(ports, case.means_us, strict=True))
    ]
    home = folder / "servers"
    home.mkdir()
    command = [sys.executable, "-m", "tests.bench.timed", *(kind.show() for kind in kinds)]
    servers = stack.enter_context(Program("the timed servers", command, home))
    servers.wait_for_port(ports[-1])
    session = Session(folder, Backends(ports, ()), [], {})
    versions = {}
    for name in (name for name in options.peers if name in ALGORITHMS):
        peer = type(PEERS[name])(options.workers)
        if peer.missing:
            session.problems.append(peer.missing)
            session.has_failed |= name in options.only
            continue
        fronts = [Front(_front_name(each), "http", ports, balance=each) for each in ALGORITHMS[name]]
        try:
            session.peers.append(peer.start(stack, folder, fronts))
        except BenchError as error:
            session.fail(str(error))
            continue
        versions[name] = peer.version()
    session.facts = machine_facts(versions)
    time.sleep(1.0)  # every health check has had its turn
    return _Bench(session, case, servers, ports, rate, options.effort(WARM_S, _WARM_BRIEF_S))


def _front_name(algorithm: str) -> str:
    return "".join(
        character for character in algorithm.lower().replace("_", "-") if character.isalnum() or character == "-"
    )


def _measure(bench: _Bench, peer: Running, algorithm: str, seed: int, seconds: int) -> Round:
    count = bench.case.count or round(bench.rate * seconds)
    planned = plan(bench.rate, count + round(bench.rate * bench.warm_s), seed)
    groups = (peer.program.pids(), [os.getpid()], bench.servers.pids())
    before, began = [read_cpu(pids) for pids in groups], time.monotonic()
    arrivals = Sender(peer.ports[_front_name(algorithm)], bench.warm_s).run(planned)
    after, took_s = [read_cpu(pids) for pids in groups], time.monotonic() - began
    spent = [cpu_between(*pair) / 1e7 / took_s for pair in zip(before, after, strict=True)]
    return _round(bench, arrivals, spent)


def _round(bench: _Bench, arrivals: Arrivals, spent: Sequence[float]) -> Round:
    answers = max(arrivals.servers.total(), 1)
    shares = tuple(100 * arrivals.servers[port] / answers for port in bench.ports)
    proxy, client, servers = spent
    p50, p90, p99, p999 = (arrivals.percentile(share) for share in (0.5, 0.9, 0.99, 0.999))
    return Round(p50, p90, p99, p999, shares, dict(arrivals.errors), proxy, client, servers, arrivals.late_ms)


def _ratios(found: dict[str, list[Round]], variant: str) -> Spread | None:
    reference = found.get(REFERENCE)
    if reference is None:
        return None
    pairs = zip(found[variant], reference, strict=False)
    return Spread(tuple(each.p99_ms / other.p99_ms for each, other in pairs if other.p99_ms))


def _show(bench: _Bench, options: Options, found: dict[str, list[Round]]) -> None:
    rows = []
    for variant, rounds in found.items():
        ratios = _ratios(found, variant)
        watched = Spread(tuple(sum(each.shares[number] for number in bench.case.watched) for each in rounds))
        shares = [median(each.shares[number] for each in rounds) for number in range(len(bench.ports))]
        errors = sum(sum(each.errors.values()) for each in rounds)
        if errors and not bench.case.statuses:
            bench.session.fail(f"{variant}: {errors} requests failed; its figures do not count")
        rows.append(
            (
                variant,
                *(f"{median(getattr(each, name) for each in rounds):.1f}" for name in ("p50_ms", "p90_ms")),
                Spread(tuple(each.p99_ms for each in rounds)).show(),
                f"{median(each.p999_ms for each in rounds):.1f}",
                ratios.show(2) if ratios and ratios.values else "-",
                watched.show(),
                f"{min(shares):.1f}-{max(shares):.1f}",
                str(errors),
                f"{median(each.proxy_cpu for each in rounds):.0f}",
                f"{max(each.late_ms for each in rounds):.1f}",
            )
        )
    every = [each for rounds in found.values() for each in rounds]
    slower = bench.case.rate / bench.rate
    print(f"\n{options.case}: {bench.case.says}")
    pace = f"all times x {slower:.2f}, rate / {slower:.2f} = {bench.rate:.0f} requests/s"
    print(f"two slots a server; {pace}; {options.workers} worker(s)")
    if every:
        client, servers = (max(getattr(each, name) for each in every) for name in ("client_cpu", "servers_cpu"))
        print(f"at most {client:.0f} % of a core for the client, {servers:.0f} % for the servers")
    print(
        f"{options.rounds} interleaved rounds: median [lowest-highest]; `watched`: the share of the servers the case is about"
    )
    print(show_facts(bench.session.facts) + "\n")
    print(format_table(_COLUMNS, rows))
    if options.case == "unequal":
        for variant, goal in GOALS.items():
            ratios = _ratios(found, variant) if variant in found else None
            if ratios and ratios.values:
                print(f"{variant} / {REFERENCE}: {ratios.median:.2f} (goal <= {goal})")
