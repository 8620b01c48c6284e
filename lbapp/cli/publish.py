"""The verbs that change pools: publish, unpublish.

Responsible for asking the engine pool by pool and for saying what came of it. Knows nothing of what it means to traffic.
Invariant: what is not done is said, with its reason, and shows in the exit status.
"""

from __future__ import annotations

from typing import TypedDict, Unpack
from uuid import uuid4

import click

from lbapp.cli.change import wait_option
from lbapp.cli.complete import complete_pools
from lbapp.cli.context import (
    Settings,
    engine,
    fleet_option,
    json_option,
    reason_options,
    say,
    say_json,
    socket_option,
)
from lbapp.cli.fleetwide import tell_nodes
from lbapp.control.changes import PoolChange, PoolPatch


class _How(TypedDict):
    fleet: bool
    wait: bool
    reason: str
    unrecorded: bool


def _verb(name: str, is_published: bool, help_text: str) -> click.Command:
    @click.command(name, help=help_text)
    @click.argument("pools", nargs=-1, required=True, metavar="POOL...", shell_complete=complete_pools)
    @wait_option
    @fleet_option
    @reason_options
    @json_option
    @socket_option
    @click.pass_obj
    def verb(settings: Settings, /, pools: tuple[str, ...], **how: Unpack[_How]) -> None:
        if how["wait"] and not how["fleet"]:
            raise click.UsageError("--wait stands beside --fleet")
        changes: list[PoolChange] = []
        patch: PoolPatch = {"published": is_published, "reason": how["reason"], "unrecorded": how["unrecorded"]}
        if how["fleet"]:
            patch["fleet"] = True
        if len(pools) > 1:
            patch["group"] = uuid4().hex  # one command, one undo
        with engine(settings) as client:
            for pool in pools:
                changes.append(client.patch_pool(pool, patch))
                if not settings.as_json:
                    say(_sentence(changes[-1]))
            if settings.as_json:
                say_json(changes)
            if how["fleet"]:
                tell_nodes(client, settings, changes[-1].get("fleet"), wait=how["wait"])

    return verb


def _sentence(change: PoolChange) -> str:
    before, after = (
        "published" if state["published"] else "unpublished" for state in (change["before"], change["after"])
    )
    return f"{change['pool']['name']}: {f'{before} -> {after}' if before != after else 'as it was'}"


publish = _verb("publish", True, "Let routes send requests to pools again.")
unpublish = _verb("unpublish", False, "Have routes pass pools over; their health checks go on.")
