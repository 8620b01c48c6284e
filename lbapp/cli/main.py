"""The `lbapp` command.

Responsible for what stands before the verb. Knows nothing of what a verb does. Invariant: what stands in the contract
is offered, and nothing that is not there yet.
"""

from __future__ import annotations

import click

from lbapp import __version__
from lbapp.cli.appearance import look_options
from lbapp.cli.context import Settings, host_option, json_option, socket_option
from lbapp.cli.verbs import Verbs


@click.group(
    cls=Verbs,
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

    Exit status: 0 done, 1 refused or failed, 2 wrong usage or invalid configuration, 3 no engine answers,
    4 (import) something is left out.
    """
    context.ensure_object(Settings)
    if context.invoked_subcommand is None:
        from lbapp.cli.tui import tui

        context.invoke(tui)


def main() -> None:
    """Run the command line."""
    cli(obj=Settings(), prog_name="lbapp")
