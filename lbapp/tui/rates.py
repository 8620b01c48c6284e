"""What totals come to in a second.

Responsible for remembering totals of a few seconds ago. Knows nothing of what they count or who shows it. Invariants: a rate is
over at least a moment and at most two spans; a total that went back, or was not there before, has no rate yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal

from lbapp.tui.scene import Figures, ServerRow

SPAN_S: Final = 5.0
Total = Literal["retries_total", "bytes_in_total", "bytes_out_total", "errors_total"]
_TOTALS: Final[tuple[Total, ...]] = ("retries_total", "bytes_in_total", "bytes_out_total", "errors_total")
_Kept = Mapping[str, Mapping[Total, int | None]]


class Rates:
    """The totals of servers a few seconds ago."""

    def __init__(self) -> None:
        self._at = 0.0
        self._older: tuple[float, _Kept] | None = None
        self._newer: tuple[float, _Kept] | None = None

    def take(self, at: float, rows: Iterable[ServerRow]) -> None:
        """Know the rows of a time (Unix seconds); when it is before the last one, begin anew."""
        if at < self._at:
            self.forget()
        self._at = at
        if self._newer is None or at - self._newer[0] >= SPAN_S:
            kept = {row.id: {total: getattr(row, total) for total in _TOTALS} for row in rows}
            self._older, self._newer = self._newer, (at, kept)

    def forget(self) -> None:
        """Begin anew."""
        self._older = self._newer = None

    def of(self, row: ServerRow, total: Total) -> float | None:
        """Return what a total of a row, as it is now, came to in a second of late."""
        base = self._older or self._newer
        before = base[1].get(row.id, {}).get(total) if base else None
        return _rate(row, total, before, self._at - base[0]) if base else None


def _rate(row: Figures, total: Total, before: int | None, seconds: float) -> float | None:
    now: int | None = getattr(row, total)
    if now is None or before is None or now < before or seconds <= 0:
        return None
    return (now - before) / seconds
