"""The columns of the requests screen: exchanges, connections of clients, groups, malformed heads.

Responsible for which figure stands where, and for what can be asked of each in a filter. Knows nothing of drawing or of where
rows come from. Invariants: at 80 cells what is needed to find a fault fits; what failed has `!` before its status.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from lbapp.control.looking import CaptureStatus, SessionStatus
from lbapp.tui.exchanges import SLOW_MS, ExchangeRow
from lbapp.tui.filtering import Fields, Number, Words
from lbapp.tui.format import brief_duration, clock, count, milliseconds, share
from lbapp.tui.glyphs import Glyphs, Tone
from lbapp.tui.listing import Column, Kind
from lbapp.tui.malformed import marked, who
from lbapp.tui.sample import Group

OLD_S: Final = 10.0  # a request that has been under way for so long is not a common one
LONG_MS: Final = 60_000.0  # such as of a tunnel
_WIDE: Final = 112  # below, a path would have too little room


def clock_ms(at: float) -> str:
    """Return the local time of day of a Unix time, to the millisecond."""
    return datetime.fromtimestamp(at).strftime("%H:%M:%S.%f")[:12]


def short_size(value: float | None) -> str:
    """Return a number of bytes in at most five characters."""
    if value is None:
        return "-"
    for unit in ("", "K", "M", "G"):
        if value < 999.5:
            return f"{value:.0f}{unit}" if not unit or value >= 9.95 else f"{value:.1f}{unit}"
        value /= 1024
    return f"{value:.0f}T"


def phase_ms(value: float | None) -> str:
    """Return a time, given in milliseconds, in at most five characters; one that took none is a plain 0."""
    if value is not None and value >= LONG_MS:
        return brief_duration(value / 1000)
    return "0" if value == 0 else milliseconds(value)


def status_word(row: ExchangeRow) -> str:
    """Return its status, `!` before it when it failed."""
    text = "-" if row.status is None else str(row.status)
    return f"!{text}" if row.is_failed else text


def _tone(row: ExchangeRow) -> Tone:
    if row.is_failed:
        return "bad"
    return "warn" if (row.status or 0) >= 400 or row.total_ms >= SLOW_MS else "plain"


def exchange_fields() -> Fields[ExchangeRow]:
    """Return what can be asked of exchanges."""
    return Fields(
        text=lambda r: f"{r.method} {r.host}{r.target} {r.where} {r.client} {r.status or r.outcome} {r.request_id}",
        named={
            "pool": Words(lambda r: r.pool),
            "server": Words(lambda r: r.server),
            "status": Number(lambda r: r.status),
            "method": Words(lambda r: r.method),
            "path": Words(lambda r: r.path),
            "host": Words(lambda r: r.host),
            "client": Words(lambda r: r.client),
            "listener": Words(lambda r: r.listener),
            "outcome": Words(lambda r: r.outcome),
            "time": Number(lambda r: r.total_ms, "ms"),
            "ttfb": Number(lambda r: r.first_byte_ms, "ms"),
            "connect": Number(lambda r: r.connect_ms, "ms"),
            "queue": Number(lambda r: r.queue_ms, "ms"),
            "bytes": Number(lambda r: r.bytes_out, "bytes"),
            "attempts": Number(lambda r: r.attempts),
        },
    )


def exchange_kind() -> Kind[ExchangeRow]:
    """Return what the table of exchanges shows."""
    fields = exchange_fields()

    def text(title: str, width: int, get: Callable[[ExchangeRow], str], wide: int = 0) -> Column[ExchangeRow]:
        return Column(title, width, lambda r: get(r) or "-", get, is_right=False, screen_width_min=wide)

    def time(title: str, get: Callable[[ExchangeRow], float | None], wide: int = 0) -> Column[ExchangeRow]:
        return Column(title, 6, lambda r: phase_ms(get(r)), get, tone=_tone, screen_width_min=wide)

    columns: list[Column[ExchangeRow]] = [
        Column("time", 12, lambda r: clock_ms(r.at), lambda r: r.number, is_right=False),
        Column("stat", 4, status_word, lambda r: r.status, tone=_tone),
        text("method", 6, lambda r: r.method),
        text("host", 16, lambda r: r.host, _WIDE),
        text("path", 0, lambda r: r.target or (r.outcome.replace("_", " ") if r.is_failed else "")),
        text("pool/server", 15, lambda r: r.where),
        time("queue", lambda r: r.queue_ms),
        time("conn", lambda r: r.connect_ms, _WIDE),
        time("ttfb", lambda r: r.first_byte_ms, _WIDE),
        time("total", lambda r: r.total_ms),
        Column("bytes", 5, lambda r: short_size(r.bytes_out), lambda r: r.bytes_out, screen_width_min=_WIDE),
    ]
    return Kind(
        columns,
        lambda r: str(r.number),
        lambda r: r.is_failed,
        fields.text,
        is_newest_first=True,
        fields=fields.named,
    )


def session_fields() -> Fields[SessionStatus]:
    """Return what can be asked of connections."""
    return Fields(
        text=lambda s: f"{s['state']} {s['method'] or ''} {s['target'] or ''} {s['server'] or ''} {s['client']}",
        named={
            "state": Words(lambda s: s["state"]),
            "server": Words(lambda s: s["server"] or ""),
            "pool": Words(lambda s: (s["server"] or "").partition("/")[0]),
            "method": Words(lambda s: s["method"] or ""),
            "path": Words(lambda s: s["target"] or ""),
            "client": Words(lambda s: s["client"]),
            "listener": Words(lambda s: s["listener"]),
            "time": Number(lambda s: s["busy_s"] * 1000, "ms"),
            "age": Number(lambda s: s["age_s"], "s"),
            "bytes": Number(lambda s: s["bytes_out"], "bytes"),
        },
    )


def _busy(session: SessionStatus) -> str:
    text = phase_ms(session["busy_s"] * 1000)
    return f"!{text}" if _is_old(session) else text


def _is_old(session: SessionStatus) -> bool:
    return session["busy_s"] >= OLD_S and session["state"] != "tunnel"


def session_kind() -> Kind[SessionStatus]:
    """Return what the table of connections shows."""
    columns: list[Column[SessionStatus]] = [
        Column("busy", 7, _busy, lambda s: s["busy_s"], tone=lambda s: "bad" if _is_old(s) else "plain"),
        Column("state", 9, lambda s: s["state"].upper(), lambda s: s["state"], is_right=False),
        Column("method", 6, lambda s: s["method"] or "-", lambda s: s["method"], is_right=False),
        Column("path", 0, lambda s: s["target"] or "-", lambda s: s["target"], is_right=False),
        Column("pool/server", 15, lambda s: s["server"] or "-", lambda s: s["server"], is_right=False),
        Column("client", 15, lambda s: s["client"], lambda s: s["client"], is_right=False),
        Column(
            "listener", 10, lambda s: s["listener"], lambda s: s["listener"], is_right=False, screen_width_min=_WIDE
        ),
        Column("age", 6, lambda s: brief_duration(s["age_s"]), lambda s: s["age_s"], screen_width_min=_WIDE),
        Column("bytes", 5, lambda s: short_size(s["bytes_out"]), lambda s: s["bytes_out"], screen_width_min=_WIDE),
    ]
    fields = session_fields()
    return Kind(columns, lambda s: str(s["id"]), _is_old, fields.text, fields=fields.named)


def group_kind(grouping: str) -> Kind[Group]:
    """Return what the table of groups shows. `grouping`: what they are alike in."""
    columns: list[Column[Group]] = [
        Column("~req/s", 7, lambda g: count(g.requests_per_s), lambda g: g.requests_per_s),
        Column("seen", 5, lambda g: count(g.seen), lambda g: g.seen),
        Column(
            "fail%", 6, lambda g: share(g.failed), lambda g: g.failed, tone=lambda g: "bad" if g.failed else "plain"
        ),
        Column("p50", 6, lambda g: milliseconds(g.p50), lambda g: g.p50),
        Column("p99", 6, lambda g: milliseconds(g.p99), lambda g: g.p99),
        Column(grouping, 0, lambda g: g.name, lambda g: g.name, is_right=False),
    ]
    return Kind(columns, lambda g: g.name, lambda g: g.failed > 0, lambda g: g.name)


def capture_kind(glyphs: Glyphs) -> Kind[CaptureStatus]:
    """Return what the table of malformed heads shows."""
    columns: list[Column[CaptureStatus]] = [
        Column("time", 8, lambda c: clock(c["at"]), lambda c: c["at"], is_right=False),
        Column("sent by", 22, who, who, is_right=False),
        Column(
            "listener", 10, lambda c: c["listener"], lambda c: c["listener"], is_right=False, screen_width_min=_WIDE
        ),
        Column("what is wrong", 0, lambda c: c["reason"], lambda c: c["reason"], is_right=False),
        Column("where", 22, lambda c: marked(c, 22, glyphs), lambda c: c["offset"], is_right=False),
    ]
    return Kind(
        columns, capture_id, lambda _c: True, lambda c: f"{who(c)} {c['listener']} {c['reason']} {c['excerpt']}"
    )


def capture_id(capture: CaptureStatus) -> str:
    """Return what tells one malformed head from the others."""
    return f"{capture['at']!r} {capture['client']} {capture['port']} {capture['reason']}"
