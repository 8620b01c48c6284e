"""What a process of lbapp is to the system around it: its name, and its log on stderr.

Responsible for the name that the kernel has for it, for how a line of its log begins, and for what is said when an error that
nobody foresaw ends it. Knows nothing of what the process does.

Invariants: in systemd's journal each line has its priority, also those of a traceback, and nowhere else has one (sd-daemon(3),
JOURNAL_STREAM in systemd.exec(5)); where the system does not let a process name itself, it goes on under the name that it has.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final

_NAME: Final = Path("/proc/self/comm")
# Of syslog(3), for all that is as bad as a level or worse.
_PRIORITIES: Final = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG: Final = 7
_log: Final = logging.getLogger("lbapp")


def name_process(name: str) -> None:
    """Have ps, top and pgrep show this process by a name of up to 15 letters, however it was started.

    What is run as a script has the name of the script; an engine that another one has started, or a worker, that of Python.
    """
    with suppress(OSError):  # without /proc it keeps the name that it has
        _NAME.write_text(name)


def begin_log(name: str, what: str) -> None:
    """Write the log to stderr, each line with `name`, process and level.

    `what` ends with an error that nobody foresaw: the log has it then, in place of what Python would print.
    """
    form = f"{name}[%(process)d] %(levelname)s %(message)s"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_WithPriority(form) if goes_to_journal() else logging.Formatter(form))
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)

    def say(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        sentence = "an error in lbapp itself ends %s. Please report what follows"
        _log.critical(sentence, what, exc_info=(kind, error, trace))

    sys.excepthook = say


def for_stderr(text: str, level: int = logging.ERROR) -> str:
    """Return what is to be written to stderr beside the log: to the journal each line has the priority of the level."""
    return _marked(text, level) if goes_to_journal() else text


def goes_to_journal() -> bool:
    """Say whether stderr is the stream to the journal that systemd has given to this process."""
    try:
        device, inode = map(int, os.environ.get("JOURNAL_STREAM", "").split(":"))
        found = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):  # no such variable, no stderr, or one that is no file
        return False
    return (found.st_dev, found.st_ino) == (device, inode)


class _WithPriority(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return _marked(super().format(record), record.levelno)


def _marked(text: str, level: int) -> str:
    priority = next((each for least, each in _PRIORITIES if level >= least), _DEBUG)
    return "\n".join(f"<{priority}>{line}" for line in text.split("\n"))
