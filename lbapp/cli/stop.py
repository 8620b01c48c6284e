"""`lbapp stop`: drain the node, then stop the engine.

Responsible for waiting until the engine is gone. Knows nothing of how it drains. Invariant: when it returns with 0,
the engine that was asked has left; a new engine on the same path does not count as the old one.
"""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Final

import click

from lbapp.cli.context import Settings, duration_option, engine, say, socket_option
from lbapp.cli.format import duration
from lbapp.model.errors import LbappError

_LOOK_INTERVAL_S: Final = 0.05
_GRACE_S: Final = 10.0  # for an engine to leave after everything has been closed by force


@click.command()
@duration_option("--timeout", "Close by force what is open after this (default: limits.stop_timeout).")
@socket_option
@click.pass_obj
def stop(settings: Settings, timeout: float | None) -> None:
    """Drain the node, then stop the engine."""
    path = settings.socket_path
    with engine(settings) as client:
        pid = client.status()["engine"]["pid"]
        known = _identity(path)
        client.stop(timeout)
        give_up_at_s = None if timeout is None else time.monotonic() + timeout + _GRACE_S
        while known is not None and _identity(path) == known and _is_answering(path):
            if give_up_at_s is not None and time.monotonic() > give_up_at_s:
                assert timeout is not None
                left = duration(timeout + _GRACE_S)
                raise LbappError(f"the engine (pid {pid}) is still there after {left}", "See: lbapp events")
            time.sleep(_LOOK_INTERVAL_S)
        say(f"stopped (pid {pid})")


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells this socket file from a later one under the same name; None when there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_ctime_ns


def _is_answering(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except TimeoutError:
            return True
        except OSError:
            return False
    return True
