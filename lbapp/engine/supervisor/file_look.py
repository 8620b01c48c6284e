"""The configuration file as it is on disk, beside what serves.

Responsible for reading it, whatever it says, and for the sentence that says why it is not what serves. Knows nothing of how a
configuration is applied. Invariants: looking never fails and never holds up the event loop; a file that has what was taken back
is told as that, for as long as it does.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from lbapp.config.load import read_text
from lbapp.control.changes import ConfigurationFile
from lbapp.engine.supervisor.configurations import REVERTED, digest_of
from lbapp.engine.supervisor.reload import Reloads
from lbapp.model.errors import ConfigurationError
from lbapp.model.file_digest import file_digest

_LOOK_INTERVAL_S: Final = 2.0


class FileLook:
    """Looks at the file of one engine. `why_other`: why it was not what serves when it was looked at last; empty: it was."""

    def __init__(self, reloads: Reloads) -> None:
        self.why_other = ""
        self._reloads = reloads
        self._seen: object = None

    async def run(self) -> None:
        """Look again and again, until cancelled. A file that has not been touched is not read."""
        while True:
            touched = await anyio.to_thread.run_sync(_touched, self._reloads.path)
            # Also what has become of a configuration: one may be taken back a moment after another serves.
            seen = touched, self._reloads.text, tuple(self._reloads.history())
            if seen != self._seen:
                self._seen = seen
                await self.read()
            await anyio.sleep(_LOOK_INTERVAL_S)

    async def read(self) -> ConfigurationFile:
        """Return the file as it is now, and what serves."""
        reloads, text, problem = self._reloads, None, ""
        try:
            text = await anyio.to_thread.run_sync(read_text, reloads.path)
        except ConfigurationError as error:
            problem = str(error)
        self.why_other = problem if text is None else self._why_other(text)
        return {
            "path": str(reloads.path),
            "text": text,
            "digest": None if text is None else file_digest(text.encode()),
            "problem": problem,
            "running_text": reloads.text,
            "running_number": 0 if reloads.applied is None else reloads.applied.number,
            "is_file_other_than_running": bool(self.why_other),
            "why_other": self.why_other,
        }

    def _why_other(self, text: str) -> str:
        reloads, applied = self._reloads, self._reloads.applied
        if applied is not None and applied.fleet and applied.of:
            serves = f"configuration {applied.fleet} of the fleet"
            if reloads.is_of(text):
                return f"{serves} serves; {reloads.path} is as it was when that was taken"
            return f"{reloads.path} was changed after {serves} was taken, and not reloaded"
        if reloads.is_of(text):
            return ""
        serves = "what serves" if reloads.applied is None else f"configuration {reloads.applied.number}, which serves"
        digest = digest_of(text)
        known = next((each for each in reversed(reloads.history()) if each.digest == digest), None)
        if known is not None and known.state == REVERTED:
            return f"{reloads.path} still has configuration {known.number}, which was taken back, and not {serves}"
        return f"{reloads.path} is not {serves}: it was changed, and not reloaded"


def _touched(path: Path) -> object:
    try:
        found = path.stat()
    except OSError as error:
        return error.errno
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode, os.access(path, os.R_OK)
