"""`python -m tests.bench http`: what one HTTP request costs each proxy.

Responsible for driving each proxy in turn with the same load, in interleaved rounds, and for CPU microseconds
per request: user and system time of all of the proxy's processes over completed requests. That figure holds
on a noisy machine; requests per second and p99 do not, and stand beside it for orientation.

Invariant: a round with failed requests is shown as such, never averaged away.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from tests.bench.cpu import cpu_between, read_cpu
from tests.bench.options import SEEING, Options
from tests.bench.peers import Running
from tests.bench.session import Session, open_session
from tests.bench.table import Spread, format_table, ratio, show_facts, write_json
from tests.bench.wrk import CONNECTIONS, REQUESTS_DIFFERENT, Load, Wrk

_COLUMNS = ("proxy", "CPU µs/request", "x haproxy", "x envoy", "requests/s", "p50 ms", "p99 ms", "errors")


@dataclass(frozen=True, slots=True)
class Round:
    """One proxy in one round."""

    load: Load
    cpu_us_per_request: float


def run(options: Options) -> int:
    """Measure, print the table, return the exit status."""
    with open_session(options, ("http",), options.peers) as session:
        wrk = Wrk(session.folder)
        for peer in session.peers:
            wrk.drive(peer.ports["http"], 1)
        rounds: dict[str, list[Round]] = {peer.name: [] for peer in session.peers}
        for _, peer in session.interleave(options.rounds):
            rounds[peer.name].append(_measure(wrk, peer, options.seconds))
        _show(session, options, rounds)
        results = {name: [asdict(measured) for measured in each] for name, each in rounds.items()}
        write_json(options.json, "http", session.facts, results)
        return session.finish()


def _measure(wrk: Wrk, peer: Running, seconds: int) -> Round:
    before = read_cpu(peer.program.pids())
    load = wrk.drive(peer.ports["http"], seconds)
    used_ns = cpu_between(before, read_cpu(peer.program.pids()))
    return Round(load, used_ns / 1e3 / max(load.requests, 1))


def _show(session: Session, options: Options, rounds: dict[str, list[Round]]) -> None:
    costs = {name: Spread(tuple(r.cpu_us_per_request for r in each)) for name, each in rounds.items()}
    medians = {name: cost.median for name, cost in costs.items()}
    rows = []
    for name, each in rounds.items():
        errors = sum(r.load.errors for r in each)
        if errors:
            session.fail(f"{name} failed {errors} requests; its figures do not count")
        rows.append(
            (
                name,
                costs[name].show(),
                ratio(medians[name], medians.get("haproxy")),
                ratio(medians[name], medians.get("envoy")),
                Spread(tuple(r.load.requests_per_s for r in each)).show(0),
                Spread(tuple(r.load.p50_us / 1e3 for r in each)).show(2),
                Spread(tuple(r.load.p99_us / 1e3 for r in each)).show(2),
                str(errors),
            )
        )
    print(f"\nHTTP/1.1, {CONNECTIONS} connections, {REQUESTS_DIFFERENT} heads, 1 KiB bodies, one worker each,")
    print(f"{options.rounds} interleaved rounds of {options.seconds} s: median [lowest-highest]")
    print(show_facts(session.facts) + "\n")
    print(format_table(_COLUMNS, rows))
    for name in SEEING:
        if name in rounds and "lbapp" in rounds:
            pairs = zip(rounds[name], rounds["lbapp"], strict=True)
            more = Spread(tuple((it.cpu_us_per_request / plain.cpu_us_per_request - 1) * 100 for it, plain in pairs))
            print(f"{name} over lbapp, round by round: {more.show()} % more CPU a request")
