"""The verbs that change the state of servers: ready, drain, maint; and what all verbs share that change servers.

Responsible for globs, for asking the engine server by server, and for saying what came of it. Knows nothing of what
a state means to traffic. Invariant: what is not done is said, with its reason, and shows in the exit status.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Unpack

import click

from lbapp.cli.complete import complete_either
from lbapp.cli.context import (
    WAIT_INTERVAL_S,
    How,
    Settings,
    duration_option,
    engine,
    json_option,
    plan_options,
    say,
    say_json,
    socket_option,
)
from lbapp.cli.fleetwide import tell_nodes
from lbapp.cli.format import duration, table
from lbapp.cli.node import change_node, drain_node, node_option, node_patch
from lbapp.control.changes import PoolPlan, ServerChange, ServersPatch
from lbapp.control.client import ControlClient
from lbapp.control.messages import ServerStatus
from lbapp.control.wording import still_open
from lbapp.model.errors import RequestRefused
from lbapp.model.limits import EVENTS_MAX


def all_servers(client: ControlClient) -> list[ServerStatus]:
    """Return the servers of all pools. Raises EngineUnreachable."""
    return [server for pool in client.status()["pools"] for server in pool["servers"]]


def chosen(client: ControlClient, patterns: Sequence[str]) -> list[ServerStatus]:
    """Return the servers that the patterns name, each once. Raises RequestRefused when one names none."""
    servers = all_servers(client)
    chosen: dict[str, ServerStatus] = {}
    for pattern in patterns:
        wanted = pattern if "/" in pattern else f"{pattern}/*"  # a pool is all of its servers
        matching = [server for server in servers if fnmatchcase(server["id"], wanted)]
        if not matching:
            raise RequestRefused("unknown_server", f"no server is named {pattern}", _near(pattern, servers))
        chosen.update({server["id"]: server for server in matching})
    return list(chosen.values())


def _near(pattern: str, servers: Sequence[ServerStatus]) -> str:
    from difflib import get_close_matches

    known = [server["pool" if "/" not in pattern else "id"] for server in servers]
    found = get_close_matches(pattern, list(dict.fromkeys(known)), n=3)
    return f"Did you mean {' or '.join(found)}?" if found else "See: lbapp status"


def apply(
    client: ControlClient, settings: Settings, patterns: Sequence[str], patch: ServersPatch, *, wait: bool = False
) -> list[ServerChange]:
    """Apply one change to every server named, or to none, and say what came of each.

    `wait`: of an action of the fleet until every node that lives has made it. Raises RequestRefused.
    """
    done = client.patch_servers({**patch, "servers": [server["id"] for server in chosen(client, patterns)]})
    is_of_fleet = bool(patch.get("fleet"))
    if settings.as_json:
        say_json(done if patch.get("dry_run") or is_of_fleet else done["changes"])
    elif patch.get("dry_run"):
        say("\n\n".join(map(_plan, done["plan"])))
    for change in () if settings.as_json else done["changes"]:
        say(_sentence(change))
    if is_of_fleet:
        tell_nodes(client, settings, done.get("fleet"), wait=wait)
    return done["changes"]


def planned(patch: ServersPatch, how: How) -> ServersPatch:
    """Return a patch with what the options of a plan say."""
    patch["reason"], patch["unrecorded"] = how["reason"], how["unrecorded"]
    patch["force"], patch["dry_run"] = how["force"], how["dry_run"]
    if how["fleet"]:
        patch["fleet"] = True
    return patch


def _plan(plan: PoolPlan) -> str:
    head = f"pool {plan['pool']}: {plan['eligible_before']} -> {plan['eligible_after']} of its servers take new clients"
    if plan["leaves_nobody"]:
        head += f": nobody is left for {plan['requests_per_s']:.0f} requests/s"
        head += f", pool {plan['failover']} takes over" if plan["failover"] else ", clients get 503"
    if plan["too_little"]:
        head += f": too few: {plan['too_little']}"
    if plan["keys_moved"] is not None:
        head += f"; {plan['keys_moved']:.1%} of the keys move"
    rows = [(each["server"], f"{each['before']:.1%}", f"{each['after']:.1%}") for each in plan["shares"]]
    return head + "\n" + table(("SERVER", "SHARE", "AFTER"), rows, frozenset({1, 2}))


def _sentence(change: ServerChange) -> str:
    server, before, after = change["server"], change["before"], change["after"]
    changed = [
        f"{key} {str(before[key]).replace('_', ' ')} -> {str(after[key]).replace('_', ' ')}"
        for key in ("state", "weight")
        if before[key] != after[key]
    ]
    drain = server["drain"]
    if drain is not None and "state" in after:
        changed.append(still_open(duration, drain))
    if server["ramp"] is not None and "weight" in after:
        ramp = server["ramp"]
        changed.append(f"weight {ramp['before']} -> {ramp['after']} over {duration(ramp['until'] - ramp['since'])}")
    elif "weight_goal" in before and server["ramp"] is None:
        changed.append(f"no longer on its way to weight {before['weight_goal']}")
    return f"{server['id']}: {', '.join(changed) or 'as it was'}"


def _check_targets(servers: Sequence[str], node: str | None, how: How) -> None:
    if bool(servers) is (node is not None):
        raise click.UsageError("name servers or pools" if node is None else "--node stands alone, without servers")
    if node is not None and how["dry_run"]:
        raise click.UsageError("--dry-run is about servers: what --node does is the same each time")
    if node is not None and how["fleet"]:
        raise click.UsageError("--node is about one node: name each, such as --node lb2")


wait_option = click.option("--wait", is_flag=True, help="With --fleet: return when every node that lives has it.")


def _check_wait(how: How, *, wait: bool) -> None:
    if wait and not how["fleet"]:
        raise click.UsageError("--wait stands beside --fleet")


@click.command()
@click.argument("servers", nargs=-1, metavar="POOL/SERVER...", shell_complete=complete_either)
@node_option("A node: end its drain; without a name this one.")
@wait_option
@plan_options
@json_option
@socket_option
@click.pass_obj
def ready(settings: Settings, /, servers: tuple[str, ...], node: str | None, wait: bool, **how: Unpack[How]) -> None:
    """Let servers have new clients again; globs are welcome: 'app/*'."""
    _check_targets(servers, node, how)
    _check_wait(how, wait=wait)
    with engine(settings) as client:
        if node is not None:
            change_node(client, settings, node_patch("ready", node, how))
            return
        apply(client, settings, servers, planned({"servers": [], "state": "ready"}, how), wait=wait)


@click.command()
@click.argument("servers", nargs=-1, required=True, metavar="POOL/SERVER...", shell_complete=complete_either)
@wait_option
@plan_options
@json_option
@socket_option
@click.pass_obj
def maint(settings: Settings, /, servers: tuple[str, ...], wait: bool, **how: Unpack[How]) -> None:
    """Take servers out for maintenance: no clients, no health checks."""
    _check_wait(how, wait=wait)
    with engine(settings) as client:
        apply(client, settings, servers, planned({"servers": [], "state": "maint"}, how), wait=wait)


class _HowToDrain(How):
    node: str | None
    then_stop: bool
    hard: bool
    remove: bool


@click.command()
@click.argument("servers", nargs=-1, metavar="POOL/SERVER...", shell_complete=complete_either)
@node_option(
    "A node, without a name this one: records and routes leave, clients are asked to, and who comes is served."
)
@click.option("--then-stop", is_flag=True, help="With --node: stop its engine when it is drained.")
@duration_option("--timeout", "Close by force what is still open after this (default: the pool's; of a node 5m).")
@click.option("--hard", is_flag=True, help="Not even for clients that had the server before.")
@click.option("--remove", is_flag=True, help="Take them out of their pool when they are drained; with --wait.")
@click.option("--wait", is_flag=True, help="Return when nothing is in flight any more; status 1 if forced.")
@plan_options
@json_option
@socket_option
@click.pass_obj
def drain(
    settings: Settings, /, servers: tuple[str, ...], timeout: float | None, wait: bool, **how: Unpack[_HowToDrain]
) -> None:
    """Give servers no new clients and let them finish. POOL alone: all servers of a pool, as one.

    With --fleet, --wait returns when every node has it and nothing is in flight on this one.
    """
    _check_targets(servers, how["node"], how)
    if how["remove"] and (not wait or how["node"] is not None or how["fleet"]):
        raise click.UsageError("--remove stands beside --wait, for servers of this node")
    if how["then_stop"] and how["node"] is None:
        raise click.UsageError("--then-stop stands beside --node")
    if how["node"] is not None:
        patch = node_patch("drain", how["node"], how, timeout)
        with engine(settings) as client:
            drain_node(client, settings, {**patch, "then_stop": True} if how["then_stop"] else patch, wait=wait)
        return
    _drain_servers(settings, servers, timeout, how, wait=wait)


def _drain_servers(
    settings: Settings, servers: Sequence[str], timeout: float | None, how: _HowToDrain, *, wait: bool
) -> None:
    patch = planned({"servers": [], "state": "drain", "hard": how["hard"]}, how)
    if timeout is not None:
        patch["drain_timeout_s"] = timeout
    with engine(settings) as client:
        newest = client.events(limit=1)
        ids = [change["server"]["id"] for change in apply(client, settings, servers, patch, wait=wait)]
        if wait and ids:
            try:
                _wait(client, ids)
            except KeyboardInterrupt:
                click.echo(f"\nlbapp: the drain goes on; to end it: lbapp ready {' '.join(servers)}", err=True)
                raise
            for server in ids if how["remove"] else ():
                client.remove_server(server, {"force": how["force"], "reason": how["reason"]})
            _check_not_forced(client, ids, newest[-1]["seq"] if newest else 0)
            click.echo(f"drained{' and removed' if how['remove'] else ''}: {', '.join(ids)}", err=settings.as_json)


def _wait(client: ControlClient, ids: Sequence[str]) -> None:
    """Return when nothing is in flight at the servers; progress goes to stderr. Raises RequestRefused."""
    is_terminal, shown = sys.stderr.isatty(), -1
    while True:
        time.sleep(WAIT_INTERVAL_S)
        servers = [each for each in all_servers(client) if each["id"] in ids]
        gone = [each for each in ids if each not in {server["id"] for server in servers}]
        if gone:
            reason = f"{', '.join(gone)} is not there any more: somebody else took it out of its pool"
            raise RequestRefused("cancelled", reason, "See: lbapp events")
        cancelled = [each["id"] for each in servers if each["admin"] != "drain"]
        if cancelled:
            reason = f"the drain of {', '.join(cancelled)} was ended by somebody else"
            raise RequestRefused("cancelled", reason, "See: lbapp events")
        left = [each["drain"] for each in servers if each["drain"] and each["drain"]["phase"] != "drained"]
        if not left:
            if is_terminal:
                click.echo("\r\x1b[K", err=True, nl=False)
            return
        line = f"draining {len(left)} of {len(ids)}: {still_open(duration, *left)}"
        if is_terminal:
            click.echo(f"\r\x1b[K{line}", err=True, nl=False)
        elif (told := sum(drain["in_flight"] for drain in left)) != shown:
            click.echo(line, err=True)
            shown = told


def _check_not_forced(client: ControlClient, ids: Sequence[str], after: int) -> None:
    events = client.events(after=after, limit=EVENTS_MAX)
    forced = [event["message"] for event in events if event["kind"] == "drain_timed_out" and event["subject"] in ids]
    if forced:
        raise RequestRefused("overdue", "; ".join(forced), "Give it longer next time with --timeout")
