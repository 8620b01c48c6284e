"""The figures of one listener, pool or server, as the control API shows them.

Responsible for making a Traffic from two totals: the present one and the one that rates are counted from.
Knows nothing of shared memory, names or states; keeps no clock.

Errors: 5xx answers and exchanges that ended without a whole response. An exchange that lbapp answered in the
server's place is both, and counts once. Where a server also breaks off in the middle of responses, the count
is a lower bound.

Invariants: a figure that cannot be known is None, not 0; a pool's counters are the exact sums over its
servers and over what reached none of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add, itemgetter
from typing import Final, NamedTuple

from lbapp.control.messages import Latency, Percentiles, Traffic
from lbapp.engine.scoreboard.totals import ListenerTotals, ServerTotals
from lbapp.model.histogram import percentiles
from lbapp.model.outcomes import FailureKind, Outcome

_FRACTIONS: Final = (0.5, 0.9, 0.99, 0.999)
_CLASSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx")
_NOTHING: Final[Percentiles] = {"p50": None, "p90": None, "p99": None, "p999": None}
# Of HTTP exchanges these always got a 5xx from lbapp ...
_answered: Final = itemgetter(
    Outcome.NO_SERVER, Outcome.CONNECT_FAILED, Outcome.CONNECT_TIMEOUT, Outcome.OVERLOADED, Outcome.QUEUE_FULL,
    Outcome.QUEUE_TIMEOUT,
)  # fmt: skip
# ... and these did if the response had not begun.
_broken: Final = itemgetter(
    Outcome.RESPONSE_TIMEOUT, Outcome.RESPONSE_BROKEN, Outcome.SERVER_CLOSED, Outcome.ABORTED, Outcome.EXCHANGE_TIMEOUT,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Figures:
    """What listeners, pools and servers have in common. Histograms are sums as of model.histogram."""

    connections: int
    connections_total: int
    in_flight: int
    requests: int
    bytes_in: int
    bytes_out: int
    retries: int
    responses: tuple[int, ...]
    failures: tuple[int, ...]
    outcomes: tuple[int, ...]
    queue: int
    connect: int
    first_byte: int
    total: int
    errors: int  # exchanges that failed (see the module)


def of_listener(listener: ListenerTotals) -> Figures:
    """Return a listener's figures; it has no connections to servers, so no failures of them."""
    return Figures(
        connections=listener.connections,
        connections_total=listener.connections_total,
        in_flight=listener.in_flight,
        requests=listener.requests,
        bytes_in=listener.bytes_in,
        bytes_out=listener.bytes_out,
        retries=listener.retries,
        responses=listener.responses,
        failures=(0,) * len(FailureKind),
        outcomes=listener.outcomes,
        queue=listener.queue,
        connect=listener.connect,
        first_byte=listener.first_byte,
        total=listener.total,
        errors=_errors(listener.responses, listener.outcomes),
    )


def of_server(server: ServerTotals) -> Figures:
    """Return a server's figures."""
    return Figures(
        connections=server.connections,
        connections_total=server.connections_total,
        in_flight=server.in_flight,
        requests=server.requests,
        bytes_in=server.bytes_in,
        bytes_out=server.bytes_out,
        retries=server.retries,
        responses=server.responses,
        failures=server.failures,
        outcomes=server.outcomes,
        queue=server.queue,
        connect=server.connect,
        first_byte=server.first_byte,
        total=server.total,
        errors=_errors(server.responses, server.outcomes),
    )


def of_pool(servers: Sequence[Figures], unserved: tuple[int, ...], queue: int) -> Figures:
    """Return the sum over a pool's servers.

    `unserved` are the outcomes of exchanges that reached none of them; `queue` is of all who waited, whether they got a server
    or not.
    """
    return Figures(
        connections=sum(server.connections for server in servers),
        connections_total=sum(server.connections_total for server in servers),
        in_flight=sum(server.in_flight for server in servers),
        requests=sum(server.requests for server in servers) + sum(unserved),
        bytes_in=sum(server.bytes_in for server in servers),
        bytes_out=sum(server.bytes_out for server in servers),
        retries=sum(server.retries for server in servers),
        responses=_columns([server.responses for server in servers], len(_CLASSES)),
        failures=_columns([server.failures for server in servers], len(FailureKind)),
        outcomes=_columns([*(server.outcomes for server in servers), unserved], len(Outcome)),
        queue=queue,
        connect=reduce(add, (server.connect for server in servers), 0),
        first_byte=reduce(add, (server.first_byte for server in servers), 0),
        total=reduce(add, (server.total for server in servers), 0),
        errors=sum(server.errors for server in servers) + _errors((0,) * len(_CLASSES), unserved),
    )


def traffic(now: Figures, earlier: Figures, seconds: float) -> Traffic:
    """Return the figures now, with rates and latencies over the `seconds` since `earlier`."""
    requests_per_s, error_rate = moved(now, earlier, seconds)
    return {
        "connections": now.connections,
        "connections_total": now.connections_total,
        "in_flight": now.in_flight,
        "requests_total": now.requests,
        "requests_per_s": requests_per_s,
        "responses": dict(zip(_CLASSES, now.responses, strict=True)),
        "errors_total": now.errors,
        "error_rate": error_rate,
        "bytes_in_total": now.bytes_in,
        "bytes_out_total": now.bytes_out,
        "retries_total": now.retries,
        "failures": {kind.name.lower(): now.failures[kind] for kind in FailureKind if now.failures[kind]},
        "outcomes": {outcome.name.lower(): now.outcomes[outcome] for outcome in Outcome if now.outcomes[outcome]},
        "latency": _latency(now, earlier, seconds),
    }


def _latency(now: Figures, earlier: Figures, seconds: float) -> Latency:
    return {
        "window_s": round(seconds, 1),
        "connect": in_milliseconds(now.connect - earlier.connect),
        "first_byte": in_milliseconds(now.first_byte - earlier.first_byte),
        "total": in_milliseconds(now.total - earlier.total),
    }


class Brief(NamedTuple):
    """The few figures that lists show. `total` is a histogram sum."""

    connections: int
    in_flight: int
    requests: int
    errors: int
    retries: int
    bytes_in: int
    bytes_out: int
    responses_5xx: int
    total: int


def brief(of: ServerTotals | ListenerTotals) -> Brief:
    """Return the few figures of a server or listener."""
    return Brief(
        of.connections,
        of.in_flight,
        of.requests,
        _errors(of.responses, of.outcomes),
        of.retries,
        of.bytes_in,
        of.bytes_out,
        of.responses[4],
        of.total,
    )


def brief_of_pool(servers: Sequence[Brief], unserved: tuple[int, ...]) -> Brief:
    """Return the sum over a pool's servers and over what reached none of them, as `of_pool` has it."""
    lost = Brief(0, 0, sum(unserved), _errors((0,) * len(_CLASSES), unserved), 0, 0, 0, 0, 0)
    return Brief(*map(sum, zip(lost, *servers, strict=True)))


def moved(now: Brief | Figures, earlier: Brief | Figures, seconds: float) -> tuple[float, float | None]:
    """Return requests per second and the share of them that failed, over the `seconds` since `earlier`."""
    requests = now.requests - earlier.requests
    rate = round(requests / seconds, 2) if seconds > 0 else 0.0
    return rate, round(min(1.0, (now.errors - earlier.errors) / requests), 4) if requests else None


def total_in_milliseconds(difference: int) -> tuple[float | None, float | None, float | None]:
    """Return p50, p90 and p99 of a sum or difference of histograms."""
    if not difference:
        return None, None, None
    p50, p90, p99 = (None if us is None else us / 1000 for us in percentiles(difference, _FRACTIONS[:3]))
    return p50, p90, p99


def in_milliseconds(difference: int) -> Percentiles:
    """Return the percentiles of a sum or difference of histograms."""
    if not difference:
        return _NOTHING
    p50, p90, p99, p999 = (None if us is None else us / 1000 for us in percentiles(difference, _FRACTIONS))
    return {"p50": p50, "p90": p90, "p99": p99, "p999": p999}


def _errors(responses: tuple[int, ...], outcomes: tuple[int, ...]) -> int:
    answered: int = sum(_answered(outcomes))
    broken: int = sum(_broken(outcomes))
    return answered + max(responses[4] - answered, broken)


def _columns(rows: Sequence[tuple[int, ...]], width: int) -> tuple[int, ...]:
    return tuple(map(sum, zip(*rows, strict=True))) if rows else (0,) * width
