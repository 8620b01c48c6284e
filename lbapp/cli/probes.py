"""The verbs about health checks: check-now and probes.

Responsible for having servers checked at once and for showing what their last probes found. Knows nothing of thresholds.
Invariant: a server that was not checked, or not found well, shows in the exit status.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Final

import click

from lbapp.cli.change import chosen
from lbapp.cli.complete import complete_either
from lbapp.cli.context import EXIT_FAILED, Settings, engine, json_option, say, say_json, socket_option
from lbapp.cli.format import milliseconds, table
from lbapp.control.client import ControlClient
from lbapp.control.messages import ProbeDone, ProbeStatus, ServerStatus
from lbapp.model.errors import RequestRefused

_AT_ONCE: Final = 16  # calls: a server that does not answer holds up no other
_PROBES: Final = ("SERVER", "LAST", "TIMES", "FOUND", "LAYER", "TOOK")

Checked = tuple[str, ProbeStatus | None, RequestRefused | None]


@click.command("check-now")
@click.argument("servers", nargs=-1, required=True, metavar="POOL/SERVER...", shell_complete=complete_either)
@json_option
@socket_option
@click.pass_obj
def check_now(settings: Settings, /, servers: tuple[str, ...]) -> None:
    """Run the health checks of servers at once, beside their schedule; status 1 if one is not well."""
    with engine(settings) as client:
        named = chosen(client, servers)
        with ThreadPoolExecutor(min(_AT_ONCE, len(named))) as threads:
            found = list(threads.map(lambda server: _check(client, server), named))
    if settings.as_json:
        say_json(
            [{"server": name, "probe": probe, "refused": refused and str(refused)} for name, probe, refused in found]
        )
    else:
        say("\n".join(_sentence(*each) for each in found))
    if any(probe is None or not probe["is_success"] for _, probe, _ in found):
        sys.exit(EXIT_FAILED)


def _check(client: ControlClient, server: ServerStatus) -> Checked:
    try:
        return server["id"], client.check_now(server["pool"], server["name"]), None
    except RequestRefused as refused:
        return server["id"], None, refused


def _sentence(name: str, probe: ProbeStatus | None, refused: RequestRefused | None) -> str:
    if probe is None:
        return f"{name}: not checked: {refused}"
    said = f', it said "{probe["excerpt"]}"' if probe["excerpt"] else ""
    row = f"{probe['streak']} in a row" if probe["streak"] > 1 else "the first in a row"
    word = "well" if probe["is_success"] else "failed"
    where = f"{probe['layer']}, " if probe["layer"] else ""
    return f"{name}: {word}: {probe['reason']} ({where}{milliseconds(probe['duration_s'] * 1000)}){said}; {row}"


@click.command()
@click.argument("servers", nargs=-1, required=True, metavar="POOL/SERVER...", shell_complete=complete_either)
@json_option
@socket_option
@click.pass_obj
def probes(settings: Settings, /, servers: tuple[str, ...]) -> None:
    """Show what the last probes of servers found, up to 60 of each, those that found the same as one line."""
    with engine(settings) as client:
        found = [client.probes(server["pool"], server["name"]) for server in chosen(client, servers)]
    if settings.as_json:
        say_json(found)
        return
    rows = [
        (each["server"], *_run(list(run)))
        for each in found
        for _, run in groupby(each["probes"], lambda probe: (probe["is_success"], probe["reason"], probe["layer"]))
    ]
    say(table(_PROBES, rows, frozenset({2, 5})) if rows else "no probe was made yet")


def _run(run: list[ProbeDone]) -> tuple[str, str, str, str, str]:
    last, slowest_s = run[-1], max(probe["duration_s"] for probe in run)
    found = last["reason"] if last["is_success"] else f"failed: {last['reason']}"
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(last["at"]))
    return at, str(len(run)), found, last["layer"] or "-", milliseconds(slowest_s * 1000)
