"""Sentences and pages in plain text: the detail of a server or an event, the effect of a change, the keys.

Responsible for what the operator reads before and after deciding. Knows nothing of widgets. Invariant: an effect is given
in numbers of now; what is unknown is `-`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import zip_longest
from typing import Final

from lbapp.control.messages import AgentStatus, Event, RampStatus, ServerStatus
from lbapp.control.wording import still_open
from lbapp.tui.format import count, duration, milliseconds, share, size
from lbapp.tui.glyphs import Glyphs, state_of
from lbapp.tui.scene import PoolRow, ServerRow
from lbapp.tui.staging import server_row

TWO_COLUMNS_WIDTH_MIN: Final = 80
_COLUMN: Final = 30  # cells of the left one


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


def effect_of(verb: str, server: ServerRow, pool: PoolRow | None) -> str:
    """Return what taking a server's clients away means now. `verb`: drain, maint or weight 0."""
    told = {
        "drain": "takes no new clients; those it has may finish until the drain's timeout",
        "maint": "takes no clients at all and is no longer checked",
        "weight 0": "takes no new clients; those it remembers may come back",
    }
    now = f"Now: {count(server.in_flight)} in flight, {count(server.requests_per_s)} req/s."
    lines = [f"It {told[verb]}.", now]
    if pool is not None:
        left = pool.eligible - (1 if server.is_eligible else 0)
        lines.append(f"{left} of {pool.total} servers of {pool.name} stay for new clients.")
        if left == 0:
            lines.append("! NONE stays: new clients would get 503.")
    return "\n".join(lines)


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


def keys_page(keys: Iterable[tuple[str, str]], width: int) -> str:
    """Return each (keys, what they do), in two columns where a screen of `width` cells has room for them."""
    cells = [f"{key:<14}{does}" for key, does in keys]
    if width < TWO_COLUMNS_WIDTH_MIN:
        return "\n".join(cells)
    half = (len(cells) + 1) // 2
    rows = zip_longest(cells[:half], cells[half:], fillvalue="")
    return "\n".join(f"{left:<{_COLUMN}}{right}".rstrip() for left, right in rows)
