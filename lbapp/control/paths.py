"""Where the control socket is.

Responsible for the default path and for what overrides it, or names another host. Knows nothing of sockets. Invariant:
engine, command line and TUI of one user agree without being told; the user whom the system gave its folders (a unit with
`User=`) is told by nothing but these folders, so that all that runs under that user finds the one engine.
"""

from __future__ import annotations

import os
from pathlib import Path

ENVIRONMENT = "LBAPP_SOCKET"
HOST = "LBAPP_HOST"
_RUN = Path("/run/lbapp")
_STATE = Path("/var/lib/lbapp")


def default_socket() -> Path:
    """Return $LBAPP_SOCKET, else the one in /run/lbapp for root and that folder's owner, else in the user's runtime folder."""
    named = os.environ.get(ENVIRONMENT)
    if named:
        return Path(named)
    if _is_the_systems(_RUN):
        return _RUN / "control.sock"
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/tmp/lbapp-{os.geteuid()}"
    return Path(runtime) / "lbapp" / "control.sock"


def default_state_dir() -> Path:
    """Return /var/lib/lbapp for root and that folder's owner, else the one in the user's state folder."""
    if _is_the_systems(_STATE):
        return _STATE
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "lbapp"


def _is_the_systems(folder: Path) -> bool:
    """Say whether this process runs for the whole system: as root, or as the user whom the folder was made for."""
    if os.geteuid() == 0:
        return True
    try:
        return folder.stat().st_uid == os.geteuid()
    except OSError:
        return False
