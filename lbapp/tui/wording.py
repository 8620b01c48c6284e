"""Sentences and pages in plain text: the detail of a server or an event, and the keys.

Responsible for what the operator reads before and after deciding. Knows nothing of widgets. Invariant: what is
unknown is `-`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from itertools import zip_longest
from typing import Final

from lbapp.control.messages import AgentStatus, Event, RampStatus, ServerStatus
from lbapp.control.wording import still_open
from lbapp.tui.format import count, duration, milliseconds, share, size
from lbapp.tui.glyphs import Glyphs, state_of
from lbapp.tui.staging import server_row

TWO_COLUMNS_WIDTH_MIN: Final = 80
_KEY: Final = 12  # cells of what is pressed
_WORD: Final = 18  # cells of what is shown or typed


def server_page(server: ServerStatus | None, glyphs: Glyphs, now: float) -> str:
    """Return all figures of one server; `now` is Unix seconds."""
    if server is None:
        return "This server is not there any more."
    rows = [
        ("state", _state(server, glyphs, now)),
        (
            "health",
            f"{server['health']} for {duration(now - server['health_since'])}, {server['health_reason'] or '-'}",
        ),
        ("probe", _probe(server, now)),
        *([("agent", _agent(server["agent"], now))] if server["agent"] else []),
        ("address", server["address"]),
        ("weight", _weight(server, now)),
        ("limit", _limit(server)),
        ("changed", _changed(server, now)),
        (
            "connections",
            f"{server['connections']} open, {server['idle_connections']} idle, "
            f"{count(server['connections_total'])} in all",
        ),
        ("in flight", str(server["in_flight"])),
        (
            "requests",
            f"{count(server['requests_per_s'])} /s, {count(server['requests_total'])} in all, "
            f"{count(server['retries_total'])} retried",
        ),
        ("errors", f"{share(server['error_rate'])} of the last 10 s, {count(server['errors_total'])} in all"),
        ("bytes", f"{size(server['bytes_in_total'])} in, {size(server['bytes_out_total'])} out"),
        ("responses", _counts(server["responses"])),
        ("failures", _counts(server["failures"])),
        ("outcomes", _counts(server["outcomes"])),
    ]
    lines = [f"{name:<12}{text}" for name, text in rows]
    return "\n".join([*lines, *_latency(server)])


def _state(server: ServerStatus, glyphs: Glyphs, now: float) -> str:
    words = state_of(server_row(server, now), glyphs, now)[0]
    drain = server["drain"]
    if server["ejected"]:
        return f"{words}: {server['ejected']}"
    if drain is None:
        why = server["no_new_clients"]
        whom = "clients at all" if server["is_for_nobody"] else "new clients"
        return words if server["is_eligible"] else f"{words}, takes no {whom}{f': {why}' if why else ''}"
    hard = " (hard)" if drain["hard"] else ""
    if drain["phase"] != "draining":
        return f"{words}{hard}, {drain['in_flight']} in flight"
    return f"{words}{hard}, {still_open(duration, drain)}"


def _probe(server: ServerStatus, now: float) -> str:
    probe = server["probe"]
    if probe is None:
        return "none yet"
    said = f', said "{probe["excerpt"]}"' if probe["excerpt"] else ""
    return (
        f"{duration(now - probe['at'])} ago: {probe['reason']} ({probe['layer']}, {probe['duration_s'] * 1000:.0f} ms), "
        f"{probe['streak']} alike in a row{said}"
    )


def _ramp(ramp: RampStatus | None, now: float) -> str:
    if ramp is None:
        return ""
    failed = "" if ramp["failed_percent"] is None else f", {ramp['failed_percent']:.1f} % failed of late"
    return f", on its way to {ramp['after']} in {duration(max(0.0, ramp['until'] - now))}{failed}"


def _weight(server: ServerStatus, now: float) -> str:
    agent = server["agent"]
    share_of_it = "" if agent is None or agent["percent"] == 100 else f", {agent['percent']}% of it by its agent"
    return f"{server['weight']} ({server['configured_weight']} in the file){share_of_it}{_ramp(server['ramp'], now)}"


def _limit(server: ServerStatus) -> str:
    own, agent = server["connections_max"], server["agent"]
    asked = 0 if agent is None else agent["connections_max"]
    if asked and not 0 < own <= asked:
        return f"{asked} in flight by its agent ({own or 'none'} in the file)"
    return f"{own} in flight" if own else "none"


def _agent(agent: AgentStatus, now: float) -> str:
    if agent["at"] is None:
        return "not asked yet"
    said = f'said "{agent["line"]}"' if agent["line"] else "said nothing"
    problem = f"; it {agent['error']}" if agent["error"] else ""
    return f"{duration(now - agent['at'])} ago: {said}{problem}"


def _changed(server: ServerStatus, now: float) -> str:
    if server["changed_at"] is None:
        return "not while running"
    who = server["changed_by"]
    return f"{duration(now - server['changed_at'])} ago by {who['user'] if who else '-'}"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counts.items() if number) or "none"


def _latency(server: ServerStatus) -> list[str]:
    latency = server["latency"]
    window = f"last {duration(latency['window_s'])}"
    lines = [f"{window:<12}{'p50':>8}{'p90':>8}{'p99':>8}{'p99.9':>8}"]
    for name, figures in (
        ("connect", latency["connect"]),
        ("first byte", latency["first_byte"]),
        ("total", latency["total"]),
    ):
        cells = (figures["p50"], figures["p90"], figures["p99"], figures["p999"])
        lines.append(f"{name:<12}" + "".join(f"{milliseconds(value):>8}" for value in cells))
    return lines


def event_page(event: Event, action: Sequence[tuple[str, str]] = ()) -> str:
    """Return all that is known of one event; `action`: what the journal says of it, as names and texts."""
    who = event["actor"]
    rows = [
        ("time", datetime.fromtimestamp(event["at"]).strftime("%Y-%m-%d %H:%M:%S.%f")[:23]),
        ("subject", event["subject"]),
        ("event", f"{event['kind']} (no. {event['seq']})"),
        ("by", f"{who['user']} (uid {who['uid']}, pid {who['pid']})" if who else "-"),
    ]
    if event["before"] is not None or event["after"] is not None:
        rows.append(("changed", f"{_value(event['before'])} -> {_value(event['after'])}"))
    return "\n".join([*(f"{name:<12}{text}" for name, text in (*rows, *action)), "", event["message"]])


def _value(value: str | int | None) -> str:
    return "-" if value is None else str(value)


STATES: Final = (
    ("{up} UP", "in rotation"),
    ("{down} DOWN", "its check fails; EJECTED: its traffic does"),
    ("{drain} DRAIN", "no new clients, finishes what it has"),
    ("{maint} MAINT", "no clients, no checks"),
    ("{unknown} UNKNOWN", "not checked yet"),
    ("{rising} DOWN 1/2", "on its way up; {falling} UP 2/3: on its way down"),
    ("{over}", "over a limit; {mark}: marked"),
)
FILTERS: Final = (
    ("text !text", "has it, has it not; every word has to hold"),
    ("pool:app", "its pool; so server: state: host: path: where a list has them"),
    ("wgt<50 p99>200ms", "a figure, with its unit"),
    ("/expression/", "a regular expression"),
)


def help_lines(keys: Mapping[str, Sequence[tuple[str, str]]], glyphs: Glyphs, width: int) -> list[str]:
    """Return every key in its group, then states and filters. A heading begins with a letter, every other line with a space.

    Two columns where a screen of `width` cells has room for them.
    """
    symbols = {each.name: str(getattr(glyphs, each.name)) for each in fields(glyphs)}
    groups = [(name, list(found)) for name, found in keys.items() if found]
    lines: list[str] = []
    for name, found in groups:
        lines += [name, *_columns(found, width), ""]
    states = [(word.format(**symbols), says.format(**symbols)) for word, says in STATES]
    for name, found in (("STATES", states), ("FILTER", list(FILTERS))):
        lines += [name, *(f" {word:<{_WORD}}{says}" for word, says in found), ""]
    return lines[:-1]


def _columns(found: Sequence[tuple[str, str]], width: int) -> list[str]:
    cells = [f" {key:<{_KEY}}{does}" for key, does in found]
    if width < TWO_COLUMNS_WIDTH_MIN:
        return cells
    half, column = (len(cells) + 1) // 2, min(width, 120) // 2 - 2
    rows = zip_longest(cells[:half], cells[half:], fillvalue="")
    return [f"{left:<{column}}{right}".rstrip() for left, right in rows]
