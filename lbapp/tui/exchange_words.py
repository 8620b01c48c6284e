"""One exchange, connection or malformed head in full, as text.

Responsible for what the operator reads when he opens a row: every field, where the time went, who ended it, and why it went to
this server. Knows nothing of widgets or of asking. Invariant: what is not known is `-`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from lbapp.control.decisions import DecisionStatus
from lbapp.control.looking import CaptureStatus, SessionStatus
from lbapp.control.telling import describe
from lbapp.tui.bars import waterfall
from lbapp.tui.exchanges import ExchangeRow
from lbapp.tui.format import duration, size
from lbapp.tui.glyphs import Glyphs
from lbapp.tui.malformed import fault_lines, who
from lbapp.tui.request_columns import phase_ms
from lbapp.tui.sample import what_without_request

_NAME: Final = 12
_FIGURE: Final = 8
_COLUMNS: Final = 72  # of a page on a screen of 80
_NEAR_S: Final = 0.02  # a decision is recorded while its exchange is under way, but for how exactly times are written


def exchange_page(row: ExchangeRow, why: str, glyphs: Glyphs) -> str:
    """Return all that is known of an exchange. `why`: why it went to this server, in lines."""
    port = f":{row.port}" if row.port else ""
    fields = [
        ("time", datetime.fromtimestamp(row.at).strftime("%Y-%m-%d %H:%M:%S.%f")[:23]),
        ("client", f"{row.client}{port} -> {row.listener} -> {row.where}"),
        ("request", _request(row)),
        ("host", row.host or "-"),
        ("status", "-" if row.status is None else str(row.status)),
        ("ended", ended(row)),
        ("attempts", str(row.attempts)),
        ("bytes", f"{size(row.bytes_in)} in, {size(row.bytes_out)} out"),
        ("persistence", ", ".join(row.persistence) or "-"),
    ]
    fields += [(name, text) for name, text in (("request id", row.request_id), ("trace id", row.trace_id)) if text]
    lines = [f"{name:<{_NAME}}{text}" for name, text in fields]
    return "\n".join([*lines, "", *timing_lines(row, _COLUMNS, glyphs), "", "WHY THIS SERVER", why])


def _request(row: ExchangeRow) -> str:
    if not row.method:
        return what_without_request(row)
    return f"{row.method} {row.target or '-'}{f' HTTP/{row.version}' if row.version else ''}"


def ended(row: ExchangeRow) -> str:
    """Return whether it was complete; if not, who ended it, and when."""
    if not row.ended_by:
        return row.outcome.replace("_", " ") or "-"
    phase = f" in phase {row.phase}" if row.phase else ""
    return f"by {row.ended_by}{phase}: {row.outcome.replace('_', ' ')}"


def phases(row: ExchangeRow) -> list[tuple[str, float | None]]:
    """Return the phases of an exchange with their times (milliseconds), in their order."""
    rest = "body" if row.attempts <= 1 else "body+retry"
    return [
        ("queue", row.queue_ms),
        ("connect", row.connect_ms),
        ("wait", row.first_byte_ms),
        (rest, row.body_ms),
    ]


def timing_lines(row: ExchangeRow, width: int, glyphs: Glyphs) -> list[str]:
    """Return where the time went: a line for each phase with its bar, each beginning where the one before ended."""
    found = phases(row)
    bars = waterfall([time for _, time in found], max(8, width - _NAME - _FIGURE - 1), glyphs)
    lines = [
        f"{name:<{_NAME}}{phase_ms(time):>{_FIGURE}} {drawn}".rstrip()
        for (name, time), drawn in zip(found, bars, strict=True)
    ]
    return [*lines, f"{'total':<{_NAME}}{phase_ms(row.total_ms):>{_FIGURE}}"]


def timing_line(row: ExchangeRow, width: int, glyphs: Glyphs) -> str:
    """Return where the time went in one line: each phase with a bar of its share."""
    found = phases(row)
    room = max(4, width - sum(len(name) + 9 for name, _ in found) - 8)
    total = sum(time for _, time in found if time) or 1.0
    parts = []
    for name, time in found:
        cells = round((time or 0.0) / total * room)
        drawn = glyphs.bar_full * cells if cells else glyphs.bar_low if time else ""
        parts.append(f"{name} {phase_ms(time)}{f' {drawn}' if drawn else ''}")
    return "  ".join([*parts, f"total {phase_ms(row.total_ms)}"])


def why_words(row: ExchangeRow, decisions: Sequence[DecisionStatus], preview: Sequence[DecisionStatus]) -> str:
    """Return why a server was chosen: what was recorded of this exchange, else how it would be decided now."""
    own = [each for each in decisions if each["port"] == row.port and _is_of(row, each)]
    # A client asks again and again on one connection: what led elsewhere was about another request.
    if own and own[-1]["server"] == (row.server or None):
        return "\n".join(_told(each) for each in own)
    return "\n".join(
        [
            "No decision of this request was recorded: of each pool a few are each",
            "second. How one would be made for this client now, by its address:",
            *(_told(each, is_preview=True) for each in preview),
        ]
    )


def _is_of(row: ExchangeRow, decision: DecisionStatus) -> bool:
    return row.at - _NEAR_S <= decision["at"] <= row.at + row.total_ms / 1000 + _NEAR_S


def _told(decision: DecisionStatus, *, is_preview: bool = False) -> str:
    return describe(decision, is_preview=is_preview, columns=_COLUMNS)


def session_page(session: SessionStatus) -> str:
    """Return all that is known of a connection."""
    asked = f"{session['method'] or '-'} {session['target'] or ''}".rstrip()
    fields = [
        ("connection", str(session["id"])),
        ("client", session["client"] + (f":{session['port']}" if session["port"] else "")),
        ("listener", session["listener"]),
        ("state", session["state"].upper()),
        ("open for", duration(session["age_s"])),
        ("busy for", phase_ms(session["busy_s"] * 1000) if session["busy_s"] else "-"),
        ("server", session["server"] or "-"),
        ("request", asked),
        ("bytes out", size(session["bytes_out"])),
    ]
    return "\n".join(f"{name:<{_NAME}}{text}" for name, text in fields)


def capture_page(capture: CaptureStatus, glyphs: Glyphs) -> str:
    """Return all that is known of a malformed head, what was wrong marked under it."""
    at = datetime.fromtimestamp(capture["at"]).strftime("%Y-%m-%d %H:%M:%S")
    offset = "-" if capture["offset"] is None else f"at {capture['offset_is']} {capture['offset']} of the head"
    fields = [
        ("time", at),
        ("sent by", f"{capture['who']} {who(capture)}"),
        ("listener", capture["listener"]),
        ("server", capture["server"] or capture["pool"] or "-"),
        ("reason", capture["reason"]),
        ("where", offset),
    ]
    lines = [f"{name:<{_NAME}}{text}" for name, text in fields]
    excerpt = fault_lines(capture, _COLUMNS, glyphs)
    return "\n".join([*lines, "", f"from byte {capture['excerpt_offset']} on:", *excerpt])
