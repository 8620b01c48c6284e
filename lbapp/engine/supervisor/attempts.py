"""The attempts at a server, from what the workers count anyway.

Responsible for what has been added to a server's counters since the last look, and for how many attempts that were and how many
of them came to nothing. Knows nothing of what follows from it.

Invariants: what was counted before the first look says nothing; an attempt that failed is one of those that were made, also when
another server was asked then; a server whose counters have not moved costs a comparison.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lbapp.engine.policy.outlier import Tally
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.scoreboard.segment import Segment
from lbapp.model.outcomes import FailureKind, Outcome

_WIDTH: Final = at.SERVER_CONNECT - at.SERVER_RESPONSES
_FAILURES: Final = at.SERVER_FAILURES - at.SERVER_RESPONSES
_COMPLETED: Final = at.SERVER_OUTCOMES - at.SERVER_RESPONSES + Outcome.COMPLETED


@dataclass(frozen=True, slots=True)
class Moved:
    """What was added to the counters of one server: its attempts, and how those failed that gave no answer of their own."""

    tally: Tally
    failures: tuple[FailureKind, ...]


class Counted:
    """The counters of the server in one row of the scoreboard, as of the last look."""

    def __init__(self, segment: Segment, row: int) -> None:
        self._segment = segment
        self._row = row
        self._seen = self._read()
        self._totals = _added(self._seen)

    def moved(self) -> Moved | None:
        """Return what was added since the last look; None: nothing has happened."""
        seen = self._read()
        if seen == self._seen:
            return None
        totals = _added(seen)
        moved = [after - before for after, before in zip(totals, self._totals, strict=True)]
        self._seen, self._totals = seen, totals
        return Moved(_tally(moved), tuple(kind for kind in FailureKind if moved[_FAILURES + kind]))

    def _read(self) -> list[bytes]:
        layout, cells = self._segment.layout, self._segment.cells
        starts = [layout.server(slot, self._row) + at.SERVER_RESPONSES for slot in range(layout.slots)]
        return [cells[start : start + _WIDTH].tobytes() for start in starts]


def _added(seen: list[bytes]) -> list[int]:
    rows = [memoryview(each).cast("q").tolist() for each in seen]
    return [sum(column) for column in zip(*rows, strict=True)]


def _tally(moved: list[int]) -> Tally:
    """Return the answers and the errors among them.

    A failure that no other server made good is a 5xx to the client as well, so the larger of both counts.
    """
    answers = moved[:_FAILURES]
    good = sum(answers[:4]) if any(answers) else moved[_COMPLETED]  # a TCP connection has no status
    retried = moved[_FAILURES + FailureKind.RESPONSE_STATUS]
    failures = sum(moved[_FAILURES : _FAILURES + len(FailureKind)])
    errors = max(answers[4] + retried, failures)
    return Tally(good + errors, errors)
