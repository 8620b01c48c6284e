"""The columns of events.

Responsible for which area an event is of, how bad it is, and what can be asked of events in a filter. Knows nothing of drawing or
of where events come from. Invariants: every event is of exactly one area; how bad it is, is said by a symbol.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lbapp.control.messages import Event
from lbapp.tui.filtering import Fields, Number, Words
from lbapp.tui.format import clock
from lbapp.tui.glyphs import FULL, Glyphs, Tone
from lbapp.tui.listing import Column, Kind

AREAS: Final = ("checks", "admin", "config", "node", "tls")
# How the kinds of an area begin; what begins otherwise is a check's, or an operator's where one did it.
_BEGINNINGS: Final = (
    ("configuration_", "config"), ("reload_", "config"),
    ("certificate_", "tls"), ("servers_not_verified", "tls"),
    ("worker_", "node"), ("node_", "node"), ("upgrade_", "node"), ("history_", "node"), ("journal_", "node"),
    ("log_lines_", "node"), ("overload_", "node"),
    ("client_limit_", "node"), ("descriptors_", "node"), ("stop_", "node"), ("events_", "node"),
    ("persistence_", "node"),
    ("admin_", "admin"), ("weight_", "admin"), ("ramp_", "admin"), ("drain_", "admin"), ("server_drained", "admin"),
    ("change_", "admin"), ("session_", "admin"), ("call_", "admin"),
)  # fmt: skip
_BAD: Final = (
    "_went_down", "_died", "_hung", "_unserved", "_in_panic", "_expired", "_damaged", "_unavailable", "_ran_out",
    "_not_started", "_not_kept", "_not_recorded", "_not_written", "_not_reverted", "_dropped", "_failed",
)  # fmt: skip
_WARN: Final = (
    "_timed_out", "_ejected", "_failed_over", "_on_backups", "_not_resolved", "_not_verified", "_refused", "_expires_soon",
    "_missed", "_set_aside", "_aborted",
    "_left_out", "_overruled", "_reached", "_reverted", "_moved_aside", "overload_began", "queue_began",
    "_became_unknown", "_gone",
)  # fmt: skip
_GOOD: Final = (
    "_came_up",
    "_recovered",
    "_ended",
    "_resolved",
    "_written",
    "_confirmed",
    "_applied",
    "_found",
    "_restored",
)


def area_of(event: Event) -> str:
    """Return which of AREAS an event is of."""
    for beginning, area in _BEGINNINGS:
        if event["kind"].startswith(beginning):
            return area
    actor = event["actor"]
    return "admin" if actor is not None and actor["uid"] is not None else "checks"


def level_of(event: Event, glyphs: Glyphs) -> tuple[str, Tone]:
    """Return how bad an event is: a symbol and its tone."""
    kind, after = event["kind"], event["after"]
    if kind.endswith(_BAD):
        return (glyphs.down if kind == "server_went_down" else glyphs.over), "bad"
    if kind.endswith(_WARN):
        return glyphs.over, "warn"
    if kind == "admin_state_changed":
        states: dict[object, tuple[str, Tone]] = {
            "drain": (glyphs.drain, "warn"),
            "maint": (glyphs.maint, "calm"),
            "ready": (glyphs.up, "good"),
        }
        return states.get(after, (glyphs.unknown, "plain"))
    return (glyphs.up, "good") if kind.endswith(_GOOD) else (glyphs.unknown, "plain")


def tone_of(event: Event) -> Tone:
    """Return the tone of how bad an event is."""
    return level_of(event, FULL)[1]


def who(event: Event) -> str:
    """Return who did it."""
    actor = event["actor"]
    return actor["user"] if actor else "-"


def event_fields() -> Fields[Event]:
    """Return what can be asked of events."""
    return Fields(
        text=lambda e: f"{e['subject']} {e['message']} {e['kind']} {who(e)}",
        named={
            "kind": Words(lambda e: e["kind"]),
            "area": Words(area_of),
            "subject": Words(lambda e: e["subject"]),
            "pool": Words(lambda e: e["subject"].partition("/")[0] if "/" in e["subject"] else ""),
            "server": Words(lambda e: e["subject"] if "/" in e["subject"] else ""),
            "who": Words(who),
            "seq": Number(lambda e: e["seq"]),
        },
    )


def what(event: Event) -> str:
    """Return what happened, without the subject where that comes first: it has a column of its own."""
    return event["message"].removeprefix(f"{event['subject']} ")


def happening_kind(glyphs: Glyphs, undo_word: Callable[[Event], str]) -> Kind[Event]:
    """Return what the table of events shows. `undo_word`: what became of an event's action."""
    fields = event_fields()

    columns: list[Column[Event]] = [
        Column("time", 8, lambda e: clock(e["at"]), lambda e: e["seq"], is_right=False),
        Column("kind", 6, lambda e: area_of(e).upper(), area_of, is_right=False),
        Column("lv", 2, lambda e: level_of(e, glyphs)[0], tone_of, is_right=False, tone=tone_of),
        Column("subject", 16, lambda e: e["subject"], lambda e: e["subject"], is_right=False),
        Column("what", 0, what, what, is_right=False, tone=tone_of),
        Column("who", 8, who, who, is_right=False),
        Column("undo", 8, undo_word, undo_word, is_right=False),
    ]
    return Kind(
        columns,
        lambda e: str(e["seq"]),
        lambda e: tone_of(e) in ("bad", "warn"),
        fields.text,
        is_newest_first=True,
        fields=fields.named,
    )


def event_kind() -> Kind[Event]:
    """Return what a short list of events shows, beside something else."""
    columns: list[Column[Event]] = [
        Column("time", 8, lambda e: clock(e["at"]), lambda e: e["seq"], is_right=False),
        Column("subject", 18, lambda e: e["subject"], lambda e: e["subject"], is_right=False),
        Column("what happened", 0, what, what, is_right=False, tone=tone_of),
        Column("by", 8, who, who, is_right=False),
    ]
    return Kind(
        columns,
        lambda e: str(e["seq"]),
        lambda e: tone_of(e) in ("bad", "warn"),
        lambda e: f"{e['subject']} {e['message']} {e['kind']} {who(e)}",
        is_newest_first=True,
    )
