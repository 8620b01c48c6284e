"""`python -m tests.bench new`: what a connection of one request costs each proxy, over HTTP and through TCP.

Responsible for driving each proxy with new connections that carry one request each, on an http and on a tcp listener, and with
requests through tcp connections that stay, in interleaved rounds, and for CPU of the proxy's processes over what was completed.
Knows nothing of how a proxy is configured. The server behind it keeps its connections open on http; on tcp there is one to it for
each of a client's.

Invariant: a round with failed requests is shown as such, never averaged away.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from tests.bench.cpu import cpu_between, read_cpu
from tests.bench.options import Options
from tests.bench.peers import Running
from tests.bench.session import Session, open_session
from tests.bench.table import Spread, format_table, ratio, show_facts, write_json
from tests.bench.wrk import CONNECTIONS, Load, Wrk

# Each with its port, and whether each request has a connection of its own.
KINDS = {"http": ("http", True), "tcp": ("tcp", True), "tcp kept": ("tcp", False)}
_COLUMNS = ("proxy", *(head for kind in KINDS for head in (f"{kind}: CPU µs", "x haproxy")), "errors")


@dataclass(frozen=True, slots=True)
class Cost:
    """One proxy in one round and one way."""

    load: Load
    cpu_us: float


def run(options: Options) -> int:
    """Measure, print the table, return the exit status."""
    peers = tuple(name for name in options.peers if name in ("lbapp", "lbapp-log", "haproxy", "envoy"))
    with open_session(options, ("http", "tcp"), peers) as session:
        wrk = Wrk(session.folder)
        rounds: dict[str, list[dict[str, Cost]]] = {peer.name: [] for peer in session.peers}
        for peer in session.peers:
            wrk.drive(peer.ports["http"], 1)
        for _, peer in session.interleave(options.rounds):
            rounds[peer.name].append({kind: _measure(wrk, peer, kind, options.seconds) for kind in KINDS})
        _show(session, options, rounds)
        results = {
            name: [{kind: asdict(cost) for kind, cost in each.items()} for each in all_]
            for name, all_ in rounds.items()
        }
        write_json(options.json, "new", session.facts, results)
        return session.finish()


def _measure(wrk: Wrk, peer: Running, kind: str, seconds: int) -> Cost:
    front, is_closing = KINDS[kind]
    before = read_cpu(peer.program.pids())
    load = wrk.drive(peer.ports[front], seconds, is_closing=is_closing)
    used_ns = cpu_between(before, read_cpu(peer.program.pids()))
    return Cost(load, used_ns / 1e3 / max(load.requests, 1))


def _show(session: Session, options: Options, rounds: dict[str, list[dict[str, Cost]]]) -> None:
    costs = {
        name: {kind: Spread(tuple(each[kind].cpu_us for each in all_)) for kind in KINDS}
        for name, all_ in rounds.items()
    }
    rows = []
    for name, all_ in rounds.items():
        errors = sum(cost.load.errors for each in all_ for cost in each.values())
        if errors:
            session.fail(f"{name} failed {errors} requests; its figures do not count")
        cells = []
        for kind, cost in costs[name].items():
            cells += [cost.show(), ratio(cost.median, costs["haproxy"][kind].median if "haproxy" in costs else None)]
        rows.append((name, *cells, str(errors)))
    print(
        f"\n{CONNECTIONS} connections at a time, 1 KiB bodies, one worker each; a new connection carries one request;"
    )
    print(f"{options.rounds} interleaved rounds of {len(KINDS)} x {options.seconds} s: median [lowest-highest]")
    print(show_facts(session.facts) + "\n")
    print(format_table(_COLUMNS, rows))
