"""What a service manager hears of a process whose unit has a watchdog (sd_notify, WatchdogSec)."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Self


class Watchdog:
    """Hears what is said. `environment`: of the process; `patience_s`: so long it may be silent."""

    def __init__(self, folder: Path, patience_s: float) -> None:
        self.folder, self._patience_s = folder, patience_s
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(folder / "n.sock"))
        self.environment = {"NOTIFY_SOCKET": str(folder / "n.sock"), "WATCHDOG_USEC": str(int(patience_s * 1e6))}

    def hear(self, timeout_s: float) -> str:
        """Return what is said next; empty: nothing, for so long."""
        self._socket.settimeout(timeout_s)
        try:
            return self._socket.recv(1000).decode()
        except TimeoutError:
            return ""

    def wait_for_silence(self) -> None:
        """Return when the process has said for longer than it may be silent that it does not turn any more."""
        while self.hear(self._patience_s) == "WATCHDOG=1":
            pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
