"""The verb that changes weights: weight.

Responsible for the ways to write a weight, and for waiting until servers have theirs. Knows nothing of what a weight means to
traffic. Invariant: `-10` is a weight and never an option, and an option that does not exist is refused all the same.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Unpack

import click

from lbapp.cli.change import all_servers, apply, planned
from lbapp.cli.complete import complete_either
from lbapp.cli.context import (
    WAIT_INTERVAL_S,
    How,
    Settings,
    duration_option,
    engine,
    json_option,
    plan_options,
    socket_option,
)
from lbapp.cli.format import duration
from lbapp.control.changes import ServerChange, ServersPatch
from lbapp.control.client import ControlClient
from lbapp.model.errors import RequestRefused
from lbapp.model.limits import EVENTS_MAX
from lbapp.model.states import WEIGHT_MAX


def _percent(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    try:
        return float(value.removesuffix("%"))
    except ValueError as error:
        raise click.BadParameter(f"{value} is no share; use one such as 2%") from error


class WeightType(click.ParamType[ServersPatch]):
    """A weight: a number, a number more or less, or a share of what the file says; as the fields of a ServersPatch."""

    name = "weight"

    def convert(self, value: object, parameter: click.Parameter | None, context: click.Context | None) -> ServersPatch:
        """Return the patch. Fails with a usage error."""
        text = str(value)
        match = re.fullmatch(r"([+-]?)([0-9]{1,5})(?:(\.[0-9]+)?(%))?", text)
        if match is not None and match[4] and not match[1]:
            return {"servers": [], "weight_percent": float(text[:-1])}
        number = int(match[2]) if match is not None and not match[4] else WEIGHT_MAX + 1
        if match is None or number > WEIGHT_MAX:
            example = f"use 0 to {WEIGHT_MAX}, or such as +10, -10 or 50%"
            self.fail(f"{text} is no weight; {example}", parameter, context)
        if match[1]:
            return {"servers": [], "weight_add": int(text)}
        return {"servers": [], "weight": number}


def _check_no_option(servers: Sequence[str]) -> None:
    """Refuse options that do not exist: a weight such as -10 is not to be taken for one, so click lets all of them pass."""
    for name in servers:
        if name.startswith("-"):
            raise click.NoSuchOption(name)


class _HowToWeigh(How):
    over: float | None
    abort_if_errors: float | None
    wait: bool


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("servers", nargs=-1, required=True, metavar="POOL/SERVER...", shell_complete=complete_either)
@click.argument("weight", type=WeightType(), metavar="N|+N|-N|N%")
@duration_option("--over", "Get there little by little, in this time.")
@click.option("--abort-if-errors", metavar="SHARE", callback=_percent, help="Put it back if more fail, such as 2%.")
@click.option(
    "--wait",
    is_flag=True,
    help="Return when --over is over, with --fleet when all nodes have it; status 1 if it was put back.",
)
@plan_options
@json_option
@socket_option
@click.pass_obj
def weight(settings: Settings, /, servers: tuple[str, ...], weight: ServersPatch, **how: Unpack[_HowToWeigh]) -> None:
    """Set the weight of servers, 0 to 256; 0: no new clients.

    +10 and -10 change it by that, for each server from its own, never to 0; 50% is half of what the file says.
    """
    _check_no_option(servers)
    if how["wait"] and how["over"] is None and not how["fleet"]:
        raise click.UsageError("--wait stands beside --over or --fleet")
    patch = planned(weight, how)
    if how["over"] is not None:
        patch["over_s"] = how["over"]
    if how["abort_if_errors"] is not None:
        patch["abort_if_errors_percent"] = how["abort_if_errors"]
    with engine(settings) as client:
        newest = client.events(limit=1)
        changes = apply(client, settings, servers, patch, wait=how["wait"])
        goals = {change["server"]["id"]: _goal(change) for change in changes}
        if how["wait"] and how["over"] is not None and goals:
            try:
                _wait_for_weight(client, goals)
            except KeyboardInterrupt:
                click.echo("\nlbapp: the weights go on changing; to put them back: lbapp undo", err=True)
                raise
            _check_not_aborted(client, goals, newest[-1]["seq"] if newest else 0)
            for goal, same in groupby(sorted(goals, key=lambda each: goals[each]), lambda each: goals[each]):
                click.echo(f"weight {goal}: {', '.join(same)}", err=settings.as_json)


def _goal(change: ServerChange) -> int:
    server = change["server"]
    return server["weight"] if server["ramp"] is None else server["ramp"]["after"]


def _wait_for_weight(client: ControlClient, goals: Mapping[str, int]) -> None:
    """Return when no server is on its way to a weight any more; progress goes to a terminal."""
    is_terminal = sys.stderr.isatty()
    while True:
        time.sleep(WAIT_INTERVAL_S)
        ramps = [
            (each["weight"], each["ramp"])
            for each in all_servers(client)
            if each["ramp"] is not None and goals.get(each["id"]) == each["ramp"]["after"]
        ]
        if is_terminal:
            click.echo("\r\x1b[K", err=True, nl=False)
        if not ramps:
            return
        if is_terminal:
            left_s = max(ramp["until"] for _, ramp in ramps) - time.time()
            now = ", ".join(map(str, sorted({each for each, _ in ramps})))
            to = ", ".join(map(str, sorted({ramp["after"] for _, ramp in ramps})))
            click.echo(f"at weight {now}, {duration(max(0.0, left_s))} to {to}", err=True, nl=False)


def _check_not_aborted(client: ControlClient, goals: Mapping[str, int], after: int) -> None:
    events = client.events(after=after, limit=EVENTS_MAX)
    aborted = [event["message"] for event in events if event["kind"] == "ramp_aborted" and event["subject"] in goals]
    if aborted:
        raise RequestRefused("aborted", "; ".join(aborted), "See: lbapp events")
    others = [each["id"] for each in all_servers(client) if goals.get(each["id"], each["weight"]) != each["weight"]]
    if others:
        to = ", ".join(map(str, sorted({goals[each] for each in others})))
        message = f"the way of {', '.join(others)} to weight {to} was ended by somebody else"
        raise RequestRefused("cancelled", message, "See: lbapp events")
