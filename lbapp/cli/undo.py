"""The verbs about what was changed: changes, undo, diff.

Responsible for showing the journal and where the engine is other than its file, and for taking actions back. Knows nothing of
how a change is made. Invariant: whatever was typed by an operator is printed so that no terminal obeys it.
"""

from __future__ import annotations

import time
from typing import Final, TypedDict, Unpack

import click

from lbapp.cli.change import wait_option
from lbapp.cli.context import (
    Settings,
    engine,
    fleet_option,
    force_option,
    json_option,
    reason_options,
    say,
    say_json,
    socket_option,
)
from lbapp.cli.fleetwide import tell_nodes
from lbapp.cli.format import table
from lbapp.control.changes import ActionDone, ChangeDone, Difference, Undone, UndoRequest
from lbapp.control.fleet import FleetDifference
from lbapp.model.journal import is_of_node, shown

_CHANGES: Final = ("NO", "WHEN", "WHO", "WHAT", "WHY")
_DIFF: Final = ("WHAT", "SETTING", "IN FILE", "NOW", "SINCE")
_FLEET_DIFF: Final = ("WHAT", "SETTING", "FLEET", "NOW", "WANTED", "WHY OTHER")


@click.command()
@click.option("-n", "--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@json_option
@socket_option
@click.pass_obj
def changes(settings: Settings, limit: int) -> None:
    """Show what operators changed while the engine ran, and what can be undone."""
    with engine(settings) as client:
        found = client.changes(limit)
    if settings.as_json:
        say_json(found)
        return
    if found["unavailable"]:
        say(f"nothing can be recorded: {found['unavailable']}\n")
    rows = [
        (str(each["number"]), _when(each), each["actor"]["user"], _what(each), each["reason"])
        for each in found["actions"]
    ]
    say(table(_CHANGES, rows, frozenset({0})) if rows else "nothing was changed yet")


class _HowToUndo(TypedDict):
    fleet: bool
    force: bool
    reason: str
    unrecorded: bool


@click.command()
@click.argument("action", required=False, type=click.IntRange(1), metavar="[NO]")
@wait_option
@fleet_option
@force_option
@reason_options
@json_option
@socket_option
@click.pass_obj
def undo(settings: Settings, /, action: int | None, wait: bool, **how: Unpack[_HowToUndo]) -> None:
    """Take back the last change, or that of a number in `lbapp changes`; what was one command is one undo.

    With the number of an undo, what that took back is made again.
    """
    if wait and not how["fleet"]:
        raise click.UsageError("--wait stands beside --fleet")
    request: UndoRequest = {"reason": how["reason"], "unrecorded": how["unrecorded"], "force": how["force"]}
    if action is not None:
        request["action"] = action
    if how["fleet"]:
        request["fleet"] = True
    with engine(settings) as client:
        done = client.undo(request)
        if settings.as_json:
            say_json(done)
        else:
            _say_undone(done)
        tell_nodes(client, settings, done.get("fleet"), wait=wait)


def _say_undone(done: Undone) -> None:
    redone = done.get("redone", [])
    if redone:
        say(f"made again: {', '.join(map(str, redone))}")
    for change in done["changes"]:
        say(_sentence(change))


@click.command()
@json_option
@socket_option
@click.pass_obj
def diff(settings: Settings) -> None:
    """Show where the engine is other than its configuration file, and who made it so; in a fleet, where other than that."""
    with engine(settings) as client:
        answer = client.diff()
    found, of_fleet = answer["differences"], answer.get("fleet", [])
    if settings.as_json:
        say_json(found)
        return
    rows = [
        (
            each["on"],
            each["setting"],
            shown(each["in_file"]),
            shown(each["now"]),
            _who(each),
        )
        for each in found
    ]
    if answer["file"]:
        say(answer["file"])
    if rows or not answer["file"]:
        say(table(_DIFF, rows, frozenset()) if rows else "everything is as in the file")
    if of_fleet:
        say("\nother than the fleet:\n" + table(_FLEET_DIFF, [_of_fleet(each) for each in of_fleet], frozenset()))


def _of_fleet(each: FleetDifference) -> tuple[str, ...]:
    who = f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(each['at']))} {each['by']}@{each['node']}"
    return each["on"], each["setting"], shown(each["fleet"]), shown(each["now"]), who, each["why"]


def _who(difference: Difference) -> str:
    action = difference["action"]
    if action is None:
        return "see: lbapp configurations" if difference["setting"] == "server" else "not recorded"
    return f"{_when(action)} {action['actor']['user']}"


def _when(action: ActionDone) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(action["at"]))


def _what(action: ActionDone) -> str:
    told = "; ".join(_sentence(change) for change in action["changes"])
    redoes = action.get("redoes", [])
    if redoes:
        told = f"redo of {', '.join(map(str, redoes))}: {told}"
    elif action["undoes"]:
        told = f"undo of {', '.join(map(str, action['undoes']))}: {told}"
    if action.get("fleet") and not is_of_node(action["changes"][0]["on"]):
        told = f"{told} (on all nodes)"
    return f"{told} (undone)" if action["is_undone"] else told


def _sentence(change: ChangeDone) -> str:
    return f"{change['on']}: {change['setting']} {shown(change['before'])} -> {shown(change['after'])}"
