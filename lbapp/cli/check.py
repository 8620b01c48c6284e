"""`lbapp check`: validate a configuration file without an engine.

Responsible for printing every problem at once. Knows nothing of what is wrong with what. Invariant: exit status 2 when there
is a problem, 0 when there is none.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from lbapp.cli.context import EXIT_USAGE, Settings, json_option, reporting, say, say_json
from lbapp.model.entities import Configuration
from lbapp.model.errors import ConfigurationError


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@json_option
@click.pass_obj
def check(settings: Settings, file: Path) -> None:
    """Say whether a configuration file is valid, and everything that is wrong with it."""
    from lbapp.config.load import load_configuration

    with reporting():
        try:
            configuration = load_configuration(file)
        except ConfigurationError as error:
            if not settings.as_json:
                raise
            say_json({"valid": False, "problems": [asdict(problem) for problem in error.problems]})
            sys.exit(EXIT_USAGE)
        if settings.as_json:
            say_json({"valid": True, "problems": []})
        else:
            say(f"{file} is valid: {_counted(configuration)}")


def _counted(configuration: Configuration) -> str:
    tables = {
        "listener": configuration.listeners,
        "pool": configuration.pools,
        "server": configuration.servers,
    }
    return ", ".join(f"{len(found)} {name}{'' if len(found) == 1 else 's'}" for name, found in tables.items())
