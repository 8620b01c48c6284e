"""The nodes of a fleet as rows of a list: this node first, the others by their names.

Responsible for what the list shows of each, for its tone and for what counts as a problem. Knows nothing of drawing or of who
answered. Invariants: a row is a member by its name and its start, so that another process under the same name is another node;
what is not known is `-`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lbapp.control.fleet import FleetStatus, MemberState, MemberStatus
from lbapp.control.fleet_words import (
    are_routes_well,
    clock_word,
    configuration_word,
    dns_word,
    is_configuration_wrong,
    is_ready,
    routes_word,
    seen_word,
    state_word,
)
from lbapp.tui.columns import ERROR_RATE_PROBLEM
from lbapp.tui.format import brief_duration, count, share
from lbapp.tui.glyphs import Glyphs, Tone
from lbapp.tui.listing import Column, Kind

WIDE: Final = 110
_ROOMY: Final = 90  # from here on connections have room beside a name


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node at a moment. `now`: by the clock of the node that was asked."""

    member: MemberStatus
    fleet: FleetStatus
    now: float

    @property
    def name(self) -> str:
        """Return its name."""
        return self.member["name"]

    @property
    def state(self) -> MemberState | None:
        """Return what it says of itself; of a node that is gone that is not how it is now."""
        return self.member["state"] if self.member["is_alive"] else None


def node_rows(fleet: FleetStatus, now: float) -> list[NodeRow]:
    """Return the nodes of a fleet in their order."""
    members = sorted(fleet["members"], key=lambda member: (not member["is_self"], member["name"]))
    return [NodeRow(member, fleet, now) for member in members]


def node_symbol(row: NodeRow, glyphs: Glyphs) -> tuple[str, Tone]:
    """Return the symbol of a node's state, and its tone."""
    state = row.state
    if not row.member["is_alive"]:
        return glyphs.down, "bad"
    if state is None:
        return glyphs.unknown, "plain"
    if state["drain"] is not None:
        return glyphs.drain, "bad" if state["drain"]["phase"] == "overdue" else "warn"
    if is_ready(row.member):
        return glyphs.up, "good"
    return (glyphs.unknown, "warn") if state["phase"] == "starting" else (glyphs.over, "bad")


def is_problem(row: NodeRow) -> bool:
    """Say whether anything is wrong with a node."""
    state = row.state
    if not is_ready(row.member) or state is None or is_configuration_wrong(row.fleet, row.member):
        return True
    records = state["dns"]
    return not are_routes_well(state) or bool(records and records["problem"]) or bool(state["differs"])


def node_kind(glyphs: Glyphs) -> Kind[NodeRow]:
    """Return what the list of nodes shows."""

    def tone(row: NodeRow) -> Tone:
        return node_symbol(row, glyphs)[1]

    columns: list[Column[NodeRow]] = [
        Column("", 1, lambda row: node_symbol(row, glyphs)[0], tone, tone=tone),
        Column("node", 0, lambda row: row.name, lambda row: row.name, is_right=False),
        Column("state", 11, _state, _state, is_right=False, tone=tone),
        Column("config", 6, _configuration, _configuration, is_right=False, tone=_configuration_tone),
        Column("version", 9, lambda row: row.member["version"] or "-", lambda row: row.member["version"], is_right=False,
               screen_width_min=WIDE),
        Column("cpu", 5, _cpu, lambda row: row.state and row.state["cpu_percent"], screen_width_min=WIDE),
        Column("conn", 6, _connections, lambda row: row.state and row.state["connections"], screen_width_min=_ROOMY),
        Column("req/s", 6, _rate, lambda row: row.state and row.state["requests_per_s"]),
        Column("share", 6, lambda row: share(row.member["share"]), lambda row: row.member["share"]),
        Column("err", 6, _errors, lambda row: row.state and row.state["error_rate"], tone=_error_tone,
               screen_width_min=WIDE),
        Column("routes", 13, _routes, _routes, is_right=False, tone=_routes_tone),
        Column("dns", 9, _records, _records, is_right=False, tone=_records_tone),
        Column("seen", 5, _seen, lambda row: -row.member["seen_at"], tone=_seen_tone),
        Column("clock", 6, lambda row: clock_word(row.member), lambda row: clock_word(row.member), tone=_clock_tone,
               screen_width_min=WIDE),
    ]  # fmt: skip
    return Kind(columns, lambda row: row.name, is_problem, _searched)


def _searched(row: NodeRow) -> str:
    return f"{row.name} {_state(row)} {row.member['host']} {_routes(row)} {_records(row)}"


def _state(row: NodeRow) -> str:
    return state_word(row.member, brief_duration)


def _configuration(row: NodeRow) -> str:
    return configuration_word(row.fleet, row.member)


def _configuration_tone(row: NodeRow) -> Tone:
    return "bad" if is_configuration_wrong(row.fleet, row.member) else "plain"


def _cpu(row: NodeRow) -> str:
    percent = row.state["cpu_percent"] if row.state else None
    return "-" if percent is None else f"{percent:.0f}%"


def _connections(row: NodeRow) -> str:
    return count(row.state["connections"] if row.state else None)


def _rate(row: NodeRow) -> str:
    return count(row.state["requests_per_s"] if row.state else None)


def _errors(row: NodeRow) -> str:
    return share(row.state["error_rate"] if row.state else None)


def _error_tone(row: NodeRow) -> Tone:
    rate = row.state["error_rate"] if row.state else None
    return "bad" if (rate or 0.0) >= ERROR_RATE_PROBLEM else "plain"


def _routes(row: NodeRow) -> str:
    return routes_word(row.state)


def _routes_tone(row: NodeRow) -> Tone:
    if not are_routes_well(row.state):
        return "bad"
    report = row.state["announce"] if row.state else None
    return "plain" if report is None or report["state"] == "announced" else "warn"


def _records(row: NodeRow) -> str:
    return dns_word(row.state)


def _records_tone(row: NodeRow) -> Tone:
    report = row.state["dns"] if row.state else None
    if report is None or (report["state"] == "published" and not report["problem"]):
        return "plain"
    return "bad" if report["problem"] or report["state"] == "failed" else "warn"


def _seen(row: NodeRow) -> str:
    return seen_word(row.member, row.now, brief_duration)


def _seen_tone(row: NodeRow) -> Tone:
    return "plain" if row.member["is_alive"] else "bad"


def _clock_tone(row: NodeRow) -> Tone:
    return "plain" if clock_word(row.member) in ("self", "ok", "-") else "warn"
