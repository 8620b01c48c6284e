"""Exchanges as the console shows them: rows of lines of the log, and which of them are put on the screen.

Responsible for every field on the way, for making text printable, and for the choice where more come than can be read. Knows
nothing of where lines come from or of drawing.

Invariants: rows have printable text only; their numbers are unique and grow; what was not measured is None; of the rows that come
in a second no more than ROWS_PER_S reach the screen, those that failed and those that took longest before others; what is kept
is limited.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Final

from lbapp.control.looking import LogLine
from lbapp.tui.format import clean

ROWS_PER_S: Final = 12.0  # on the screen: more cannot be read
ROWS_KEPT: Final = 2_000
SLOW_MS: Final = 1_000.0  # what takes so long is slow
CHOICE_S: Final = 0.5  # so long rows are gathered before some are chosen, where not all can be shown


@dataclass(frozen=True, slots=True)
class ExchangeRow:
    """One exchange that has ended. `at`: Unix seconds when it began; `server`: POOL/SERVER; times in milliseconds."""

    number: int
    at: float
    client: str
    port: int | None
    listener: str
    method: str
    host: str
    target: str
    version: str
    status: int | None
    pool: str
    server: str
    bytes_in: int
    bytes_out: int
    queue_ms: float | None
    connect_ms: float | None
    first_byte_ms: float | None
    total_ms: float
    attempts: int
    persistence: tuple[str, ...]
    outcome: str
    ended_by: str
    phase: str
    request_id: str
    trace_id: str

    @property
    def is_failed(self) -> bool:
        """Say whether it was not complete, or a 5xx."""
        return bool(self.ended_by) or (self.status or 0) >= 500

    @property
    def path(self) -> str:
        """What was asked for, without its query."""
        return self.target.partition("?")[0]

    @property
    def where(self) -> str:
        """The server it went to; the pool, when it found none there."""
        return self.server or (f"{self.pool}/-" if self.pool else "-")

    @property
    def body_ms(self) -> float | None:
        """What is left of the whole beside the phases that are measured: the body, and attempts before the last."""
        if self.first_byte_ms is None:
            return None
        return max(0.0, self.total_ms - self.first_byte_ms - (self.connect_ms or 0.0) - (self.queue_ms or 0.0))


_numbers = count(1)


def exchange_row(line: LogLine) -> ExchangeRow:
    """Return the row of a line. Raises KeyError, TypeError, ValueError when it is of another version."""
    return ExchangeRow(
        number=next(_numbers),
        at=datetime.fromisoformat(line["time"]).timestamp(),
        client=_text(line["client"]),
        port=line["port"] or None,
        listener=_text(line["listener"]),
        method=_text(line["method"]),
        host=_text(line["host"]),
        target=_text(line["target"]),
        version=_text(line["version"]),
        status=None if line["status"] is None else int(line["status"]),
        pool=_text(line["pool"]),
        server=_text(line["server"]),
        bytes_in=int(line["bytes_in"]),
        bytes_out=int(line["bytes_out"]),
        queue_ms=_milliseconds(line["queue_us"]),
        connect_ms=_milliseconds(line["connect_us"]),
        first_byte_ms=_milliseconds(line["first_byte_us"]),
        total_ms=line["total_us"] / 1000,
        attempts=int(line["attempts"]),
        persistence=tuple(clean(each) for each in line["persistence"] or ()),
        outcome=_text(line["outcome"]),
        ended_by=_text(line["ended_by"]),
        phase=_text(line["phase"]),
        request_id=_text(line.get("request_id")),
        trace_id=_text(line.get("trace_id")),
    )


def _text(value: str | None) -> str:
    return "" if value is None else clean(value)


def _milliseconds(microseconds: int | None) -> float | None:
    return None if microseconds is None else microseconds / 1000


def choose(rows: Sequence[ExchangeRow], most: int) -> list[ExchangeRow]:
    """Return at most so many rows, in their order: those that failed first, then those that took longest."""
    if len(rows) <= most:
        return list(rows)
    best = sorted(rows, key=lambda row: (not row.is_failed, -row.total_ms))[: max(0, most)]
    return sorted(best, key=lambda row: row.number)


class Shown:
    """The rows on the screen. `left_out`: so many more were wanted since `restart`, and came too fast to be read."""

    def __init__(self) -> None:
        self.rows: deque[ExchangeRow] = deque(maxlen=ROWS_KEPT)  # newest first
        self.recent: deque[ExchangeRow] = deque(maxlen=ROWS_KEPT)  # all that came, newest last
        self.left_out = 0
        self._wanted: Callable[[ExchangeRow], bool] = lambda _row: True
        self._pending: deque[ExchangeRow] = deque(maxlen=ROWS_KEPT)
        self._room = ROWS_PER_S
        self._at: float | None = None

    def restart(self, wanted: Callable[[ExchangeRow], bool]) -> None:
        """Show what is wanted from now on: at once of what came lately, too."""
        self._wanted, self.left_out = wanted, 0
        self._pending.clear()
        self.rows = deque((row for row in reversed(self.recent) if wanted(row)), ROWS_KEPT)

    def take(self, rows: Iterable[ExchangeRow]) -> None:
        """Take rows in as they come."""
        for row in rows:
            self.recent.append(row)
            if self._wanted(row):
                if len(self._pending) == ROWS_KEPT:
                    self.left_out += 1  # the oldest makes room
                self._pending.append(row)

    def advance(self, now: float) -> None:
        """Put on the screen what may be there by now, a time in seconds that never goes back."""
        passed = CHOICE_S if self._at is None else now - self._at
        room = min(ROWS_PER_S, self._room + passed * ROWS_PER_S)
        if len(self._pending) > room and passed < CHOICE_S:
            return  # more may come to choose from
        self._at = now
        chosen = choose(list(self._pending), int(room))
        self._room = room - len(chosen)
        self.left_out += len(self._pending) - len(chosen)
        self._pending.clear()
        self.rows.extendleft(chosen)
