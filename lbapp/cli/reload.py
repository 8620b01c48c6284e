"""The verbs that change the configuration as a whole: reload, confirm, rollback, configurations.

Responsible for showing the plan and what came of it. Knows nothing of what a configuration says. Invariant: exit status 2 when
the file is invalid, 1 when something else is refused; in both cases nothing has changed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Final, Literal, TypedDict, TypeVar, Unpack

import click

from lbapp.cli.context import (
    EXIT_USAGE,
    Settings,
    duration_option,
    engine,
    json_option,
    printable,
    reason_option,
    say,
    say_json,
    socket_option,
)
from lbapp.cli.format import duration, table
from lbapp.cli.roll import show_roll
from lbapp.control import calls
from lbapp.control.changes import ReloadDone, ReloadRequest, RollbackRequest
from lbapp.control.fleet import PublishRequest
from lbapp.model.errors import RequestRefused

_Answer = TypeVar("_Answer")

_HISTORY: Final = ("NO", "WHEN", "WHO", "STATE", "WHY")
_MARKS: Final = {"added": "+", "removed": "-", "changed": "~"}

_dry_option = click.option("--dry-run", is_flag=True, help="Print the plan and change nothing.")
_unrecorded_option = click.option("--unrecorded", is_flag=True, help="Even if it cannot be kept for a rollback.")


class _HowToReload(TypedDict):
    dry_run: bool
    confirm: float | None
    fleet: bool
    rolling: bool
    wait: bool
    reason: str
    unrecorded: bool


@click.command()
@_dry_option
@duration_option("--confirm", "Take it back after this, unless `lbapp confirm` comes first.")
@click.option("--fleet", is_flag=True, help="Have every node of the fleet serve by the file of this one.")
@click.option("--rolling", is_flag=True, help="With --fleet: node by node, and no further when one cannot.")
@click.option("--wait", is_flag=True, help="With --fleet: return when every node that lives serves by it.")
@reason_option
@_unrecorded_option
@json_option
@socket_option
@click.pass_obj
def reload(settings: Settings, /, **how: Unpack[_HowToReload]) -> None:
    """Apply the configuration file as it is now: all of it, or nothing."""
    if (how["rolling"] or how["wait"]) and not how["fleet"]:
        raise click.UsageError("--rolling and --wait stand beside --fleet")
    if how["fleet"] and (how["confirm"] is not None or how["unrecorded"]):
        raise click.UsageError("--confirm and --unrecorded are for this node alone, without --fleet")
    request: ReloadRequest = {"dry_run": how["dry_run"], "reason": how["reason"], "unrecorded": how["unrecorded"]}
    if how["confirm"] is not None:
        request["confirm_s"] = how["confirm"]
    with engine(settings) as client:
        if how["fleet"] and not how["dry_run"]:
            mode: Literal["all", "rolling"] = "rolling" if how["rolling"] else "all"
            publish: PublishRequest = {"mode": mode, "reason": how["reason"]}
            show_roll(
                client, settings, _asked(lambda: client.ask(calls.publish_configuration(publish))), wait=how["wait"]
            )
            return
        _show(settings, _asked(lambda: client.reload(request)), is_dry=how["dry_run"])


@click.command()
@click.argument("number", required=False, type=int, metavar="[N]")
@_dry_option
@reason_option
@json_option
@socket_option
@click.pass_obj
def rollback(settings: Settings, number: int | None, dry_run: bool, reason: str) -> None:
    """Apply an earlier configuration: the one before, or number N of `lbapp configurations`. The file stays as it is."""
    request: RollbackRequest = {"dry_run": dry_run, "reason": reason}
    if number is not None:
        request["number"] = number
    with engine(settings) as client:
        done = _asked(lambda: client.rollback(request))
        _show(settings, done, is_dry=dry_run)
        if done["applied"]:
            path = client.status()["engine"]["configuration_path"]
            click.echo(printable(f"{path} is as it was: put it right before the next reload"), err=True)


@click.command()
@json_option
@socket_option
@click.pass_obj
def confirm(settings: Settings) -> None:
    """Have a configuration stay that was applied with --confirm."""
    with engine(settings) as client:
        kept = client.confirm()
        if settings.as_json:
            say_json(kept)
        else:
            say(f"configuration {kept['number']} stays")


@click.command()
@json_option
@socket_option
@click.pass_obj
def configurations(settings: Settings) -> None:
    """List the configurations that were applied."""
    with engine(settings) as client:
        found = client.configurations()
    if settings.as_json:
        say_json(found)
        return
    rows = [
        (
            f"{each['number']}{'*' if each['is_serving'] else ''}",
            time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(each["at"])),
            each["user"],
            each["state"] if each["confirm_by"] is None else f"{each['state']}, until {_clock(each['confirm_by'])}",
            each["reason"],
        )
        for each in found
    ]
    say(table(_HISTORY, rows, frozenset({0})) + "\n* serves now")


def _asked(ask: Callable[[], _Answer]) -> _Answer:
    try:
        return ask()
    except RequestRefused as refused:
        if refused.code != "invalid_configuration":
            raise
        click.echo("\n".join(map(printable, refused.message.split("\n"))), err=True)
        click.echo("lbapp: nothing was changed", err=True)
        sys.exit(EXIT_USAGE)


def _show(settings: Settings, done: ReloadDone, *, is_dry: bool) -> None:
    if settings.as_json:
        say_json(done)
        return
    for change in done["changes"]:
        say(f"{_MARKS[change['kind']]} {change['what']} {change['kind']}: {change['how']}")
        for detail in change["details"]:
            say(f"    {detail}")
    for warning in done["warnings"]:
        click.echo(printable(f"warning: {warning}"), err=True)
    if not done["changes"]:
        say("nothing to do: that is what serves already")
    elif not is_dry:
        say(f"configuration {done['number']} serves")
        if done["confirm_by"] is not None:
            left_s = done["confirm_by"] - time.time()
            say(f"it is taken back in {duration(left_s)} unless you confirm it: lbapp confirm")


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))
