"""`lbapp doctor`: whether this machine is fit for a configuration.

Responsible for printing what is found. Knows nothing of what is looked at. Invariant: it changes nothing; exit status 1 when
something is BAD, 2 for an invalid file, else 0.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lbapp.cli.context import EXIT_FAILED, Settings, json_option, reporting, say, say_json, socket_option
from lbapp.control.paths import ENVIRONMENT

if TYPE_CHECKING:
    from lbapp.doctor.findings import Finding


@click.command()
@click.argument("file", type=click.Path(path_type=Path), default=Path("/etc/lbapp/lbapp.toml"))
@click.option("--servers", is_flag=True, help="Connect to every server, too.")
@json_option
@socket_option
@click.pass_obj
def doctor(settings: Settings, file: Path, servers: bool) -> None:
    """Say whether limits, ports, folders, names, certificates, clock and store of this machine are fit for FILE."""
    import os

    from lbapp.config.load import load_configuration
    from lbapp.doctor.findings import Verdict
    from lbapp.doctor.look import examine
    from lbapp.doctor.unit import read_unit

    with reporting():
        configuration = load_configuration(file)
        unit = read_unit()
        unit = None if unit is None or Path(unit.file).resolve() != file.resolve() else unit
        named = settings.socket is not None or ENVIRONMENT in os.environ
        of_file = configuration.engine.control_socket
        default = Path(of_file) if of_file else None if unit is None else unit.control_socket
        control = settings.socket_path if named or default is None else default
        found = list(examine(configuration, file, control, unit=unit, with_servers=servers))
        if settings.as_json:
            say_json([asdict(each) for each in found])
        else:
            say("\n".join(map(_line, found)))
        sys.exit(EXIT_FAILED if any(each.verdict is Verdict.BAD for each in found) else 0)


def _line(finding: Finding) -> str:
    line = f"{finding.verdict.value:<4} {finding.check}: {finding.found}"
    if finding.wanted:
        line += f"; it should be {finding.wanted}"
    if finding.why:
        line += f": {finding.why}"
    return f"{line}\n       {finding.command}" if finding.command else line
