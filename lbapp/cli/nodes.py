"""The verb that shows the nodes of a fleet: nodes.

Responsible for what it prints: who lives, who is ready, with routes, DNS, configuration and traffic, and the totals. Knows
nothing of the store. Invariants: it changes nothing; a view that is old says its age before anything else.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click

from lbapp.cli.context import Settings, engine, json_option, reporting, say, say_json, socket_option
from lbapp.cli.format import count, duration, share, table
from lbapp.cli.hosts import ask_all, hosts_options
from lbapp.control import calls
from lbapp.control.fleet import FleetStatus, MemberStatus
from lbapp.control.fleet_words import (
    clock_word,
    configuration_word,
    dns_word,
    is_alone,
    names_of,
    nodes_ready,
    roll_word,
    routes_word,
    seen_word,
    state_word,
    totals,
    view_sentence,
    view_word,
)
from lbapp.control.wording import node_open
from lbapp.model.errors import EngineUnreachable, RequestRefused

if TYPE_CHECKING:
    from lbapp.control.hosts import HostAnswer, Place

_NODES: Final = ("NODE", "STATE", "CONFIG", "CONN", "REQ/S", "SHARE", "ERR", "ROUTES", "DNS", "SEEN", "CLOCK")
_RIGHT: Final = frozenset({3, 4, 5, 6, 9, 10})


@click.command()
@hosts_options
@json_option
@socket_option
@click.pass_obj
def nodes(settings: Settings, named: list[Place], hosts: list[Place]) -> None:
    """Show the nodes of the fleet: who is ready, routes, DNS, configuration, traffic.

    With several --host, or --hosts, each is asked by itself: a fleet needs no store for that.
    """
    if places := [*named, *hosts]:
        if settings.socket is not None:
            raise click.UsageError("--socket stands alone: name the path as a --host, too")
        with reporting():
            _of_hosts(settings, ask_all(places))
        return
    with engine(settings) as client:
        found = client.ask(calls.fleet())
    if settings.as_json:
        say_json(found)
    else:
        say(fleet_text(found, time.time()))


def _of_hosts(settings: Settings, answers: Sequence[HostAnswer]) -> None:
    """Show what hosts have answered. Raises EngineUnreachable where none has, RequestRefused where some have not."""
    from lbapp.control.hosts import silent, together

    found, silent_ones = together(answers), silent(answers)
    if settings.as_json:
        said = [{"host": str(each.place), "fleet": each.fleet, "problem": each.problem} for each in answers]
        say_json(said)
    else:
        parts = [f"{len(answers)} hosts, each asked by itself: {nodes_ready(found)}"]
        say("\n".join([*parts, _table(found, time.time()), *notes(found, time.time())]))
    told = "; ".join(f"{each.place}: {each.problem.rstrip('.')}" for each in silent_ones)
    if len(silent_ones) == len(answers):
        raise EngineUnreachable(told)
    if silent_ones:
        raise RequestRefused("silent", told)


def _table(fleet: FleetStatus, now: float) -> str:
    return table(_NODES, [*_rows(fleet, now), _total(fleet["members"])], _RIGHT)


def fleet_text(fleet: FleetStatus, now: float) -> str:
    """Return a fleet as lines. `now` is Unix seconds."""
    parts = [fleet_head(fleet)]
    if fleet["members"]:
        parts.append(_table(fleet, now))
    return "\n".join([*parts, *notes(fleet, now)])


def fleet_head(fleet: FleetStatus) -> str:
    """Return what there is to say of all of a fleet, in a line; what is wrong with the view, in a second one."""
    if is_alone(fleet):
        return f"{fleet['node']} is in no fleet: its configuration has no [cluster]"
    words = [
        f"fleet {fleet['fleet']}, as {fleet['node']} knows it",
        nodes_ready(fleet),
        view_word(fleet, duration),
        roll_word(fleet["configuration"], names_of(fleet["members"])),
    ]
    old = view_sentence(fleet, duration)
    return ", ".join(words) + (f"\n{old}" if old else "")


def _rows(fleet: FleetStatus, now: float) -> list[tuple[str, ...]]:
    return [_row(fleet, member, now) for member in fleet["members"]]


def _row(fleet: FleetStatus, member: MemberStatus, now: float) -> tuple[str, ...]:
    state = member["state"] if member["is_alive"] else None  # of one that is gone it is not how it is now
    return (
        member["name"],
        state_word(member, duration),
        configuration_word(fleet, member),
        "-" if state is None else count(state["connections"]),
        "-" if state is None else count(state["requests_per_s"]),
        share(member["share"]),
        share(state["error_rate"] if state else None),
        routes_word(state),
        dns_word(state),
        seen_word(member, now, duration),
        clock_word(member),
    )


def _total(members: Sequence[MemberStatus]) -> tuple[str, ...]:
    found = totals(members)
    return (
        "total",
        f"{found.ready} of {found.nodes}",
        "",
        "-" if found.connections is None else count(found.connections),
        "-" if found.requests_per_s is None else count(found.requests_per_s),
        "",
        share(found.error_rate),
        *("", "", "", ""),
    )


def notes(fleet: FleetStatus, now: float) -> list[str]:
    """Return what is not as it should be at each node, a line each."""
    found = []
    for member in fleet["members"]:
        found += [f"{member['name']}: {note}" for note in _notes(fleet, member, now)]
    return found


def _notes(fleet: FleetStatus, member: MemberStatus, now: float) -> list[str]:
    state, wanted = member["state"], fleet["configuration"]
    if not member["is_alive"]:
        ago = f" for {duration(max(0.0, now - member['seen_at']))}" if member["seen_at"] else ""
        elsewhere = (
            ": it was a member by another store, and has not come to this one" if member.get("is_unsure") else ""
        )
        return [f"nothing has come of it{ago}{elsewhere}"]
    if state is None:
        return []
    found = [f"not ready: {reason}" for reason in state["reasons"]]
    if state["drain"] is not None:
        found.append(f"drains: {node_open(duration, state['drain'])}")
    found += [report["problem"] for report in (state["announce"], state["dns"]) if report and report["problem"]]
    routes = state["announce"]
    found += [
        f"session {one['name']} is {one['state']}" for one in (routes["sessions"] if routes else ()) if not one["is_up"]
    ]
    if wanted and wanted["results"].get(member["name"]):
        found.append(f"does not serve by f{wanted['number']}: {wanted['results'][member['name']]}")
    if state["differs"]:
        found.append(f"{state['differs']} settings are other than the fleet's: there, lbapp fleet")
    return found
