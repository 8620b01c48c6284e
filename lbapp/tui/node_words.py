"""What the console says of a fleet and of one of its nodes, as lines and as a page.

Responsible for these words, and for what an old view says of itself. Knows nothing of widgets or of who answered. Invariants: a
view that is not synced says so before all else, in the colour of what is wrong; what is not known is `-`.
"""

from __future__ import annotations

from typing import Final

from lbapp.control.fleet import AnnounceReport, DnsReport, FleetStatus, MemberState, MemberStatus
from lbapp.control.fleet_words import (
    clock_word,
    configuration_word,
    ending,
    is_configuration_wrong,
    names_of,
    roll_word,
    seen_word,
    state_word,
    step_word,
    totals,
    view_sentence,
    view_word,
)
from lbapp.control.wording import node_open
from lbapp.tui.format import clock, count, duration, share, size
from lbapp.tui.glyphs import Tone
from lbapp.tui.tones import Line

_LABEL: Final = 12


def fleet_lines(fleet: FleetStatus) -> list[Line]:
    """Return what there is to say of a whole fleet: who is ready, the store, the configuration, and what all carry together."""
    found = totals(fleet["members"])
    names = names_of(fleet["members"])
    is_synced = fleet["state"] == "synced"
    tone: Tone = "good" if found.ready == found.nodes else "bad" if not found.ready else "warn"
    roll = roll_word(fleet["configuration"], names)
    head: Line = [
        (f" fleet {fleet['fleet']}  ", "plain"),
        (f"{found.ready} of {found.nodes} nodes ready", tone),
        ("  ", "plain"),
        (view_word(fleet, duration), "plain" if is_synced else "bad"),
        (f"  {roll}", "bad" if "REFUSED" in roll or "STOPPED" in roll else "plain"),
    ]
    lines = [head]
    if wrong := view_sentence(fleet, duration):
        lines.append([(f" ! {wrong}", "bad")])
    carried = f" together {count(found.requests_per_s)} req/s  {count(found.connections)} connections"
    lines.append([(f"{carried}  {count(found.in_flight)} in flight  errors {share(found.error_rate)}", "plain")])
    return lines


def aged(fleet: FleetStatus, elapsed_s: float) -> FleetStatus:
    """Return a fleet whose view is so much older than when it was answered."""
    age = fleet["age_s"]
    return fleet if age is None else {**fleet, "age_s": age + elapsed_s}


def node_lines_of(fleet: FleetStatus, member: MemberStatus, now: float) -> list[Line]:
    """Return all that is known of one node. `now` by the clock of the node that was asked."""
    state = member["state"]
    head = f" {member['name']}  {state_word(member, duration)}  lbapp {member['version'] or '-'} on {member['host'] or '-'}"
    lines: list[Line] = [
        [(head, "plain" if member["is_alive"] else "bad")],
        _said("seen", f"{seen_word(member, now, duration)}, clock {clock_word(member)}"),
    ]
    if state is None:
        return [*lines, _said("state", "it has said nothing of itself yet")]
    if member["started_at"]:
        lines.append(_said("up", duration(now - member["started_at"])))
    lines += [_said("not ready", reason, "bad") for reason in state["reasons"]]
    lines += drain_lines(state, now)
    lines.append(_configuration(fleet, member))
    lines.append(_said("carries", _carried(state)))
    lines.append(_said("servers", f"{state['servers_eligible']} of {state['servers_total']} eligible"))
    if state["differs"]:
        lines.append(_said("differs", f"{state['differs']} settings are other than the fleet's", "warn"))
    return [*lines, *route_lines(state["announce"], now), *_ends(state), *record_lines(state["dns"], now)]


def _said(label: str, words: str, tone: Tone = "plain") -> Line:
    return [(f" {label:<{_LABEL}}", "plain"), (words, tone)]


def _configuration(fleet: FleetStatus, member: MemberStatus) -> Line:
    wanted = fleet["configuration"]
    why = wanted["results"].get(member["name"], "") if wanted else ""
    words = configuration_word(fleet, member)
    if is_configuration_wrong(fleet, member) and wanted:
        words += f", not f{wanted['number']}{f': {why}' if why else ''}"
        return _said("config", words, "bad")
    return _said("config", words)


def _carried(state: MemberState) -> str:
    cpu = "-" if state["cpu_percent"] is None else f"{state['cpu_percent']:.0f}%"
    return (
        f"{count(state['requests_per_s'])} req/s, {count(state['connections'])} connections, {state['in_flight']} in flight, "
        f"errors {share(state['error_rate'])}, cpu {cpu}, {size(state['memory_bytes'])}"
    )


def drain_lines(state: MemberState, now: float) -> list[Line]:
    """Return how far the drain of a node has come, and what it waits for; nothing without one."""
    drain = state["drain"]
    if drain is None:
        return []
    lines = [_said("drains", node_open(duration, drain), "warn")]
    if step := step_word(drain, now, duration):
        lines.append(_said("", step, "warn"))
    if drain.get("then_stop"):
        lines.append(_said("", "its engine ends when it is drained", "warn"))
    return lines


def route_lines(report: AnnounceReport | None, now: float) -> list[Line]:
    """Return what has become of a node's addresses, with every session and its BFD."""
    if report is None:
        return [_said("routes", "nothing announces its addresses")]
    tone: Tone = "bad" if report["state"] == "failed" or report["problem"] else "plain"
    med = "" if report["med"] is None else f", med {report['med']}"
    head = f"{' '.join(report['addresses']) or '-'} {report['state']} by {report['backend']}{med}"
    lines = [_said("routes", f"{head} for {duration(now - report['since'])}", tone)]
    if report["problem"]:
        lines.append(_said("", report["problem"], "bad"))
    for one in report["sessions"]:
        bfd = f", bfd {one['bfd']}" if one["bfd"] else ""
        is_well = one["is_up"] and one["bfd"] in ("", "Up")
        since = f" since {one['since']}" if one["since"] else ""
        lines.append(_said("session", f"{one['name']} {one['state']}{since}{bfd}", "plain" if is_well else "bad"))
    return lines


def _ends(state: MemberState) -> list[Line]:
    return [_said("in a drain", ending(state))] if state["announce"] is not None else []


def record_lines(report: DnsReport | None, now: float) -> list[Line]:
    """Return what has become of a node's records."""
    if report is None:
        return [_said("dns", "nothing publishes its records")]
    tone: Tone = "bad" if report["state"] == "failed" or report["problem"] else "plain"
    head = f"{report['name']} {report['state']} at {report['server']}, ttl {duration(report['ttl_s'])}"
    lines = [_said("dns", head, tone), _said("records", " ".join(report["records"]) or "none")]
    if report["gone_at"] is not None:
        left = report["gone_at"] - now
        told = f"resolvers have forgotten its own at {clock(report['gone_at'])}" + (
            f", in {duration(left)}" if left > 0 else ""
        )
        lines.append(_said("", told, "warn" if left > 0 else "plain"))
    if report["problem"]:
        lines.append(_said("", report["problem"], "bad"))
    return lines
