"""Where the next engine goes on with the drain of the node, on disk.

Responsible for the shape of that, for one small file in the state folder while the node drains, and for none when it does not.
Knows nothing of what the steps are for. That the node drains at all stands in the journal.

Invariants: what is read is what was written whole; a disk that takes nothing stops no drain, and leaves nothing behind that is
older than what is true; whatever the file is, the engine starts.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any, Final, Literal, TypedDict

from lbapp.control.shapes import check
from lbapp.control.state_file import replace_file

_BYTES_MAX: Final = 1024 * 1024


class LeftOff(TypedDict):
    """A drain at the moment in which an engine leaves it to the next. Times in Unix seconds.

    `wished_at`: of the action that wants it, by which that is known again; `asked_at`: when clients were asked to leave, since
    when its timeout counts, and before that when it was begun. `has_drained`, `has_closed`: what was said and done once already.
    """

    step: Literal["dns", "clients", "routes", "serving", "drained"]
    since: float
    wished_at: float
    step_since: float
    asked_at: float
    timeout_s: float
    then_stop: bool
    has_drained: bool
    has_closed: bool


class Standing(TypedDict):
    """What an engine leaves to the next. `reports`: the last of routes and records, by who told them."""

    drain: LeftOff | None
    reports: dict[str, Any]


def standing_of(value: object) -> Standing | None:
    """Return what another engine has left, maybe of another version; None: it is nothing that this one understands."""
    if not isinstance(value, dict):
        return None
    drain, reports = value.get("drain"), value.get("reports")
    try:
        if drain is not None:
            check(drain, LeftOff, "it")
    except ValueError:
        return None
    return {"drain": drain, "reports": reports if isinstance(reports, dict) else {}}


class KeptDrain:
    """The file of one engine. `path` None: nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._written: Standing | None = None
        self._has_looked = self._is_paused = False
        self._writing = threading.Lock()  # a writer of whom nobody waits any more may have the disk still

    def read(self) -> Standing | None:
        """Return what the engine before has left; None: it left nothing that can be read."""
        try:
            if self.path is None:
                return None
            with self.path.open("rb") as file:
                return standing_of(json.loads(file.read(_BYTES_MAX)))
        except (OSError, ValueError, RecursionError):
            return None

    def write(self, standing: Standing) -> None:
        """Have the file say this, or be gone where the node does not drain. It may take as long as the disk does.

        Raises OSError, and nothing is left then: what was there before is true no more.
        """
        with self._writing:
            if self.path is None or self._is_paused or (self._has_looked and standing == self._written):
                return
            self._has_looked = False
            try:
                if standing["drain"] is None:
                    self.path.unlink(missing_ok=True)
                else:
                    replace_file(self.path, json.dumps(standing, separators=(",", ":")).encode())
            except OSError:
                self._forget(self.path)
                raise
            self._has_looked, self._written = True, standing

    def pause(self) -> None:
        """Write nothing more until `go_on`: another engine is about to write here. What is being written is first."""
        with self._writing:
            self._is_paused = True

    def go_on(self) -> None:
        """Write again, whatever another engine has written."""
        self._is_paused = self._has_looked = False

    @staticmethod
    def _forget(path: Path) -> None:
        for each in (path, path.with_name(path.name + ".new")):
            try:
                each.unlink(missing_ok=True)
            except OSError:
                return  # what cannot be removed could not be written either
