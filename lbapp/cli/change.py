"""The verbs that change servers: ready, drain, maint, weight.

Responsible for globs, for asking the engine server by server, and for saying what came of it. Knows nothing of what
a state means to traffic. Invariant: what is not done is said, with its reason, and shows in the exit status.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final
from uuid import uuid4

import click

from lbapp.cli.context import (
    EXIT_FAILED,
    Settings,
    complain,
    duration_option,
    engine,
    json_option,
    reason_options,
    say,
    say_json,
    socket_option,
)
from lbapp.cli.format import duration
from lbapp.control.client import ControlClient
from lbapp.control.messages import AdminWord, ServerChange, ServerPatch, ServerStatus
from lbapp.model.errors import RequestRefused
from lbapp.model.limits import EVENTS_MAX
from lbapp.model.states import WEIGHT_MAX

_WAIT_INTERVAL_S: Final = 0.25


def _all_servers(client: ControlClient) -> list[ServerStatus]:
    return [server for pool in client.status()["pools"] for server in pool["servers"]]


def _chosen(client: ControlClient, patterns: Sequence[str]) -> list[ServerStatus]:
    """Return the servers that the patterns name, each once. Raises RequestRefused when one names none."""
    servers = _all_servers(client)
    chosen: dict[str, ServerStatus] = {}
    for pattern in patterns:
        matching = [server for server in servers if fnmatchcase(server["id"], pattern)]
        if not matching:
            raise RequestRefused("unknown_server", f"no server is named {pattern}", _near(pattern, servers))
        chosen.update({server["id"]: server for server in matching})
    return list(chosen.values())


def _near(pattern: str, servers: Sequence[ServerStatus]) -> str:
    from difflib import get_close_matches

    if "/" not in pattern and any(server["pool"] == pattern for server in servers):
        return f"All servers of the pool: '{pattern}/*'"
    found = get_close_matches(pattern, [server["id"] for server in servers], n=3)
    return f"Did you mean {' or '.join(found)}?" if found else "See: lbapp status"


def _apply(client: ControlClient, settings: Settings, patterns: Sequence[str], patch: ServerPatch) -> list[str]:
    """Apply one change to every server named, say what came of each, and return the ids of all that took it.

    One that is refused does not keep the others from being changed; the exit status tells of it at the end.
    """
    changes: list[ServerChange] = []
    refused = 0
    chosen = _chosen(client, patterns)
    if len(chosen) > 1:
        patch = {**patch, "group": uuid4().hex}  # one command, one undo
    for server in chosen:
        try:
            changes.append(client.patch_server(server["pool"], server["name"], patch))
        except RequestRefused as error:
            refused += 1
            complain(error)
            continue
        if not settings.as_json:
            say(_sentence(changes[-1]))
    if settings.as_json:
        say_json(changes)
    if refused:
        sys.exit(EXIT_FAILED)
    return [change["server"]["id"] for change in changes]


def _sentence(change: ServerChange) -> str:
    server, before, after = change["server"], change["before"], change["after"]
    changed = [f"{key} {before[key]} -> {after[key]}" for key in after if before.get(key) != after[key]]
    drain = server["drain"]
    if drain is not None and "state" in after:
        changed.append(f"{drain['in_flight']} in flight, closed by force in {duration(drain['remaining_s'])}")
    return f"{server['id']}: {', '.join(changed) or 'as it was'}"


def _why(patch: ServerPatch, reason: str, unrecorded: bool) -> ServerPatch:
    return {**patch, "reason": reason, "unrecorded": unrecorded}


def _admin_verb(name: AdminWord, help_text: str) -> click.Command:
    @click.command(name, help=help_text)
    @click.argument("servers", nargs=-1, required=True, metavar="POOL/SERVER...")
    @reason_options
    @json_option
    @socket_option
    @click.pass_obj
    def verb(settings: Settings, servers: tuple[str, ...], reason: str, unrecorded: bool) -> None:
        with engine(settings) as client:
            _apply(client, settings, servers, _why({"state": name}, reason, unrecorded))

    return verb


ready = _admin_verb("ready", "Let servers have new clients again; globs are welcome: 'app/*'.")
maint = _admin_verb("maint", "Take servers out for maintenance: no clients, no health checks.")


@click.command()
@click.argument("servers", nargs=-1, required=True, metavar="POOL/SERVER...")
@duration_option("--timeout", "Close by force what is still open after this (default: the pool's).")
@click.option("--wait", is_flag=True, help="Return when nothing is in flight any more; status 1 if forced.")
@reason_options
@json_option
@socket_option
@click.pass_obj
def drain(  # noqa: PLR0913 - one for each option
    settings: Settings, servers: tuple[str, ...], timeout: float | None, wait: bool, reason: str, unrecorded: bool
) -> None:
    """Give servers no new clients and let them finish."""
    patch: ServerPatch = {"state": "drain"}
    if timeout is not None:
        patch["drain_timeout_s"] = timeout
    with engine(settings) as client:
        newest = client.events(limit=1)
        ids = _apply(client, settings, servers, _why(patch, reason, unrecorded))
        if wait:
            _wait(client, ids)
            _check_not_forced(client, ids, newest[-1]["seq"] if newest else 0)
            click.echo(f"drained: {', '.join(ids)}", err=settings.as_json)


def _wait(client: ControlClient, ids: Sequence[str]) -> None:
    """Return when nothing is in flight at the servers; progress goes to stderr. Raises RequestRefused."""
    shown = ""
    while True:
        time.sleep(_WAIT_INTERVAL_S)
        servers = [each for each in _all_servers(client) if each["id"] in ids]
        cancelled = [each["id"] for each in servers if each["admin"] != "drain"]
        if cancelled:
            reason = f"the drain of {', '.join(cancelled)} was ended by somebody else"
            raise RequestRefused("cancelled", reason, "See: lbapp events")
        left = [each["drain"] for each in servers if each["drain"] and each["drain"]["phase"] != "drained"]
        if not left:
            return
        in_flight = sum(drain["in_flight"] for drain in left)
        line = f"draining {len(left)} of {len(ids)}: {in_flight} in flight"
        if line != shown:
            forced_in = max(drain["remaining_s"] for drain in left)
            click.echo(f"{line}, closed by force in {duration(forced_in)}", err=True)
            shown = line


def _check_not_forced(client: ControlClient, ids: Sequence[str], after: int) -> None:
    events = client.events(after=after, limit=EVENTS_MAX)
    forced = [event["message"] for event in events if event["kind"] == "drain_timed_out" and event["subject"] in ids]
    if forced:
        raise RequestRefused("overdue", "; ".join(forced), "Give it longer next time with --timeout")


@click.command()
@click.argument("servers", nargs=-1, required=True, metavar="POOL/SERVER...")
@click.argument("weight", type=click.IntRange(0, WEIGHT_MAX), metavar="N")
@reason_options
@json_option
@socket_option
@click.pass_obj
def weight(settings: Settings, servers: tuple[str, ...], weight: int, reason: str, unrecorded: bool) -> None:
    """Set the weight of servers, 0 to 256; 0: no new clients."""
    with engine(settings) as client:
        _apply(client, settings, servers, _why({"weight": weight}, reason, unrecorded))
