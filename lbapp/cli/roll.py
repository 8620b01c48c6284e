"""A configuration on its way over the nodes of a fleet, as `lbapp reload --fleet` shows it.

Responsible for what came of it on each node, and for waiting until all have said so. Knows nothing of what a configuration says.
Invariant: a node that could not serve by it is named with its reason and shows in the exit status; one that is silent is never
said to serve by it.
"""

from __future__ import annotations

import time

import click

from lbapp.cli.context import WAIT_INTERVAL_S, Settings, printable, say, say_json
from lbapp.control import calls
from lbapp.control.client import ControlClient
from lbapp.control.fleet import FleetConfigurationStatus
from lbapp.control.fleet_words import is_roll_over, names_of, roll_word
from lbapp.model.errors import RequestRefused


def show_roll(client: ControlClient, settings: Settings, wanted: FleetConfigurationStatus, *, wait: bool) -> None:
    """Say how far a configuration has come; `wait`: when it goes no further. Raises RequestRefused where it is not everywhere."""
    if not wait:
        if settings.as_json:
            say_json(wanted)
        else:
            to = ", ".join(wanted["order"]) or "all nodes at once"
            say(f"configuration f{wanted['number']} of the fleet is on its way to {to}: lbapp nodes")
        return
    final, names = _waited_for(client, wanted)
    if settings.as_json:
        say_json(final)
    else:
        say(roll_word(final, names))
    refused = [f"{name} does not serve by it: {why}" for name, why in final["results"].items() if why]
    if refused or final["stopped"]:
        raise RequestRefused("stopped", "; ".join([*refused, *filter(None, [final["stopped"]])]), "See: lbapp nodes")


def _waited_for(client: ControlClient, wanted: FleetConfigurationStatus) -> tuple[FleetConfigurationStatus, list[str]]:
    """Return what came of it in the end, and the nodes that live. Raises RequestRefused."""
    told, was_seen = "", False
    while True:
        fleet = client.ask(calls.fleet())
        now, names = fleet["configuration"], names_of(fleet["members"])
        if now is not None and now["number"] > wanted["number"]:
            reason = f"f{now['number']} by {now['by']}@{now['node']} has taken the place of f{wanted['number']}"
            raise RequestRefused("changed", reason, "See: lbapp fleet")
        if fleet["state"] != "synced":
            reason = "the store is silent, so it is not known how far the configuration has come"
            raise RequestRefused("fleet_unreachable", reason, "See: lbapp nodes")
        if now is None and was_seen:
            reason = f"configuration f{wanted['number']} was deleted from the store, and not by lbapp"
            raise RequestRefused("changed", reason, "See: lbapp nodes")
        if now is not None and now["number"] == wanted["number"]:
            was_seen = True
            if is_roll_over(now, names):
                return now, names
            if roll_word(now, names) != told:
                told = roll_word(now, names)
                click.echo(printable(told), err=True)
        time.sleep(WAIT_INTERVAL_S)
