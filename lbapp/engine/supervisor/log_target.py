"""Whether the access log can be written, before anything depends on it.

Responsible for one look at the target. Knows nothing of lines: workers write them. Invariant: what cannot be opened is said at
the start or at the reload, in one sentence, and not found out by lines that are lost.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from lbapp.model.access_log import AccessLog, LogTarget
from lbapp.model.errors import StartError


def check_log(settings: AccessLog) -> None:
    """Raise StartError for a file that cannot be opened, and for a socket of syslog that is not there; make the file."""
    path = Path(settings.path)
    if settings.target is LogTarget.SYSLOG and not path.is_socket():
        raise StartError(
            f"cannot log to syslog: there is no socket {path}", "Start syslog or journald, or name its socket"
        )
    if settings.target is not LogTarget.FILE:
        return
    try:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
        os.close(os.open(path, flags, 0o640))
    except OSError as error:
        if error.errno == errno.ENXIO and path.is_fifo():
            return  # its reader may come later
        hint = f"Create {path.parent} first" if error.errno == errno.ENOENT else f"See: ls -ld {path.parent} {path}"
        raise StartError(f"cannot write the access log to {path}: {error.strerror}", hint) from error
