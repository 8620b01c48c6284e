"""The verbs that look: status, events.

Responsible for what they print: plain tables that fit 80 columns and are the same in a pipe. Knows nothing of how
figures are made. Invariant: they change nothing.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import click

from lbapp.cli.complete import complete_pools
from lbapp.cli.context import (
    Settings,
    engine,
    host_option,
    json_option,
    pool_named,
    say,
    say_json,
    socket_option,
    source_option,
)
from lbapp.cli.format import admin, count, duration, milliseconds, note, share, table
from lbapp.control.messages import Event, ListenerStatus, PoolStatus, Status, Traffic
from lbapp.control.wording import node_state
from lbapp.model.limits import EVENTS_MAX

_SERVERS = ("SERVER", "ADMIN", "HEALTH", "WEIGHT", "CONN", "INFL", "REQ/S", "ERR", "P50", "P99", "NOTE")
_SERVERS_RIGHT = frozenset(range(3, 10))
_LISTENERS = ("LISTENER", "STATE", "BIND", "POOL", "CONN", "REQ/S", "ERR", "P50", "P99")
_LISTENERS_RIGHT = frozenset(range(4, 9))
_CERTIFICATES = ("CERTIFICATE", "DAYS LEFT", "FOR", "FILE")
_CERTIFICATES_RIGHT = frozenset((1,))
_NAMES_SHOWN = 2


def _time_asked(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    from lbapp.cli.past import time_asked  # all of the past, which hardly anybody asks for

    return time_asked(context, parameter, value)


@click.command()
@click.argument("pool", required=False, shell_complete=complete_pools)
@click.option("--at", metavar="TIME", callback=_time_asked, help="As it was then: 14:05, 14:05:30, -10m.")
@source_option
@json_option
@host_option
@socket_option
@click.pass_obj
def status(settings: Settings, pool: str | None, at: float | None, source: Path | None) -> None:
    """Show listeners, pools and servers with states and rates."""
    if at is None and source is not None:
        raise click.UsageError("--from goes with --at: what is now, only the engine knows")
    if at is not None:
        from lbapp.cli.past import show_status_at

        show_status_at(settings, pool, at, source)
        return
    with engine(settings) as client:
        found = client.status()
        if pool is not None:
            found["pools"] = pool_named(found["pools"], pool, f"there is no pool {pool}")
        if settings.as_json:
            say_json(found)
        else:
            say(_status(found, with_listeners=pool is None))


def _status(found: Status, *, with_listeners: bool) -> str:
    node = found["engine"]
    serving = sum(worker["phase"] == "serving" for worker in node["workers"])
    state = node_state(node, found["at"], duration)
    parts = [
        f"lbapp {node['version']} on {node['node']}: {state}, up {duration(node['uptime_s'])}, "
        f"{serving} of {len(node['workers'])} workers, pid {node['pid']}"
    ]
    if node.get("file_is_other"):
        parts.append(f"the file: {node['file_is_other']}")
    if with_listeners:
        parts.append(table(_LISTENERS, [_listener(each) for each in found["listeners"]], _LISTENERS_RIGHT))
        certificates = [row for each in found["listeners"] for row in _certificates(each)]
        if certificates:
            parts.append(table(_CERTIFICATES, certificates, _CERTIFICATES_RIGHT))
    parts += [_pool(each) for each in found["pools"]]
    return "\n\n".join(parts)


def _listener(each: ListenerStatus) -> tuple[str, ...]:
    return (
        each["name"],
        each["state"].upper(),
        ",".join(each["bind"]),
        each["pool"] or "-",
        count(each["connections"]),
        *_rates(each),
    )


def _certificates(each: ListenerStatus) -> list[tuple[str, ...]]:
    tls = each["tls"]
    return [
        (each["name"], f"{one['days_left']:.1f}", _some(one["names"]), one["file"])
        for one in (tls["certificates"] if tls is not None else [])
    ]


def _some(names: list[str]) -> str:
    more = len(names) - _NAMES_SHOWN
    return (",".join(names[:_NAMES_SHOWN]) or "-") + (f" and {more} more" if more > 0 else "")


def _rates(each: Traffic) -> tuple[str, str, str, str]:
    total = each["latency"]["total"]
    return (
        count(each["requests_per_s"]),
        share(each["error_rate"]),
        milliseconds(total["p50"]),
        milliseconds(total["p99"]),
    )


def _pool(each: PoolStatus) -> str:
    rows = [
        (
            server["id"],
            admin(server),
            server["health"].upper(),
            str(server["weight"]),
            count(server["connections"]),
            count(server["in_flight"]),
            *_rates(server),
            note(server),
        )
        for server in each["servers"]
    ]
    head = f"pool {each['name']} ({each['algorithm']}): {each['eligible']} of {each['total']} eligible"
    if each["discovered_as"] is not None:
        head += f", found as {each['discovered_as']}"
    if not each["published"]:
        head += ", unpublished: gets no requests"
    if each["is_in_panic"]:
        head += ", IN PANIC: health is ignored"
    if each["is_on_backups"]:
        head += ", its backups serve it"
    if each["served_by"] != each["name"]:
        head += f", pool {each['served_by']} takes over" if each["served_by"] else ", requests get 503"
    if each["queue"] is not None and each["queue"]["queued"]:
        head += f", {each['queue']['queued']} wait for room"
    return head + "\n" + table(_SERVERS, rows, _SERVERS_RIGHT)


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with events as they happen, until Ctrl-C.")
@click.option("-n", "--limit", default=50, show_default=True, type=click.IntRange(1, EVENTS_MAX), help="How many.")
@click.option("--subject", default="", metavar="NAME", help="About POOL/SERVER, POOL with its servers, or node.")
@click.option("--kind", default="", metavar="KIND,...", help="Of these kinds, such as server_went_down.")
@json_option
@socket_option
@click.pass_obj
def events(settings: Settings, follow: bool, limit: int, subject: str, kind: str) -> None:
    """Show what happened: state changes, operators' actions."""
    with engine(settings) as client:
        last = 0
        for event in client.events(limit=limit, subject=subject, kind=kind):
            _say_event(event, settings.as_json)
            last = event["seq"]
        if follow:
            with suppress(KeyboardInterrupt):
                for event in client.follow_events(after=last, subject=subject, kind=kind):
                    _say_event(event, settings.as_json)


def _say_event(event: Event, as_json: bool) -> None:
    if as_json:
        say_json(event)
        return
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event["at"]))
    actor = event["actor"]
    by = f" by {actor['user']}" if actor is not None and actor["uid"] is not None else ""
    say(f"{at} {event['kind']:22} {event['subject']:20} {event['message']}{by}")
