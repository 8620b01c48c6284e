"""The backend that tells a running keepalived.

Responsible for the track file, which keepalived watches, and for the FIFO on which it says what has become of its instances.
Knows nothing of why. A file, not a script: keepalived would start an interpreter every second, and would count rises and falls
again.

Invariants: the file has one number, written at one stroke; nothing is read from keepalived that it did not write by itself, so
that it may come and go.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import anyio

from lbapp.cluster.announce.backend import BackendFailed, Found
from lbapp.cluster.announce.decision import RouteState
from lbapp.cluster.announce.keepalived_text import INSTANCE, TRACKED, session_in
from lbapp.control.fleet import SessionReport
from lbapp.model.announce import AnnounceSettings

_READ_BYTES: Final = 65536
_LINE_BYTES_MAX: Final = 4096
_LISTEN_GAP_S: Final = 0.2


class Keepalived:
    """A keepalived on this machine, whether it runs or not."""

    def __init__(self, settings: AnnounceSettings) -> None:
        self._track = Path(settings.keepalived.track_file)
        self._fifo = Path(settings.keepalived.fifo)
        self._fd = -1
        self._rest = b""
        self._row: SessionReport = {
            "name": INSTANCE,
            "state": "not heard of yet",
            "is_up": False,
            "since": "",
            "bfd": "",
        }

    async def __aenter__(self) -> Self:
        self._open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> None:
        try:
            if not self._fifo.exists():
                os.mkfifo(self._fifo, 0o600)
            if stat.S_ISFIFO(self._fifo.stat().st_mode):
                # For writing as well: else its end would be read whenever keepalived is not there.
                self._fd = os.open(self._fifo, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            self._fd = -1  # `settle` says so, and tries again

    async def watch(self, wake: Callable[[], None]) -> None:
        """Notice that keepalived has said something."""
        while True:
            if self._fd >= 0:
                await anyio.wait_readable(self._fd)
                wake()
            await anyio.sleep(_LISTEN_GAP_S)  # `settle` reads it

    async def settle(self, state: RouteState) -> Found:
        """Write the number of this state, where another stands, and take in what keepalived has said."""
        wanted = f"{TRACKED[state]}\n"
        try:
            if not self._track.exists() or self._track.read_text() != wanted:
                self._write(wanted)
        except OSError as error:
            hint = "Give its folder to the user that runs `lbapp announce`"
            raise BackendFailed(f"the track file {self._track} cannot be written: {error.strerror}", hint) from error
        if self._fd < 0:
            self._open()
        if self._fd < 0:
            hint = "Remove what is there, and give its folder to the user that runs `lbapp announce`"
            raise BackendFailed(f"{self._fifo} cannot be used as the FIFO of keepalived", hint)
        self._take_in()
        return Found((self._row,))

    def _write(self, text: str) -> None:
        # In place: keepalived watches this very file. So few bytes are written whole.
        fd = os.open(self._track, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.ftruncate(fd, 0)
            os.write(fd, text.encode())
        finally:
            os.close(fd)

    def _take_in(self) -> None:
        try:
            while data := os.read(self._fd, _READ_BYTES):
                self._rest += data
        except BlockingIOError:
            pass
        *lines, rest = self._rest.split(b"\n")
        self._rest = rest[-_LINE_BYTES_MAX:]
        for line in lines:
            found = session_in(line.decode(errors="replace"), time.strftime("%H:%M:%S"))
            if found is not None and found["name"] == INSTANCE:
                self._row = found
