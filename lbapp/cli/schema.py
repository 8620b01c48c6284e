"""`lbapp schema`: the configuration file as a JSON schema.

Responsible for printing it. Knows nothing of what it says. Invariant: it is of this version of lbapp, and needs neither a file
nor an engine.
"""

from __future__ import annotations

import json

import click

from lbapp.cli.context import reporting, say


@click.command()
def schema() -> None:
    """Print the JSON schema of the configuration, for editors that complete and check TOML by it."""
    from lbapp.config.json_schema import json_schema

    with reporting():
        say(json.dumps(json_schema(), indent=2))
