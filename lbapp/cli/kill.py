"""The verb that ends what is in flight.

Responsible for naming the servers and for saying how much was ended. Knows nothing of how. Invariant: what is not known yet is
said.
"""

from __future__ import annotations

import click

from lbapp.cli.change import chosen
from lbapp.cli.complete import complete_either
from lbapp.cli.context import Settings, engine, json_option, reason_option, say, say_json, socket_option


@click.command()
@click.argument("servers", nargs=-1, required=True, metavar="POOL/SERVER...", shell_complete=complete_either)
@reason_option
@json_option
@socket_option
@click.pass_obj
def kill(settings: Settings, /, servers: tuple[str, ...], reason: str) -> None:
    """End everything in flight at servers now, by force. They go on as they were: to stop new requests, drain them."""
    with engine(settings) as client:
        ids = [server["id"] for server in chosen(client, servers)]
        done = client.kill({"servers": ids, "reason": reason})
    if settings.as_json:
        say_json(done)
        return
    for each in done["servers"]:
        say(f"{each['server']}: {each['closed']} in flight ended")
    if done["workers_silent"]:
        say(f"{done['workers_silent']} workers have not said yet how much they had")
