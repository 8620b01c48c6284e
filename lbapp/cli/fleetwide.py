"""What came of an action of the fleet: which nodes have it, and waiting until all have.

Responsible for asking the node that was told, and for saying what it knows. Knows nothing of what the action was. Invariant: a
node that lives and has not said so is never said to have it, and while nobody knows who lives nothing is waited for.
"""

from __future__ import annotations

import time

import click

from lbapp.cli.context import WAIT_INTERVAL_S, Settings, printable, say
from lbapp.control import calls
from lbapp.control.client import ControlClient
from lbapp.control.fleet import Applied
from lbapp.control.fleet_words import applied_word, came_of
from lbapp.model.errors import RequestRefused


def tell_nodes(client: ControlClient, settings: Settings, applied: Applied | None, *, wait: bool) -> None:
    """Say which nodes have made an action; `wait`: when all have. None: nothing was changed.

    Raises RequestRefused when the store is silent meanwhile.
    """
    if applied is None:
        return
    if wait:
        applied = _waited_for(client, applied)
    elif not settings.as_json and applied["waiting"]:
        say(f"{applied_word(applied)}: lbapp nodes")
        return
    if settings.as_json:
        if wait:  # standard output has the answer alone
            click.echo(printable(applied_word(applied)), err=True)
        return
    say(applied_word(applied))


def _waited_for(client: ControlClient, applied: Applied) -> Applied:
    told = ""
    while applied["waiting"]:
        time.sleep(WAIT_INTERVAL_S)
        newer = came_of(client.ask(calls.fleet()), applied)
        if newer is None:
            reason = "the store is silent, so it is not known which nodes have it"
            raise RequestRefused("fleet_unreachable", reason, "It is written: each node makes it as it hears of it")
        applied = newer
        if applied["waiting"] and applied_word(applied) != told:
            told = applied_word(applied)
            click.echo(printable(told), err=True)
    return applied
