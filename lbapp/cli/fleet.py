"""The verbs about the fleet as a whole: fleet, fleet stop-roll.

Responsible for showing what operators want of every node and where this node is other than that, and for stopping a roll. Knows
nothing of the store. Invariants: `lbapp fleet` changes nothing; what an operator typed is printed so that no terminal obeys.
"""

from __future__ import annotations

import time
from typing import Final

import click

from lbapp.cli.context import Settings, engine, json_option, reason_option, say, say_json, socket_option
from lbapp.cli.format import table
from lbapp.cli.nodes import fleet_head, notes
from lbapp.control import calls
from lbapp.control.fleet import FleetConfigurationStatus, FleetStatus, IntentStatus
from lbapp.control.fleet_words import is_alone
from lbapp.model.journal import shown

_INTENTS: Final = ("WHAT", "SETTING", "FLEET", "HERE", "SINCE", "WHO", "WHY")


@click.group(invoke_without_command=True)
@json_option
@socket_option
@click.pass_context
def fleet(context: click.Context) -> None:
    """Show what is wanted of all nodes, and where this one is other than that."""
    if context.invoked_subcommand is not None:
        return
    settings: Settings = context.obj
    with engine(settings) as client:
        found = client.ask(calls.fleet())
    if settings.as_json:
        say_json(found)
    else:
        say(_text(found))


@fleet.command("stop-roll")
@reason_option
@json_option
@socket_option
@click.pass_obj
def stop_roll(settings: Settings, reason: str) -> None:
    """Let the configuration that goes from node to node go no further."""
    with engine(settings) as client:
        found = client.ask(calls.stop_roll({"reason": reason}))
    if settings.as_json:
        say_json(found)
    else:
        say(f"the roll of configuration f{found['number']} goes no further: {_reached(found)}")


def _reached(found: FleetConfigurationStatus) -> str:
    may, not_yet = found["order"][: found["reached"]], found["order"][found["reached"] :]
    return f"{', '.join(may) or 'no node'} may serve by it" + (f", not {', '.join(not_yet)}" if not_yet else "")


def _text(found: FleetStatus) -> str:
    head = fleet_head(found)
    if is_alone(found):
        return head
    return "\n".join([head, *_configuration(found["configuration"]), *_intents(found), *notes(found, time.time())])


def _configuration(wanted: FleetConfigurationStatus | None) -> list[str]:
    if wanted is None or not wanted["number"]:
        return []
    how = "at once" if wanted["mode"] == "all" else "node by node"
    why = f", {wanted['reason']}" if wanted["reason"] else ""
    who = f"{wanted['by']}@{wanted['node']} {_when(wanted['at'])}"
    which = f", revision {wanted['revision']}" if "revision" in wanted else ""
    lines = [f"configuration f{wanted['number']} by {who}, {how}{which}{why}"]
    lines += [f"  {name} has begun to serve by it {_when(at)}" for name, at in wanted.get("begun", {}).items()]
    return lines


def _intents(found: FleetStatus) -> list[str]:
    if not found["intents"]:
        return ["nothing is wanted of all nodes beyond their files"]
    rows = [
        (
            each["on"],
            each["setting"],
            shown(each["value"]),
            _here(each),
            _when(each["at"]),
            f"{each['by']}@{each['node']}",
            each["reason"],
        )
        for each in found["intents"]
    ]
    differ, here = sum(is_other(each) for each in found["intents"]), found["node"]
    is_or_are = "is" if differ == 1 else "are"
    told = f"{differ} of them {is_or_are} other on {here} (!)" if differ else f"all of it is so on {here}"
    return [table(_INTENTS, rows, frozenset()), told]


def is_other(intent: IntentStatus) -> bool:
    """Say whether this node has another value than the fleet; a node that has no such thing has none."""
    return intent["here"] is not None and intent["here"] != intent["value"]


def _here(intent: IntentStatus) -> str:
    if intent["here"] is None:
        return "not there"
    return f"{shown(intent['here'])}{'!' if is_other(intent) else ''}"


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
