"""Events on disk: what happened before this engine, and what it adds.

Responsible for one file of JSON lines and the one before it, of limited size together, for reading the last of them at the
start and writing each new one as it happens. Knows nothing of what an event means.

Invariants: nothing that is read or cannot be written keeps the engine from anything; a line that is torn or damaged is passed
over; the numbers of events go on where they were.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.to_thread

from lbapp.control.messages import Event
from lbapp.engine.supervisor.events import Events
from lbapp.model.limits import EVENT_FILE_BYTES_MAX, EVENTS_MAX

_FIELDS: Final = frozenset(Event.__annotations__)
_GATHER_S: Final = 0.02  # what happens within that is written together
_log = logging.getLogger("lbapp")


class EventLog:
    """The events of one engine on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._is_failing = False
        self._is_paused = False  # another engine writes
        self._written = 0  # the number of the last event on disk

    @property
    def _before(self) -> Path:
        return self.path.with_name(self.path.name + ".1")

    def read(self) -> list[Event]:
        """Return the last EVENTS_MAX events, in their order; none where there is no file that can be read."""
        found: dict[int, Event] = {}
        for path in (self._before, self.path):
            try:
                data = path.read_bytes()
            except OSError:
                continue
            found.update({event["seq"]: event for event in _events_in(data)})
        self._written = max(found, default=0)
        return [found[seq] for seq in sorted(found)][-EVENTS_MAX:]

    async def run(self, events: Events) -> None:
        """Write every event that is not on disk, until the events end; what is left then is written last."""
        async for _ in events.follow(self._written):
            await anyio.sleep(_GATHER_S)
            await anyio.to_thread.run_sync(self.write, events.after(self._written))

    def write(self, events: Sequence[Event]) -> None:
        """Write those that are not on disk. What cannot be written is tried again with the next ones."""
        new = [event for event in events if event["seq"] > self._written]
        if not new or self._is_paused:
            return
        try:
            self._append(new)
        except OSError as error:
            if not self._is_failing:
                _log.warning("events are not kept on disk: %s: %s", self.path, error.strerror or error)
            self._is_failing = True
            return
        self._is_failing = False
        self._written = new[-1]["seq"]

    def pause(self, events: Events) -> None:
        """Write what there is, and nothing more until `go_on`: another engine is about to write here."""
        self.write(events.after(self._written))
        self._is_paused = True

    def go_on(self) -> None:
        """Write again; what came in between with the next event."""
        self._is_paused = False

    def _append(self, events: Sequence[Event]) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lines = "".join(json.dumps(event, separators=(",", ":")) + "\n" for event in events).encode()
        with contextlib.suppress(FileNotFoundError):
            if self.path.stat().st_size + len(lines) > EVENT_FILE_BYTES_MAX:
                self.path.replace(self._before)
        with self.path.open("ab", buffering=0) as file:
            end = file.tell()
            if file.write(lines) != len(lines):
                file.truncate(end)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _events_in(data: bytes) -> Iterator[Event]:
    for line in data.split(b"\n"):
        try:
            read: Any = json.loads(line)
        except ValueError:
            continue
        if isinstance(read, dict) and set(read) == _FIELDS and isinstance(read["seq"], int) and read["seq"] > 0:
            event: Any = read
            yield event
