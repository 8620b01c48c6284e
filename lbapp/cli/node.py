"""What the verbs ready and drain do to a node, this one or another of the fleet.

Responsible for `--node [NAME]`, for the steps of a drain as they go, and for what came of it. Knows nothing of servers.
Invariant: what is not done is said, with its reason, and shows in the exit status.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Literal

import click

from lbapp.cli.context import WAIT_INTERVAL_S, Command, How, Settings, printable, say, say_json
from lbapp.cli.format import duration
from lbapp.control import calls
from lbapp.control.changes import NodePatch
from lbapp.control.client import ControlClient
from lbapp.control.fleet_words import ENDINGS, step_word
from lbapp.control.messages import NodeDrainStatus
from lbapp.control.wording import node_open
from lbapp.model.errors import EngineUnreachable, RequestRefused

THIS: Final = ""  # the name that stands for the node that is asked
_HEARD_S: Final = 15.0  # until another node has taken in what it is to do, and has said how far it is


def node_option(help_text: str) -> Callable[[Command], Command]:
    """Return a decorator that gives a command `--node [NAME]`; the command gets None without it, THIS without a name."""

    def named(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
        if value and "/" in value:
            raise click.BadParameter(
                f"{value} is no node but a server: write --node alone, or --node and a node's name"
            )
        return value

    return click.option("--node", is_flag=False, flag_value=THIS, metavar="[NAME]", callback=named, help=help_text)


def node_patch(state: Literal["ready", "drain"], node: str, how: How, timeout: float | None = None) -> NodePatch:
    """Return the change of a node that the options ask for."""
    patch: NodePatch = {"state": state, "reason": how["reason"], "unrecorded": how["unrecorded"]}
    if node != THIS:
        patch["node"] = node
    if how["force"]:
        patch["force"] = True
    if timeout is not None:
        patch["drain_timeout_s"] = timeout
    return patch


def change_node(client: ControlClient, settings: Settings, patch: NodePatch) -> None:
    """Change a node and say what came of it. Raises RequestRefused."""
    done = client.patch_node(patch)
    if settings.as_json:
        say_json(done)
        return
    drain = done["drain"]
    told = f": {node_open(duration, drain)}" if drain is not None else ""
    say(f"{_named(patch)}: state {done['before']} -> {done['after']}{told}")
    if drain is not None:
        for line in (step_word(drain, time.time(), duration), ENDINGS.get(drain.get("ecmp") or "", "")):
            if line:
                say(f"  {line}")


def drain_node(client: ControlClient, settings: Settings, patch: NodePatch, *, wait: bool) -> None:
    """Drain a node; `wait`: until nobody is connected, with its steps on stderr. Raises RequestRefused."""
    is_here = "node" not in patch or (wait and client.ask(calls.fleet())["node"] == patch["node"])
    change_node(client, settings, patch)
    if not wait:
        return
    name, told, has_begun = patch.get("node", THIS), "", False
    seen: NodeDrainStatus | None = None
    give_up_at_s = time.monotonic() + _HEARD_S
    while True:
        try:
            drain = _drain_of(client, name)
        except (EngineUnreachable, RequestRefused) as error:
            if patch.get("then_stop") and (seen or is_here) and _has_ended(error, is_here=is_here):
                _say_stopped(seen, settings)
                return
            raise
        seen = drain or seen
        has_begun = has_begun or drain is not None or name == THIS
        if not has_begun and time.monotonic() > give_up_at_s:
            raise RequestRefused("not_begun", f"nothing is heard of a drain of {name}", "See: lbapp nodes")
        if has_begun and _is_over(drain, settings, patch):
            return
        if drain is not None and (line := _progress(drain)) != told:
            told = line
            click.echo(printable(f"draining {_named(patch, 'the node')}: {line}"), err=True)
        time.sleep(WAIT_INTERVAL_S if drain is None else 4 * WAIT_INTERVAL_S)


def _is_over(drain: NodeDrainStatus | None, settings: Settings, patch: NodePatch) -> bool:
    """Say whether nothing is to be waited for any more. Raises RequestRefused where it came to another end."""
    if drain is None:
        reason = f"the drain of {_named(patch, 'the node')} was ended by somebody else"
        raise RequestRefused("cancelled", reason, "See: lbapp events")
    if drain["phase"] == "overdue":
        raise _overdue()
    if drain["phase"] == "drained":
        click.echo("drained: no client is connected", err=settings.as_json)
        return True
    return False


def _has_ended(error: EngineUnreachable | RequestRefused, *, is_here: bool) -> bool:
    """Say whether a drained engine ends so: the one that is asked answers no more, another one has left the fleet."""
    return is_here if isinstance(error, EngineUnreachable) else error.code == "gone"


def _say_stopped(seen: NodeDrainStatus | None, settings: Settings) -> None:
    """Say that the engine has ended as it was told to. Raises RequestRefused where its time was over first."""
    if seen is not None and seen["phase"] == "draining" and seen["remaining_s"] <= 0:
        raise _overdue()
    click.echo("drained, and its engine has ended", err=settings.as_json)


def _overdue() -> RequestRefused:
    return RequestRefused("overdue", "clients were closed by force", "Give it longer next time with --timeout")


def _drain_of(client: ControlClient, name: str) -> NodeDrainStatus | None:
    """Return how far the drain of a node is, as this one knows it. Raises RequestRefused for one that is gone."""
    if name == THIS:
        return client.status()["engine"]["drain"]
    found = client.ask(calls.fleet())
    member = next((each for each in found["members"] if each["name"] == name), None)
    if member is None or not member["is_alive"]:
        raise RequestRefused("gone", f"{name} has left the fleet", "See: lbapp nodes")
    return member["state"]["drain"] if member["state"] else None


def _progress(drain: NodeDrainStatus) -> str:
    step = step_word(drain, time.time(), duration)
    return f"{step}; {node_open(duration, drain)}" if step else node_open(duration, drain)


def _named(patch: NodePatch, this: str = "node") -> str:
    return f"node {patch['node']}" if "node" in patch else this
