"""`python -m tests.bench tls`: what TLS costs each proxy, for new connections and for requests on old ones.

Responsible for driving each proxy with new connections that carry one request each (no resumption) and with keep-alive requests,
in interleaved rounds, and for CPU of the proxy's processes over what was completed. Knows nothing of how a proxy is configured;
all have one certificate (ECDSA P-256), and wrk agrees on TLS 1.3 with each.

Invariant: a round with failed requests is shown as such, never averaged away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

from tests.bench.cpu import cpu_between, read_cpu
from tests.bench.options import Options
from tests.bench.peers import Running
from tests.bench.session import Session, open_session
from tests.bench.table import Spread, format_table, ratio, show_facts, write_json
from tests.bench.wrk import CONNECTIONS, Load, Wrk

PEERS_TLS = ("lbapp", "haproxy", "nginx")
_COLUMNS = (
    "proxy", "CPU µs/connection", "handshakes/CPU s", "x haproxy", "CPU µs/request", "x haproxy", "connections/s", "errors",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Round:
    """One proxy in one round: new connections with a request each, and requests on connections that stay."""

    new: Load
    kept: Load
    cpu_us_per_connection: float
    cpu_us_per_request: float


def run(options: Options) -> int:
    """Measure, print the table, return the exit status."""
    peers = tuple(name for name in options.peers if name in PEERS_TLS)
    with open_session(options, ("http", "tls"), peers) as session:
        wrk = Wrk(session.folder)
        rounds: dict[str, list[Round]] = {peer.name: [] for peer in session.peers}
        for peer in session.peers:
            wrk.drive(peer.ports["tls"], 1, scheme="https")
        for _, peer in session.interleave(options.rounds):
            rounds[peer.name].append(_measure(wrk, peer, options.seconds))
        _show(session, options, rounds)
        results = {name: [asdict(measured) for measured in each] for name, each in rounds.items()}
        write_json(options.json, "tls", session.facts, results)
        return session.finish()


def _measure(wrk: Wrk, peer: Running, seconds: int) -> Round:
    port = peer.ports["tls"]
    new, new_us = _cost(peer, lambda: wrk.drive(port, seconds, scheme="https", is_closing=True))
    kept, kept_us = _cost(peer, lambda: wrk.drive(port, seconds, scheme="https"))
    return Round(new, kept, new_us, kept_us)


def _cost(peer: Running, drive: Callable[[], Load]) -> tuple[Load, float]:
    before = read_cpu(peer.program.pids())
    load = drive()
    used_ns = cpu_between(before, read_cpu(peer.program.pids()))
    return load, used_ns / 1e3 / max(load.requests, 1)


def _show(session: Session, options: Options, rounds: dict[str, list[Round]]) -> None:
    new = {name: Spread(tuple(r.cpu_us_per_connection for r in each)) for name, each in rounds.items()}
    kept = {name: Spread(tuple(r.cpu_us_per_request for r in each)) for name, each in rounds.items()}
    rows = []
    for name, each in rounds.items():
        errors = sum(r.new.errors + r.kept.errors for r in each)
        if errors:
            session.fail(f"{name} failed {errors} requests; its figures do not count")
        rows.append(
            (
                name,
                new[name].show(),
                f"{1e6 / new[name].median:.0f}",
                ratio(new[name].median, new["haproxy"].median if "haproxy" in new else None),
                kept[name].show(),
                ratio(kept[name].median, kept["haproxy"].median if "haproxy" in kept else None),
                Spread(tuple(r.new.requests_per_s for r in each)).show(0),
                str(errors),
            )
        )
    print(
        f"\nTLS 1.3, ECDSA P-256, {CONNECTIONS} connections at a time, 1 KiB bodies, one worker each; a new connection"
    )
    print("carries one request, and no session is resumed;")
    print(f"{options.rounds} interleaved rounds of 2 x {options.seconds} s: median [lowest-highest]")
    print(show_facts(session.facts) + "\n")
    print(format_table(_COLUMNS, rows))
