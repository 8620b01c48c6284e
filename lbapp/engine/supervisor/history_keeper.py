"""Keeping moments: on disk, and in memory while the disk takes none.

Responsible for the one thread in which moments are put into bytes, written and read, for trying again, and for saying so. Lasts
as long as the engine: generations come and go. Knows nothing of what is counted or of the layout of the file.

Invariants: the event loop never waits for the disk; whatever becomes of the file, nothing else is kept from anything; what waits
in memory is bounded by the time that each ring is for.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from lbapp.control.recall import Past
from lbapp.engine.supervisor.events import Events, Signal
from lbapp.engine.supervisor.history_file import HistoryFile, Kept
from lbapp.model.amounts import Amounts, Subject
from lbapp.model.history import Moment, Node, Table, encode_moment, rows_of, table_number
from lbapp.model.history_file import MINUTES, SECONDS, Frame, FrameKind, Ring
from lbapp.model.limits import HISTORY_RETRY_S

_LENGTHS: Final = (SECONDS, MINUTES)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A moment as it was counted. `at` in Unix seconds, at its end."""

    ring: Ring
    at: float
    seconds: float
    node: Node
    table: Table
    counted: Mapping[Subject, Amounts]
    in_flight: Mapping[Subject, int]


class HistoryKeeper:
    """The history of one engine. `keep`, `pause` and `go_on` belong to the event loop; the file to the thread."""

    def __init__(self, path: Path, events: Events) -> None:
        self._file = HistoryFile(path)
        self._events = events
        self._new: deque[Recorded] = deque()  # what the event loop adds and the thread takes
        self._heard = Signal()
        self._thread = anyio.CapacityLimiter(1)
        self._is_paused = False
        # What follows is the thread's.
        self._waiting: tuple[deque[Kept], ...] = tuple(deque(maxlen=length) for length in _LENGTHS)
        self._tables: dict[Table, bytes] = {}
        self._try_at = 0.0  # monotonic
        self._is_failing = False

    def keep(self, recorded: Recorded) -> None:
        """Keep a moment; returns at once."""
        if not self._is_paused:
            self._new.append(recorded)
            self._heard.fire()

    async def run(self) -> None:
        """Write what is to be kept, until cancelled."""
        while True:
            if not self._new:
                await self._heard.wait()
            await self._in_thread()

    async def _in_thread(self) -> None:
        await anyio.to_thread.run_sync(self._take, limiter=self._thread)
        self._say()

    def _say(self) -> None:
        said, self._file.said = self._file.said, []
        for kind, message in said:
            self._events.add(kind, "node", message)

    def finish(self) -> None:
        """Write what is left and let go of the file, when nothing runs any more. The disk may make this wait."""
        self._take()
        self._file.close()
        self._say()

    async def pause(self) -> None:
        """Write what there is and let go of the file, until `go_on`: another engine is about to write it."""
        self._is_paused = True
        await self._in_thread()
        await anyio.to_thread.run_sync(self._file.close, limiter=self._thread)

    def go_on(self) -> None:
        """Keep moments again."""
        self._is_paused = False

    async def past(self) -> Past:
        """Return all that is kept."""
        return await anyio.to_thread.run_sync(self._read, limiter=self._thread)

    async def file_bytes(self) -> bytes | None:
        """Return the file as it is; None where none can be read."""
        return await anyio.to_thread.run_sync(self._file_bytes, limiter=self._thread)

    # -- in the thread -----------------------------------------------------------------------------------------------

    def _take(self) -> None:
        rows = 0
        while self._new:
            each = self._new.popleft()
            table = self._encoded(each.table)
            moment = Moment(
                table_number(table), each.seconds, each.node, rows_of(each.table, each.counted, each.in_flight)
            )
            self._waiting[each.ring].append(Kept(each.at, encode_moment(moment), table))
            rows = each.table.size
        if not rows or (self._is_failing and time.monotonic() < self._try_at):
            return
        try:
            self._write(rows)
        except OSError as error:
            self._file.close()
            self._try_at = time.monotonic() + HISTORY_RETRY_S
            if not self._is_failing:
                reason = error.strerror or str(error)
                message = f"the history {self._file.path} cannot be written: {reason}; it is kept in memory meanwhile"
                self._file.said.append(("history_not_written", message))
            self._is_failing = True

    def _write(self, rows: int) -> None:
        self._file.open(rows)
        for ring in Ring:
            waiting = self._waiting[ring]
            while waiting:
                self._file.write(ring, waiting[0])
                waiting.popleft()
        if self._is_failing:
            self._file.said.append(("history_written", f"the history {self._file.path} is written again"))
        self._is_failing = False

    def _encoded(self, table: Table) -> bytes:
        """Return the bytes of a table: the same object as long as it stays the same."""
        if table not in self._tables:
            self._tables = {table: table.encoded()}
        return self._tables[table]

    def _file_bytes(self) -> bytes | None:
        try:
            return self._file.path.read_bytes()
        except OSError:
            return None

    def _read(self) -> Past:
        try:
            past = Past.in_file(self._file_bytes() or b"")
        except ValueError:
            past = Past()
        for ring in Ring:
            for kept in self._waiting[ring]:
                kinds = ((FrameKind.TABLE, kept.table), (FrameKind.MOMENT, kept.moment))
                past.add(ring, [Frame(kind, 0, kept.at, payload, 0) for kind, payload in kinds])
        return past
