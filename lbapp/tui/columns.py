"""The columns of tables: listeners, events, and what all that carries traffic has.

Responsible for which figure stands where, how wide, and what counts as a problem. Knows nothing of drawing or sorting.
Invariant: at 80 cells every figure of the issue fits; state is said by symbol and word.
"""

from __future__ import annotations

from typing import Final

from lbapp.tui.filtering import Field, Number
from lbapp.tui.format import count, milliseconds, share
from lbapp.tui.glyphs import Tone
from lbapp.tui.listing import Column, Kind
from lbapp.tui.scene import Figures, ListenerRow, ServerRow

ERROR_RATE_PROBLEM: Final = 0.05


def error_tone(item: Figures) -> Tone:
    """Return how a share of errors stands out."""
    rate = item.error_rate
    if not rate:
        return "plain"
    return "bad" if rate >= ERROR_RATE_PROBLEM else "warn"


def has_many_errors(item: Figures) -> bool:
    """Say whether so many fail that it is a problem."""
    return (item.error_rate or 0.0) >= ERROR_RATE_PROBLEM


def is_standby(server: ServerRow) -> bool:
    """Say whether a server is a backup that could serve and is not needed."""
    return server.is_backup and server.admin == "ready" and server.health != "down" and server.weight > 0


def figure_fields() -> dict[str, Field[Figures]]:
    """Return what a filter may name of everything that carries traffic; `5xx` is another word for `err`."""
    errors: Field[Figures] = Number(lambda i: None if i.error_rate is None else i.error_rate * 100, "%")
    return {
        "conn": Number(lambda i: i.connections),
        "inflight": Number(lambda i: i.in_flight),
        "req": Number(lambda i: i.requests_per_s),
        "p50": Number(lambda i: i.p50, "ms"),
        "p99": Number(lambda i: i.p99, "ms"),
        "err": errors,
        "5xx": errors,
    }


def _traffic_columns() -> list[Column[Figures]]:
    return [
        Column("conn", 5, lambda t: count(t.connections), lambda t: t.connections),
        Column("in-fl", 5, lambda t: count(t.in_flight), lambda t: t.in_flight),
        Column("req/s", 5, lambda t: count(t.requests_per_s), lambda t: t.requests_per_s),
        Column("err%", 5, lambda t: share(t.error_rate), lambda t: t.error_rate, tone=error_tone),
        Column("p50", 5, lambda t: milliseconds(t.p50), lambda t: t.p50),
        Column("p99", 5, lambda t: milliseconds(t.p99), lambda t: t.p99),
    ]


def listener_kind() -> Kind[ListenerRow]:
    """Return what the table of listeners shows."""
    name: Column[ListenerRow] = Column(
        "listener",
        16,
        lambda i: i.name,
        lambda i: i.name,
        is_right=False,
        tone=lambda i: "warn" if i.state == "draining" else "plain",
    )
    bind: Column[ListenerRow] = Column(
        "accepts on", 0, lambda i: f"{i.protocol} {' '.join(i.bind)}", lambda i: i.protocol, is_right=False
    )
    return Kind(
        [name, bind, *_traffic_columns()],
        lambda i: i.name,
        lambda i: i.state != "serving" or has_many_errors(i),
        lambda i: f"{i.name} {i.protocol} {' '.join(i.bind)}",
    )
