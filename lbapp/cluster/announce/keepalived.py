"""The backend that tells a running keepalived.

Responsible for the track file, which keepalived watches, and for the FIFO on which it says what has become of its instances.
Knows nothing of why. A file, not a script: keepalived would start an interpreter every second, and would count rises and falls
again.

Invariants: the file has one number, written at one stroke; nothing is read from keepalived that it did not write by itself, so
that it may come and go; what one has said that is gone counts no more.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import anyio

from lbapp.cluster.announce.backend import BackendFailed, Found, Will
from lbapp.cluster.announce.decision import RouteState
from lbapp.cluster.announce.keepalived_text import INSTANCE, TRACKED, session_in
from lbapp.control.fleet import SessionReport
from lbapp.model.announce import AnnounceSettings

_READ_BYTES: Final = 65536
_LINE_BYTES_MAX: Final = 4096
_LISTEN_GAP_S: Final = 0.2
_NOT_THERE: Final[SessionReport] = {
    "name": INSTANCE,
    "state": "keepalived does not run, or has not opened the FIFO",
    "is_up": False,
    "since": "",
    "bfd": "",
}
_NOT_HEARD: Final[SessionReport] = {**_NOT_THERE, "state": "not heard of yet"}


class Keepalived:
    """A keepalived on this machine, whether it runs or not."""

    def __init__(self, settings: AnnounceSettings) -> None:
        self._track = Path(settings.keepalived.track_file)
        self._fifo = Path(settings.keepalived.fifo)
        self._fd = -1
        self._rest = b""
        self._is_there = False  # keepalived: it has the FIFO open
        self._row = _NOT_THERE

    @property
    def will(self) -> Will:
        """Write what takes the node out of the election."""
        return Will(str(self._track), text=_text(RouteState.WITHDRAWN))

    async def __aenter__(self) -> Self:
        self._open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        if self._fd >= 0:
            anyio.notify_closing(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _is_open(self) -> bool:
        """Say whether what is open is what stands there: a keepalived that has made the FIFO removes it when it ends."""
        try:
            return self._fd >= 0 and os.path.samestat(os.fstat(self._fd), self._fifo.stat())
        except OSError:
            return False

    def _open(self) -> None:
        try:
            for each in (self._track, self._fifo):
                each.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            if not self._fifo.exists():
                os.mkfifo(self._fifo, 0o600)
            if stat.S_ISFIFO(self._fifo.stat().st_mode):
                # Not for writing as well: its end is read while keepalived is not there, which may have been killed.
                self._fd = os.open(self._fifo, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            self._fd = -1  # `settle` says so, and tries again

    async def watch(self, wake: Callable[[], None]) -> None:
        """Notice that keepalived has said something."""
        while True:
            if self._fd >= 0 and self._is_there:
                with contextlib.suppress(anyio.ClosedResourceError):  # another has taken its place
                    await anyio.wait_readable(self._fd)
                wake()
            await anyio.sleep(_LISTEN_GAP_S)  # `settle` reads it

    async def settle(self, state: RouteState) -> Found:
        """Write the number of this state, where another stands, and take in what keepalived has said."""
        wanted = _text(state)
        try:
            if not self._track.exists() or self._track.read_bytes() != wanted.encode():
                self._write(wanted)
        except OSError as error:
            hint = "Give its folder to the user that runs `lbapp announce`"
            raise BackendFailed(f"the track file {self._track} cannot be written: {error.strerror}", hint) from error
        if not self._is_open():
            self._close()
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
        self._is_there = False
        try:
            while data := os.read(self._fd, _READ_BYTES):
                self._rest += data
        except BlockingIOError:
            self._is_there = True
        *lines, rest = self._rest.split(b"\n")
        self._rest = rest[-_LINE_BYTES_MAX:]
        for line in lines:
            found = session_in(line.decode(errors="replace"), time.strftime("%H:%M:%S"))
            if found is not None and found["name"] == INSTANCE:
                self._row = found
        if not self._is_there:
            self._row, self._rest = _NOT_THERE, b""
        elif self._row is _NOT_THERE:
            self._row = _NOT_HEARD


def _text(state: RouteState) -> str:
    return f"{TRACKED[state]}\n"
