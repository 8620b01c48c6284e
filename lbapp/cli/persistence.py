"""`lbapp persistence list` and `lbapp persistence clear`: who the node remembers.

Responsible for what they print and ask. Knows nothing of the table. Invariant: `clear` without a pool asks first where
there is a terminal, as it moves everybody.
"""

from __future__ import annotations

import time

import click

from lbapp.cli.complete import complete_pools
from lbapp.cli.context import Settings, engine, has_terminal, json_option, say, say_json, socket_option
from lbapp.cli.format import duration, table
from lbapp.model.limits import PERSISTENCE_LISTED_MAX

_COLUMNS = ("POOL", "CLIENT", "SERVER", "LEFT")


@click.group()
def persistence() -> None:
    """Show or forget which clients the node remembers, by address or header.

    Cookies are not kept by the node: their clients carry them.
    """


@persistence.command("list")
@click.argument("pool", required=False, shell_complete=complete_pools)
@click.option("--key", help="One client: its address, or the value of its header.")
@click.option(
    "-n", "--limit", default=1000, show_default=True, type=click.IntRange(1, PERSISTENCE_LISTED_MAX), help="How many."
)
@json_option
@socket_option
@click.pass_obj
def list_clients(settings: Settings, pool: str | None, key: str | None, limit: int) -> None:
    """List remembered clients with their server and the time left."""
    with engine(settings) as client:
        found = client.remembered_clients(pool, key, limit)
    if settings.as_json:
        say_json(found)
        return
    now_s = time.time()
    rows = [
        (each["pool"], each["key"], each["server"], duration(max(0.0, each["expires_at"] - now_s)))
        for each in found["clients"]
    ]
    say(table(_COLUMNS, rows, frozenset({3})))
    if found["is_truncated"]:
        say(f"and more: {found['total']} in all pools")


@persistence.command()
@click.argument("pool", required=False, shell_complete=complete_pools)
@click.option("--key", help="One client: its address, or the value of its header.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@socket_option
@click.pass_obj
def clear(settings: Settings, pool: str | None, key: str | None, yes: bool) -> None:
    """Forget remembered clients: all, those of POOL, or one of them."""
    if pool is None and not yes and has_terminal():
        click.confirm("Forget the clients of all pools?", abort=True)
    with engine(settings) as client:
        done = client.clear_clients(pool, key)
    if settings.as_json:
        say_json(done)
    else:
        say(f"{done['cleared']} no longer remembered")
