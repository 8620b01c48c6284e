"""`lbapp handoff`: connections that outlive a change of routes.

Responsible for its verbs and for what is printed. Knows nothing of the kernel or of rings. Invariants: `print` changes nothing
and needs no rights; `status` is 0 only where the ring is there and whole.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lbapp.cli.context import Settings, json_option, reporting, say, say_json
from lbapp.model.errors import LbappError

if TYPE_CHECKING:
    from lbapp.cluster.handoff.host import RingStatus
    from lbapp.cluster.handoff.ring import Ring

_config = click.option(
    "-c",
    "--config",
    required=True,
    type=click.Path(path_type=Path),
    help="The file of the ring, the same on every node.",
)


def _ring(path: Path) -> Ring:
    from lbapp.cluster.handoff.ring import Ring
    from lbapp.config.handoff import load_handoff

    return Ring(load_handoff(path))


@click.group()
@click.pass_obj
def handoff(settings: Settings) -> None:
    """Keep established connections when routes move: nodes hand what they do not know on to each other."""
    settings.stay_here()


@handoff.command()
@_config
def up(config: Path) -> None:
    """Make the ring on this node, or make it anew. Best before the node gets clients."""
    from lbapp.cluster.handoff.host import bring_up

    with reporting():
        ring = _ring(config)
        bring_up(ring, lambda text: click.echo(text, err=True))
        say(f"{ring.settings.node} hands on to {ring.next[0]} at {ring.next[1]}, {len(ring.hops)} hops at most")


@handoff.command()
@_config
def down(config: Path) -> None:
    """Take the ring away on this node."""
    from lbapp.cluster.handoff.host import take_down

    with reporting():
        take_down(_ring(config))
        say("nothing is handed on any more")


@handoff.command()
@_config
@json_option
@click.pass_obj
def status(settings: Settings, config: Path) -> None:
    """Say whether the ring is there and whole (else exit status 1), what was handed on, and what is wrong with it."""
    from lbapp.cluster.handoff.host import look

    with reporting():
        ring = _ring(config)
        found = look(ring)
        if settings.as_json:
            say_json({"node": ring.settings.node, "next": ring.next[0], **asdict(found)})
        elif found.is_up:
            _say_ring(ring, found)
        if not found.is_up:
            raise LbappError(
                f"the ring of {config} is not there on this node: nothing is handed on",
                f"Make it with: lbapp handoff up -c {config}",
            )
        if not found.is_whole:
            raise LbappError(
                f"the ring of {config} is not whole on this node: connections may end when routes move",
                f"Make it anew with: lbapp handoff up -c {config}",
            )


def _say_ring(ring: Ring, found: RingStatus) -> None:
    handed = ", ".join(f"hop {hop}: {packets}" for hop, packets in sorted(found.handed.items()))
    say(f"{ring.settings.node} hands on to {ring.next[0]} at {ring.next[1]}")
    say(f"packets handed on: {handed}; that no node knew: {found.unknown}")
    say(f"connections known to the kernel: {found.tracked} of {found.tracked_max}")
    for problem in found.problems:
        say(f"! {problem}")


@handoff.command(name="print")
@_config
def show(config: Path) -> None:
    """Print what the kernel would be told, to read it or to have something else do it."""
    from lbapp.cluster.handoff.ring import STRICT

    with reporting():
        ring = _ring(config)
        for command in (*ring.devices(), *ring.ways()):
            click.echo(" ".join(command))
        for name, value in {**ring.settings_of_devices(), **STRICT}.items():
            click.echo(f"sysctl -w {name.replace('/', '.')}={value}")
        click.echo(f"nft -f - <<'EOF'\n{ring.rules()}\nEOF")
