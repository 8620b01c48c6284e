"""The demo's keeper: starts servers, engine and traffic, and clears all of it away.

Responsible for the processes and the folder of one demo. It is a process of its own because it has to outlive
whoever looks: when its standard input ends, for whatever reason, it stops what it started and removes the folder.
Each process it starts has a pipe from it as standard input and ends with that, so a killed keeper leaves nothing
either; the folder is then removed by the engine's process. Prints one line of JSON: where everything is, or
{"error": sentence}.

Invariant: what it started is gone before it is.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, Final

from lbapp.cli.demo.configuration import configuration
from lbapp.control.client import ControlClient
from lbapp.control.messages import Status
from lbapp.model.errors import EngineUnreachable

_START_TIMEOUT_S: Final = 20.0
_STOP_TIMEOUT_S: Final = 5.0


def _start(owned: ExitStack, log: IO[str], *arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    owned.callback(_stop, process)
    return process


def _stop(process: subprocess.Popen[str]) -> None:
    with process:
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait_until_serving(engine: subprocess.Popen[str], socket: Path, log: Path) -> Status:
    give_up_at_s = time.monotonic() + _START_TIMEOUT_S
    with ControlClient(socket) as client:
        while engine.poll() is None and time.monotonic() < give_up_at_s:
            try:
                return client.status()
            except EngineUnreachable:
                time.sleep(0.02)
    raise failure_in(log, "the engine does not answer")


class ChildFailed(Exception):
    """Something the demo needs did not start."""


def failure_in(log: Path, otherwise: str) -> ChildFailed:
    """Return the last line of the log as the reason, and put what stands above it on stderr: the log is removed."""
    *above, last = log.read_text().splitlines() or [otherwise]
    sys.stderr.write("".join(f"{line}\n" for line in above))
    return ChildFailed(last)


def _keep(owned: ExitStack) -> dict[str, str]:
    """Start everything; return where it is. Raises ChildFailed."""
    folder = Path(tempfile.mkdtemp(prefix="lbapp-demo-"))
    owned.callback(shutil.rmtree, folder, ignore_errors=True)
    log_path = folder / "demo.log"
    log = owned.enter_context(log_path.open("w"))
    servers = _start(owned, log, "lbapp.cli.demo.servers")
    answer = _read_line(servers, log_path)
    (folder / "lbapp.toml").write_text(configuration(json.loads(answer), str(folder)))
    socket = folder / "control.sock"
    engine = _start(owned, log, "lbapp.cli.demo.engine", str(folder))
    status = _wait_until_serving(engine, socket, log_path)
    binds = {listener["name"]: listener["bind"][0] for listener in status["listeners"]}
    _start(owned, log, "lbapp.cli.demo.traffic", binds["web"], binds["echo"])
    return {"socket": str(socket), "log": str(log_path), **binds}


def _read_line(process: subprocess.Popen[str], log: Path) -> str:
    line: str = process.stdout.readline() if process.stdout else ""
    if not line:
        raise failure_in(log, "a process ended at once")
    return line


def _say(found: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Keep a demo until standard input ends."""
    with ExitStack() as owned:
        try:
            _say(_keep(owned))
        except ChildFailed as error:
            _say({"error": str(error)})
            return
        sys.stdin.read()


if __name__ == "__main__":
    main()
