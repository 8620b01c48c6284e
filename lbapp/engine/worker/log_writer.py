"""Writing lines where the access log goes, behind the data path's back.

Responsible for a thread that writes what is pending every LOG_WRITE_INTERVAL_S, for the bound on what is pending, for opening the
target anew, and for counting what could not be written. Knows nothing of what a line says.

Invariants: `add` never waits, whatever the target does; what is pending is bounded, and what is beyond that is dropped and
counted; a line is written whole, at one stroke with those around it, so that those of several workers do not mix in a file.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import stat
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from lbapp.model.access_log import AccessLog, LogTarget
from lbapp.model.limits import (
    FAULT_LOG_INTERVAL_S,
    LOG_END_TIMEOUT_S,
    LOG_PENDING_BYTES_MAX,
    LOG_WRITE_INTERVAL_S,
)

_SYSLOG_PRIORITY: Final = 16 * 8 + 6  # local0, info
_PIPE_BYTES: Final = 4096  # PIPE_BUF: what a pipe takes whole or not at all
_IDLE_ROUNDS: Final = 20  # without a line; from then on it looks seldom
_IDLE_INTERVAL_S: Final = 0.25
_CHUNK_LINES: Final = 512
log = logging.getLogger("lbapp.worker")


class LogWriter:
    """Writes lines by a thread of its own."""

    def __init__(self, settings: AccessLog) -> None:
        self._settings = settings
        self._turned_away = 0  # lines: counted by the data path alone
        self._failed = 0  # lines: counted by the thread alone
        self._pending: deque[str] = deque()
        self._added_bytes = 0  # written by the data path alone
        self._done_bytes = 0  # written by the thread alone
        self._is_to_reopen = False
        self._is_ending = threading.Event()
        self._write: Callable[[Sequence[str]], None] | None = None
        self._close: Callable[[], None] = lambda: None
        self._quiet_until = 0.0
        self._thread = threading.Thread(target=self._run, name="access log", daemon=True)
        self._thread.start()

    def add(self, line: str) -> None:
        """Have a line written soon, or drop it where too much is pending."""
        size = len(line)
        if self._added_bytes - self._done_bytes + size > LOG_PENDING_BYTES_MAX:
            self._turned_away += 1
            return
        self._added_bytes += size
        self._pending.append(line)

    @property
    def dropped(self) -> int:
        """How many lines were not written, and will not be."""
        return self._turned_away + self._failed

    def reopen(self) -> None:
        """Open the target anew before the next line: its file was moved away."""
        self._is_to_reopen = True

    def finish(self) -> None:
        """Have the thread write what is pending and end, without waiting for it."""
        self._is_ending.set()

    def end(self, timeout_s: float = LOG_END_TIMEOUT_S) -> None:
        """Write what is pending, for as long as that may take. What is left then is dropped."""
        self.finish()
        self._thread.join(timeout_s)
        self._turned_away += len(self._pending)

    # -- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        idle = 0
        while not self._is_ending.wait(LOG_WRITE_INTERVAL_S if idle < _IDLE_ROUNDS else _IDLE_INTERVAL_S):
            idle = 0 if self._pending else idle + 1
            self._write_pending()
        self._write_pending()
        self._close()

    def _write_pending(self) -> None:
        if self._is_to_reopen:
            self._is_to_reopen = False
            self._close()
            self._write = None
        while self._pending:
            lines = [self._pending.popleft() for _ in range(min(len(self._pending), _CHUNK_LINES))]
            try:
                if self._write is None:
                    self._write, self._close = _open(self._settings)
                self._write(lines)
            except OSError as error:
                self._say_failed(lines, error)
            self._done_bytes += sum(map(len, lines))

    def _say_failed(self, lines: Sequence[str], error: OSError) -> None:
        self._failed += len(lines)
        self._close()
        self._write = None
        now = time.monotonic()
        if now >= self._quiet_until:  # all are counted; few are told of, as this may be a full disk's doing
            self._quiet_until = now + 60 * FAULT_LOG_INTERVAL_S
            target = f"{self._settings.target.value} {self._settings.path}".strip()
            log.error("worker %d: cannot write the access log to %s: %s", os.getpid(), target, error.strerror or error)


def _open(settings: AccessLog) -> tuple[Callable[[Sequence[str]], None], Callable[[], None]]:
    """Return what writes lines and what closes it. Raises OSError."""
    if settings.target is LogTarget.SYSLOG:
        return _open_syslog(settings.path)
    if settings.target is LogTarget.STDOUT:
        return lambda lines: _write_in_pieces(sys.stdout.fileno(), lines), lambda: None
    fd = open_log_file(settings.path)
    write = _write_whole if stat.S_ISREG(os.fstat(fd).st_mode) else _write_in_pieces
    return lambda lines: write(fd, lines), lambda: os.close(fd)


def open_log_file(path: str) -> int:
    """Open a log's file to append to it, and make it where there is none. Raises OSError."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY, 0o640)


def _write_whole(fd: int, lines: Sequence[str]) -> None:
    _write_all(fd, "".join(lines).encode("ascii"))


def _write_in_pieces(fd: int, lines: Sequence[str]) -> None:
    """Write so that a pipe that several workers write to gets whole lines."""
    piece: list[str] = []
    size = 0
    for line in lines:
        if size and size + len(line) > _PIPE_BYTES:
            _write_whole(fd, piece)
            piece, size = [], 0
        piece.append(line)
        size += len(line)
    _write_whole(fd, piece)


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def _open_syslog(path: str) -> tuple[Callable[[Sequence[str]], None], Callable[[], None]]:
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    try:
        opened.connect(path)
    except OSError:
        opened.close()
        raise
    start = f"<{_SYSLOG_PRIORITY}>"
    pid = os.getpid()

    def write(lines: Sequence[str]) -> None:
        at = time.strftime("%b %e %H:%M:%S")
        for line in lines:
            opened.send(f"{start}{at} lbapp[{pid}]: {line}".rstrip("\n").encode("ascii"))

    def close() -> None:
        with contextlib.suppress(OSError):
            opened.close()

    return write, close
