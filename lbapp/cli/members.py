"""The verbs that change which servers a pool has: add, remove.

Responsible for globs and for saying what serves. Knows nothing of how a server comes or goes. Invariant: what is not done is
said, with its reason, and shows in the exit status.
"""

from __future__ import annotations

from typing import TypedDict, Unpack

import click

from lbapp.cli.change import chosen
from lbapp.cli.complete import complete_servers
from lbapp.cli.context import Settings, engine, force_option, json_option, reason_options, say, say_json, socket_option
from lbapp.control.changes import NewServer, ReloadDone
from lbapp.model.errors import RequestRefused
from lbapp.model.states import WEIGHT_MAX


class _More(TypedDict):
    weight: int | None
    connections_max: int | None
    backup: bool
    unrecorded: bool


@click.command()
@click.argument("server", metavar="POOL/SERVER")
@click.argument("address", metavar="ADDRESS")
@click.option("--weight", type=click.IntRange(0, WEIGHT_MAX), help="0 to 256 (default: 100).")
@click.option("--connections-max", type=click.IntRange(min=0), metavar="N", help="In flight at most; 0: no limit.")
@click.option("--backup", is_flag=True, help="Only when no other server of the pool can serve.")
@reason_options
@json_option
@socket_option
@click.pass_obj
def add(settings: Settings, /, server: str, address: str, reason: str, **more: Unpack[_More]) -> None:
    """Add a server to a pool, such as: lbapp add app/s3 10.0.0.3:8080. `lbapp save` writes it into the file."""
    pool, slash, name = server.partition("/")
    if not (pool and slash and name):
        raise click.UsageError(f"{server} is no POOL/SERVER")
    wanted: NewServer = {"name": name, "address": address, "reason": reason, "unrecorded": more["unrecorded"]}
    if more["weight"] is not None:
        wanted["weight"] = more["weight"]
    if more["connections_max"]:
        wanted["connections_max"] = more["connections_max"]
    if more["backup"]:
        wanted["backup"] = True
    with engine(settings) as client:
        _say(settings, client.add_server(pool, wanted))


@click.command()
@click.argument("servers", nargs=-1, required=True, metavar="POOL/SERVER...", shell_complete=complete_servers)
@force_option
@reason_options
@json_option
@socket_option
@click.pass_obj
def remove(settings: Settings, servers: tuple[str, ...], force: bool, reason: str, unrecorded: bool) -> None:
    """Take servers out of their pools: they get nothing more and finish what they have."""
    with engine(settings) as client:
        for each in chosen(client, servers):
            _say(
                settings, client.remove_server(each["id"], {"force": force, "reason": reason, "unrecorded": unrecorded})
            )


def _say(settings: Settings, done: ReloadDone) -> None:
    if settings.as_json:
        say_json(done)
        return
    if not done["applied"]:
        raise RequestRefused("nothing_done", "that is what serves already")
    for change in done["changes"]:
        say(f"{change['what']} {change['kind']}: {change['how']}")
