"""The verb that says why a request went where it went: why.

Responsible for what it prints. Knows nothing of how servers are chosen. Invariants: it changes nothing; a line is no longer than
80 columns where names leave that much room.
"""

from __future__ import annotations

import textwrap
import time
from typing import Final

import click

from lbapp.cli.context import Settings, engine, json_option, say, say_json, socket_option
from lbapp.cli.format import count
from lbapp.control.decisions import DecisionStatus
from lbapp.model.limits import DECISIONS_LISTED_MAX

_COLUMNS: Final = 80
_NAMED_MAX: Final = 8  # servers of each kind, of one decision


@click.command()
@click.argument("pool", required=False)
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


def describe(decision: DecisionStatus, *, is_preview: bool) -> str:
    """Return one decision in lines."""
    lines = [_head(decision, is_preview=is_preview), *_about(decision)]
    width = max([len(each["server"]) for each in (*decision["candidates"], *decision["skipped"])], default=0)
    for at, candidate in enumerate(decision["candidates"][:_NAMED_MAX]):
        mark = ">" if candidate["server"] == decision["server"] else " "
        lines.append(f" {mark} {candidate['server'].ljust(width)}  {candidate['score']}")
        if at == _NAMED_MAX - 1:
            lines += _more(decision["candidates_total"], "candidates")
    lines += [f" - {each['server'].ljust(width)}  {each['reason']}" for each in decision["skipped"][:_NAMED_MAX]]
    lines += _more(decision["skipped_total"], "that could not be chosen")
    return "\n".join(_fitted(line, width + 5) for line in lines)


def _more(total: int, what: str) -> list[str]:
    return [f"   and {count(total - _NAMED_MAX)} more {what}"] if total > _NAMED_MAX else []


def _head(decision: DecisionStatus, *, is_preview: bool) -> str:
    server = decision["server"] or "no server"
    by = f" by {decision['by']}" if decision["by"] else ""
    if is_preview:
        return f"now: pool {decision['pool']} -> {server}{by}"
    at = f"{time.strftime('%H:%M:%S', time.localtime(decision['at']))}.{int(decision['at'] * 1000) % 1000:03d}"
    return f"{at}  {decision['client']}  pool {decision['pool']} -> {server}{by}"


def _about(decision: DecisionStatus) -> list[str]:
    parts = [f"attempt {decision['attempt']}"] if decision["attempt"] > 1 else []
    if decision["waited"]:
        parts.append("waited for room")
    if decision["persistence"]:
        had = f", had {decision['remembered']}" if decision["remembered"] else ""
        parts.append(f"persistence: {', '.join(decision['persistence'])}{had}")
    if decision["key"]:
        parts.append(f"hashed by {decision['key']}")
    parts += [decision["note"]] if decision["note"] else []
    return [f"   {'; '.join(parts)}"] if parts else []


def _fitted(line: str, indent: int) -> str:
    if len(line) <= _COLUMNS:
        return line
    return "\n".join(textwrap.wrap(line, _COLUMNS, subsequent_indent=" " * min(indent, 30), break_on_hyphens=False))
