"""The table of servers: its columns, what a filter may name, and which servers stand first.

Responsible for which figure stands where, in four sets of columns. Knows nothing of drawing or sorting. Invariants: the word of a
state is never cut; at 80 cells every set fits without scrolling; what is not known is `-`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from lbapp.tui.columns import ERROR_RATE_PROBLEM, error_tone, figure_fields, has_many_errors, is_standby
from lbapp.tui.filtering import Field, Number, Words
from lbapp.tui.format import brief_duration, count, milliseconds, share, size
from lbapp.tui.glyphs import Glyphs, Tone, sparkline, state_of
from lbapp.tui.listing import Column, Kind
from lbapp.tui.rates import Rates, Total
from lbapp.tui.scene import ServerRow
from lbapp.tui.trends import condensed

SETS: Final = ("load", "latency", "errors", "checks")
LIMIT_IS_NEAR: Final = 0.9
_WIDE: Final = 100
_WIDER: Final = 120
_XL: Final = 132
_RANKS: Final[Mapping[Tone, int]] = {"bad": 0, "warn": 1}
_FINE: Final = 3

Past = Callable[[str], Sequence[float]]


@dataclass(frozen=True, slots=True)
class Context:
    """What rows alone do not tell. `past`: the requests per second of an id; `now`: Unix seconds by the engine's clock."""

    glyphs: Glyphs
    past: Past
    now: Callable[[], float]
    rates: Rates = field(default_factory=Rates)


def is_server_problem(server: ServerRow) -> bool:
    """Say whether a server takes no new clients, or fails many of them. A backup that is not needed is none."""
    return not (server.is_eligible or is_standby(server)) or has_many_errors(server)


def server_kind(context: Context, *, is_of_one_pool: bool = False) -> Kind[ServerRow]:
    """Return what the table of servers shows; of one pool, its name is left out of theirs."""
    columns = [*_who(context, is_of_one_pool), *_load(context), *_latency(), *_errors(context), *_checks(context)]
    return Kind(
        columns,
        lambda s: s.id,
        is_server_problem,
        lambda s: f"{s.id} {s.address} {s.admin} {s.health}",
        rank=lambda s: _rank(s, context),
        fields=_fields(context),
        sets=SETS,
        has_marks=True,
    )


def _rank(server: ServerRow, context: Context) -> int:
    """Return 0 for what is bad, 1 for what is to be watched, 2 for what is meant to take no clients, 3 for the rest."""
    is_plain = server.is_eligible and server.health == "up" and not server.is_backup
    if is_plain and server.share_percent >= 100 and not server.no_new_clients and server.is_last_good is not False:
        return 1 if (server.error_rate or 0.0) >= ERROR_RATE_PROBLEM else _FINE
    tone = state_of(server, context.glyphs, context.now())[1]
    if tone in _RANKS:
        return _RANKS[tone]
    if has_many_errors(server):
        return 1
    return 2 if is_server_problem(server) else _FINE


def _who(context: Context, is_of_one_pool: bool) -> list[Column[ServerRow]]:
    def state(server: ServerRow) -> tuple[str, Tone]:
        return state_of(server, context.glyphs, context.now())

    def name(server: ServerRow) -> str:
        return server.name if is_of_one_pool else server.id

    return [
        Column(
            "st", 2, lambda s: state(s)[0][:1], lambda s: _rank(s, context), is_right=False, tone=lambda s: state(s)[1]
        ),
        Column("server", 0, name, name, is_right=False),
        Column(
            "address",
            15 if is_of_one_pool else 21,
            lambda s: s.address,
            lambda s: s.address,
            is_right=False,
            screen_width_min=_WIDER if is_of_one_pool else _XL,
        ),
        Column(
            "state",
            11,
            lambda s: state(s)[0][2:],
            lambda s: state(s)[0][2:],
            is_right=False,
            tone=lambda s: state(s)[1],
        ),
        Column("wgt", 3, lambda s: str(s.weight), lambda s: s.weight, tone=_weight_tone),
    ]


def _weight_tone(server: ServerRow) -> Tone:
    """Return how a weight stands out that is not the file's, or of which the server's agent wants another share."""
    is_as_in_file = server.configured_weight in (None, server.weight)
    return "plain" if is_as_in_file and server.agent_percent == 100 else "warn"


def is_near_limit(server: ServerRow) -> bool:
    """Say whether a server has nearly as much in flight as it may have."""
    return bool(server.connections_max) and (server.in_flight or 0) >= LIMIT_IS_NEAR * (server.connections_max or 0)


def _limit(server: ServerRow) -> str:
    if server.connections_max is None:
        return "-"
    return (
        f"{count(server.connections_max)}{'!' if is_near_limit(server) else ' '}" if server.connections_max else "none "
    )


def _load(context: Context) -> list[Column[ServerRow]]:
    load, most = ("load",), ("load", "latency", "errors")

    def trend(server: ServerRow) -> str:
        return sparkline(condensed(context.past(server.id), 8, 5), 8, context.glyphs)

    return [
        Column("conn", 5, lambda s: count(s.connections), lambda s: s.connections, sets=load),
        Column("in-fl", 5, lambda s: count(s.in_flight), lambda s: s.in_flight, sets=load),
        Column(
            "max",
            6,
            _limit,
            lambda s: s.connections_max or None,
            tone=lambda s: "warn" if is_near_limit(s) else "plain",
            sets=load,
        ),
        Column("req/s", 5, lambda s: count(s.requests_per_s), lambda s: s.requests_per_s, sets=most),
        Column("p50", 5, lambda s: milliseconds(s.p50), lambda s: s.p50, sets=load, screen_width_min=_WIDE),
        Column("p99", 5, lambda s: milliseconds(s.p99), lambda s: s.p99, sets=load),
        Column(
            "err%", 5, lambda s: share(s.error_rate), lambda s: s.error_rate, tone=error_tone, sets=("load", "errors")
        ),
        Column("check", 11, _reason, _reason, is_right=False, tone=_reason_tone, sets=load, screen_width_min=_WIDER),
        Column("since", 5, lambda s: _since(s, context), lambda s: _age(s, context), sets=load, screen_width_min=_WIDE),
        Column("last 20s", 8, trend, lambda s: s.requests_per_s, is_right=False, sets=load, screen_width_min=_WIDER),
    ]


def _latency() -> list[Column[ServerRow]]:
    latency = ("latency",)
    return [
        Column("p50", 6, lambda s: milliseconds(s.p50), lambda s: s.p50, sets=latency),
        Column("p90", 6, lambda s: milliseconds(s.p90), lambda s: s.p90, sets=latency),
        Column("p99", 6, lambda s: milliseconds(s.p99), lambda s: s.p99, sets=latency),
    ]


def _errors(context: Context) -> list[Column[ServerRow]]:
    errors = ("errors",)

    def rate(title: str, total: Total) -> Column[ServerRow]:
        def of(server: ServerRow) -> float | None:
            return context.rates.of(server, total)

        return Column(title, 7, lambda s: count(of(s)), of, sets=errors)

    def bytes_rate(title: str, total: Total) -> Column[ServerRow]:
        def of(server: ServerRow) -> float | None:
            return context.rates.of(server, total)

        def text(server: ServerRow) -> str:
            found = of(server)
            return "-" if found is None else size(int(found)).replace(" ", "")

        return Column(title, 7, text, of, sets=("latency",))

    return [
        rate("err/s", "errors_total"),
        Column("errors", 6, lambda s: count(s.errors_total), lambda s: s.errors_total, sets=errors),
        rate("retry/s", "retries_total"),
        Column("retries", 7, lambda s: count(s.retries_total), lambda s: s.retries_total, sets=errors),
        bytes_rate("in/s", "bytes_in_total"),
        bytes_rate("out/s", "bytes_out_total"),
    ]


def _checks(context: Context) -> list[Column[ServerRow]]:
    checks = ("checks",)
    return [
        Column("check", 24, _reason, _reason, is_right=False, tone=_reason_tone, sets=checks),
        Column("since", 5, lambda s: _since(s, context), lambda s: _age(s, context), sets=checks),
        Column("by", 8, lambda s: s.changed_by or "-", lambda s: s.changed_by or None, is_right=False, sets=checks),
    ]


def _reason(server: ServerRow) -> str:
    return server.ejected or server.no_new_clients or server.health_reason or "-"


def _reason_tone(server: ServerRow) -> Tone:
    return "bad" if server.health == "down" or server.ejected else "plain"


def _age(server: ServerRow, context: Context) -> float | None:
    """Return for how many seconds the state has been what it is: the operator's, where that stands before what checks found."""
    began = server.changed_at if server.admin != "ready" else server.health_since
    return None if began is None else max(0.0, context.now() - began)


def _since(server: ServerRow, context: Context) -> str:
    age = _age(server, context)
    return "-" if age is None else brief_duration(age)


def _fields(context: Context) -> dict[str, Field[ServerRow]]:
    return {
        "pool": Words(lambda s: s.pool),
        "server": Words(lambda s: s.name),
        "address": Words(lambda s: s.address),
        "state": Words(lambda s: state_of(s, context.glyphs, context.now())[0][2:]),
        "admin": Words(lambda s: s.admin),
        "health": Words(lambda s: s.health),
        "check": Words(_reason),
        "by": Words(lambda s: s.changed_by),
        "wgt": Number(lambda s: s.weight),
        "max": Number(lambda s: s.connections_max or None),
        **figure_fields(),
        "p90": Number(lambda s: s.p90, "ms"),
        "since": Number(lambda s: _age(s, context), "s"),
    }
