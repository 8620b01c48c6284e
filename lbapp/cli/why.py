"""The verb that says why a request went where it went: why.

Responsible for what is asked. Knows nothing of how servers are chosen, or of the words of a decision. Invariant: it changes
nothing.
"""

from __future__ import annotations

import click

from lbapp.cli.complete import complete_pools
from lbapp.cli.context import Settings, engine, json_option, say, say_json, socket_option
from lbapp.control.telling import describe
from lbapp.model.limits import DECISIONS_LISTED_MAX


@click.command()
@click.argument("pool", required=False, shell_complete=complete_pools)
@click.option("--client", default="", metavar="ADDRESS", help="Decisions for this client.")
@click.option(
    "-n", "--limit", default=5, show_default=True, type=click.IntRange(1, DECISIONS_LISTED_MAX), help="How many."
)
@click.option("--for", "address", default="", metavar="ADDRESS", help="Which server such a client would get now.")
@click.option("--key", default="", metavar="VALUE", help="The same, where the pool hashes or remembers by a value.")
@json_option
@socket_option
@click.pass_obj
def why(settings: Settings, pool: str | None, client: str, limit: int, address: str, key: str) -> None:  # noqa: PLR0913
    """Show why servers were chosen: samples of the latest decisions, or how one would be made now."""
    is_preview = bool(address or key)
    if is_preview and (pool is None or client):
        raise click.UsageError("--for and --key ask one pool: lbapp why POOL --for ADDRESS")
    asked = (
        {"pool": pool or "", "client": address, "key": key} if is_preview else {"pool": pool or "", "client": client}
    )
    query = {name: value for name, value in asked.items() if value}
    with engine(settings) as control:
        found = control.preview_decision(query) if is_preview else control.decisions({**query, "limit": str(limit)})
        if settings.as_json:
            say_json(found)
        elif found["decisions"]:
            say("\n\n".join(describe(each, is_preview=is_preview) for each in found["decisions"]))
        else:
            say("no decision is recorded yet; a few of each pool are each second that it has requests")
