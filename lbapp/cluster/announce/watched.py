"""The process that withdraws where this one has died, or hangs.

Responsible for there being one (warden.py), and for telling it that the loop turns. Knows nothing of daemons: a backend has a
will.

Invariants: one that ends is started again, and holds nothing up; a pipe that nobody reads holds the loop up as little.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Final

import anyio

from lbapp.cluster.announce import warden
from lbapp.cluster.announce.backend import Will
from lbapp.process import goes_to_journal

_log: Final = logging.getLogger("lbapp.announce")
_AGAIN_S: Final = 1.0
_LAST_S: Final = 1.0  # until it has seen that there is nothing to do any more


@asynccontextmanager
async def watched(will: Will | None, patience_s: float) -> AsyncIterator[Callable[[], None]]:
    """Have a will carried out when this process has ended, or has not called what is given for so long; None: there is none."""
    if will is None:
        yield _nothing
        return
    own = _Warden(will, patience_s)
    async with anyio.create_task_group() as tasks:
        own.start()
        tasks.start_soon(own.keep)
        try:
            yield own.beat
        finally:
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await own.end()


def _nothing() -> None:
    """Nobody waits for it."""


class _Warden:
    """One warden after the other."""

    def __init__(self, will: Will, patience_s: float) -> None:
        given = {name: value for name, value in asdict(will).items() if value}
        self._command = [sys.executable, "-I", "-S", warden.__file__, json.dumps(given), f"{patience_s:g}"]
        self._command += ["journal"] if goes_to_journal() else []
        # None of an event loop's, which would kill it at its own end.
        self._process: subprocess.Popen[bytes] | None = None
        self._fd = -1

    def start(self) -> None:
        """Start one, in place of one that has ended."""
        self._close()
        theirs, self._fd = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._fd, False)
        try:
            self._process = subprocess.Popen(self._command, stdin=theirs, start_new_session=True)
        except OSError as error:
            self._process = None
            _log.error("without a warden: %s cannot be started: %s", self._command[0], error.strerror or error)
        finally:
            os.close(theirs)

    async def keep(self) -> None:
        """Start another one whenever one has ended, until cancelled."""
        while True:
            if self._process is not None:
                await self._ended(self._process)
                _log.warning("the warden has ended with status %s: another one is started", self._process.poll())
            await anyio.sleep(_AGAIN_S)
            self.start()

    @staticmethod
    async def _ended(process: subprocess.Popen[bytes]) -> None:
        held = os.pidfd_open(process.pid)
        try:
            await anyio.wait_readable(held)
            process.wait()
        finally:
            os.close(held)

    def beat(self) -> None:
        """Say that the loop turns."""
        with contextlib.suppress(BlockingIOError, BrokenPipeError):  # it is busy, or `keep` starts another one
            os.write(self._fd, b".")

    async def end(self) -> None:
        """Let it go. One that has something to do still is left to it."""
        self._close()
        if self._process is not None and self._process.poll() is None:
            with anyio.move_on_after(_LAST_S):
                await self._ended(self._process)

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
