"""`lbapp run`: the headless engine in the foreground.

Responsible for reading the configuration, for the log, and for turning errors into sentences and exit
statuses. Knows nothing of how the engine works. Invariant: 0 after a clean stop, 1 when it could not start or an error of its own
has ended it, 2 for an invalid configuration.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import anyio

from lbapp.config.load import read_configuration
from lbapp.control.paths import default_socket
from lbapp.engine.supervisor.handover import HandoverFailed, line_from_environment
from lbapp.engine.supervisor.run import Start, run
from lbapp.model.entities import Configuration
from lbapp.model.errors import ConfigurationError, StartError
from lbapp.model.fleet import FleetMaker
from lbapp.model.limits import UPGRADE_STEP_TIMEOUT_S
from lbapp.process import begin_log, for_stderr, name_process


def run_engine(path: Path, socket_override: Path | None, make_fleet: FleetMaker) -> int:
    """Run the engine until it is stopped.

    Return the exit status. `socket_override` goes before what the file says. `make_fleet` is called where there is a `[cluster]`.
    """
    name_process("lbapp")
    begin_log("lbapp", "the engine; its workers finish what they have")
    line = line_from_environment(os.environ, UPGRADE_STEP_TIMEOUT_S)
    try:
        text, configuration = read_configuration(path)
        control_path = _control_path(configuration, socket_override)
        anyio.run(run, Start(path.absolute(), text, configuration, control_path, line, make_fleet))
    except (ConfigurationError, StartError, HandoverFailed) as error:
        sys.stderr.write(f"{for_stderr(str(error))}\n")
        if line is not None:
            with contextlib.suppress(HandoverFailed):
                line.say("failed", reason=str(error))
        return 2 if isinstance(error, ConfigurationError) else 1
    return 0


def _control_path(configuration: Configuration, socket_override: Path | None) -> Path:
    if socket_override is not None:
        return socket_override
    if configuration.engine.control_socket:
        return Path(configuration.engine.control_socket)
    return default_socket()
