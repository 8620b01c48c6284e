"""The `lbapp` command.

Responsible for the list of verbs and for starting engine and demo, which are imported only when asked for.
Knows nothing of what a verb does. Invariant: what stands in the contract stands here, and nothing is offered that is
not there yet.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from lbapp import __version__
from lbapp.cli.appearance import look_of, look_options
from lbapp.cli.bundle import bundle
from lbapp.cli.change import drain, maint, ready
from lbapp.cli.check import check
from lbapp.cli.context import Settings, host_option, json_option, reporting, socket_option
from lbapp.cli.kill import kill
from lbapp.cli.latency import latency
from lbapp.cli.log import captures, log, sessions
from lbapp.cli.look import events, status
from lbapp.cli.members import add, remove
from lbapp.cli.past import history
from lbapp.cli.persistence import persistence
from lbapp.cli.probes import check_now, probes
from lbapp.cli.publish import publish, unpublish
from lbapp.cli.reload import configurations, confirm, reload, rollback
from lbapp.cli.save import save
from lbapp.cli.stop import stop
from lbapp.cli.tui import tui
from lbapp.cli.undo import changes, diff, undo
from lbapp.cli.upgrade import upgrade
from lbapp.cli.weight import weight
from lbapp.cli.why import why
from lbapp.control.paths import ENVIRONMENT


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="lbapp")
@look_options
@json_option
@host_option
@socket_option
@click.pass_context
def cli(context: click.Context) -> None:
    """A load balancer run from the terminal. Without a verb: its console.

    Exit status: 0 done, 1 refused or failed, 2 wrong usage or invalid configuration, 3 no engine answers.
    """
    context.ensure_object(Settings)
    if context.invoked_subcommand is None:
        context.invoke(tui)


@cli.command()
@click.option("-c", "--config", required=True, type=click.Path(path_type=Path), help="The configuration file.")
@socket_option
@click.pass_obj
def run(settings: Settings, config: Path) -> None:
    """Run the engine in the foreground, until SIGTERM or `lbapp stop`."""
    from lbapp.engine.main import run_engine

    named = os.environ.get(ENVIRONMENT)
    with reporting():
        sys.exit(run_engine(config, settings.socket or (Path(named) if named else None)))


@cli.command()
@click.option("--headless", is_flag=True, help="Without the console, as when there is no terminal.")
@click.option("--duration", type=click.FloatRange(min=0.1), metavar="SECONDS", help="End after this.")
@look_options
@click.pass_obj
def demo(settings: Settings, headless: bool, duration: float | None) -> None:
    """Show it all on loopback: sample servers, an engine, traffic, the console."""
    from lbapp.cli.demo.run import run_demo

    with reporting():
        sys.exit(run_demo(headless=headless, duration_s=duration, look=None if headless else look_of(settings)))


for command in (
    tui, status, latency, events, log, sessions, why, captures, ready, drain, maint, weight, kill, check_now, probes, add, remove,
    publish, unpublish, changes, undo, diff, save, reload, confirm, rollback, configurations, history, persistence, upgrade, stop,
    check, bundle,
):  # fmt: skip
    cli.add_command(command)


def main() -> None:
    """Run the command line."""
    cli(obj=Settings(), prog_name="lbapp")
