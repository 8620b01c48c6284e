"""Where the control socket is.

Responsible for the default path and for what overrides it, or names another host. Knows nothing of sockets. Invariant:
engine, command line and TUI of one user agree without being told.
"""

from __future__ import annotations

import os
from pathlib import Path

ENVIRONMENT = "LBAPP_SOCKET"
HOST = "LBAPP_HOST"


def default_socket() -> Path:
    """Return $LBAPP_SOCKET, else /run/lbapp/control.sock for root, else the one in the user's runtime folder."""
    named = os.environ.get(ENVIRONMENT)
    if named:
        return Path(named)
    if os.geteuid() == 0:
        return Path("/run/lbapp/control.sock")
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/tmp/lbapp-{os.geteuid()}"
    return Path(runtime) / "lbapp" / "control.sock"


def default_state_dir() -> Path:
    """Return /var/lib/lbapp for root, else the one in the user's state folder."""
    if os.geteuid() == 0:
        return Path("/var/lib/lbapp")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "lbapp"
