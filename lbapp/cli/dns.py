"""`lbapp dns`: this node's records in DNS, as long as it is ready.

Responsible for its options; what does it is imported only when asked for. Knows nothing of how. Invariant: its exit status is the
command's.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from lbapp.cli.context import Settings, reporting, say, socket_option
from lbapp.control.paths import ENVIRONMENT


@click.command()
@click.option("-c", "--config", required=True, type=click.Path(path_type=Path), help="The file of lbapp dns.")
@click.option("--check", is_flag=True, help="Say whether the file is valid, and end.")
@socket_option
@click.pass_obj
def dns(settings: Settings, config: Path, check: bool) -> None:
    """Keep this node's addresses in a DNS zone while it is ready, until SIGTERM."""
    from lbapp.config.dns import load_dns

    settings.stay_here()
    with reporting():
        found = load_dns(config)
        if check:
            say(f"{config} is valid: {', '.join(found.addresses)} at {found.name}")
            return
        from lbapp.cluster.dns.main import run_dns

        named = os.environ.get(ENVIRONMENT)
        sys.exit(run_dns(found, settings.socket or (Path(named) if named else None)))
