"""A stream to systemd's journal, as far as who writes to it can tell: a socket, and a variable with its number."""

from __future__ import annotations

import os
import socket
from typing import Self


class JournalStream:
    """The two ends. `environment`: what a process is to be given whose stderr is `end` (systemd.exec(5))."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.end = self._theirs.fileno()
        found = os.fstat(self.end)
        self.environment = {**os.environ, "JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        self._text = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ours.close()
        self._theirs.close()

    def lines(self) -> list[str]:
        """Return the lines that were written up to now."""
        self._ours.setblocking(False)
        try:
            while data := self._ours.recv(65536):
                self._text += data.decode()
        except BlockingIOError:
            pass
        return self._text.splitlines()
