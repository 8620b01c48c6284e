"""`lbapp run` and `lbapp demo`: what starts an engine.

Responsible for their options; engine and demo are imported only when asked for. Knows nothing of what they do.
Invariant: their exit status is the command's.
"""

from __future__ import annotations

import gc
import os
import sys
from functools import partial
from pathlib import Path

import click

from lbapp.cli.appearance import look_of, look_options
from lbapp.cli.context import Settings, reporting, socket_option
from lbapp.control.paths import ENVIRONMENT


@click.command()
@click.option("-c", "--config", required=True, type=click.Path(path_type=Path), help="The configuration file.")
@socket_option
@click.pass_obj
def run(settings: Settings, config: Path) -> None:
    """Run the engine in the foreground, until SIGTERM or `lbapp stop`."""
    gc.disable()  # what a start makes stays: to look through it for garbage while it grows is a tenth of the start
    from lbapp.cli.fleet_maker import make_fleet
    from lbapp.engine.main import run_engine

    gc.freeze()
    gc.enable()
    named = os.environ.get(ENVIRONMENT)
    with reporting():
        sys.exit(run_engine(config, settings.socket or (Path(named) if named else None), make_fleet))


@click.command()
@click.option("--headless", is_flag=True, help="Without the console, as when there is no terminal.")
@click.option("--duration", type=click.FloatRange(min=0.1), metavar="SECONDS", help="End after this.")
@look_options
@click.pass_obj
def demo(settings: Settings, headless: bool, duration: float | None) -> None:
    """Show it all on loopback: sample servers, an engine, traffic, the console."""
    from lbapp.cli.demo.run import run_demo

    with reporting():
        sys.exit(run_demo(headless=headless, duration_s=duration, look=partial(look_of, settings)))
