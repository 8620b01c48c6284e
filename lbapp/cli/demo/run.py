"""`lbapp demo`: the front of the demo.

Responsible for starting the keeper and for showing its engine: the console on a terminal, lines without one. Knows
nothing of what the keeper starts. Invariant: however this process ends, the keeper's input ends with it, and so does
the demo.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, cast

from lbapp.cli.context import EXIT_FAILED, complain, has_terminal, say
from lbapp.cli.format import count, milliseconds, share
from lbapp.control.client import ControlClient
from lbapp.control.messages import Status
from lbapp.model.errors import EngineUnreachable, LbappError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lbapp.tui.dressed import Look

_LINE_INTERVAL_S: Final = 2.0
_KEEPER_TIMEOUT_S: Final = 15.0
_ENDS: Final = (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)


def _ended(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def run_demo(*, headless: bool, duration_s: float | None, look: Callable[[], Look]) -> int:
    """Run the demo until the console is left, a signal, or `duration_s`; return the exit status."""
    for number in _ENDS:
        signal.signal(number, _ended)
    # Out of reach of the terminal's signals: the keeper clears away after whoever looks is gone.
    keeper = subprocess.Popen(
        [sys.executable, "-m", "lbapp.cli.demo.keeper"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        found = _started(keeper)
        if duration_s is not None:  # of what there is to see: starting takes as long as the machine needs
            signal.setitimer(signal.ITIMER_REAL, duration_s)
        return _show(found, look, is_headless=headless or not has_terminal())
    except KeyboardInterrupt:
        return 0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number in (*_ENDS, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        cast(Any, keeper.stdin).close()
        keeper.wait(_KEEPER_TIMEOUT_S)


def _started(keeper: subprocess.Popen[bytes]) -> dict[str, Any]:
    line = cast(Any, keeper.stdout).readline()
    found: dict[str, Any] = json.loads(line) if line else {"error": "the demo's keeper died"}
    if "error" in found:
        raise LbappError(f"the demo could not start: {found['error']}")
    return found


def _show(found: dict[str, Any], look: Callable[[], Look], *, is_headless: bool) -> int:
    socket = Path(found["socket"])
    if not is_headless:
        from lbapp.tui.app import run_console

        return run_console(socket, look=look())
    say(_introduction(found))
    try:
        with ControlClient(socket) as client:
            while True:
                time.sleep(_LINE_INTERVAL_S)
                say(_line(client.status()))
    except EngineUnreachable:
        complain(LbappError("the demo's engine was stopped, so the demo ends"))
        return EXIT_FAILED


def _introduction(found: dict[str, Any]) -> str:
    command = f"{_command()} --socket {found['socket']}"
    return (
        f"HTTP on {found['web']}, TCP echo on {found['echo']}. In another terminal:\n"
        f"  curl -i http://{found['web']}/hello\n"
        f"  {command}\n"
        f"  {command} status\n"
        f"  {command} drain app/slow --wait\n"
        f"  {command} ready app/slow\n"
        f"  {command} events -f\n"
        "Ctrl-C ends the demo and all it started."
    )


def _command() -> str:
    """Return how this lbapp is called from here."""
    script = Path(sys.executable).with_name("lbapp")
    if shutil.which("lbapp") or not script.exists():
        return "lbapp" if shutil.which("lbapp") else f"{sys.executable} -m lbapp"
    return str(script.relative_to(Path.cwd()) if script.is_relative_to(Path.cwd()) else script)


def _line(status: Status) -> str:
    web = status["listeners"][0]
    total = web["latency"]["total"]
    others = [
        f"{server['id']} {server['health'] if server['admin'] == 'ready' else server['admin']}"
        for pool in status["pools"]
        for server in pool["servers"]
        if not server["is_eligible"]
    ]
    return (
        f"{count(web['requests_per_s'])} req/s, {share(web['error_rate'])} errors, "
        f"p50 {milliseconds(total['p50'])}, p99 {milliseconds(total['p99'])}; "
        + (", ".join(others) or "all servers eligible")
    )
