"""`lbapp upgrade`: the code that is on disk now, on the same sockets.

Responsible for saying what serves now. Knows nothing of how one engine gives its place to the next. Invariant: exit status 1
when the engine that was asked goes on as it was.
"""

from __future__ import annotations

import click

from lbapp.cli.context import Settings, engine, json_option, reason_option, say, say_json, socket_option


@click.command()
@reason_option
@json_option
@socket_option
@click.pass_obj
def upgrade(settings: Settings, reason: str) -> None:
    """Start the engine anew on the same sockets, from what is installed now; no request fails."""
    with engine(settings) as client:
        done = client.upgrade(reason)
        if settings.as_json:
            say_json(done)
        else:
            say(f"lbapp {done['version']} serves (pid {done['pid']}); it was {done['version_before']}")
