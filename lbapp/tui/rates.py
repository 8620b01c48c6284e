"""What totals come to in a second.

Responsible for remembering totals of a few seconds ago. Knows nothing of what they count or who shows it. Invariants: a rate is
over at least a moment and at most two spans; a total that went back, or was not there before, has no rate yet.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import Final, Literal

from lbapp.tui.scene import ServerRow

SPAN_S: Final = 5.0
Total = Literal["retries_total", "bytes_in_total", "bytes_out_total", "errors_total"]
_TOTALS: Final[tuple[Total, ...]] = ("retries_total", "bytes_in_total", "bytes_out_total", "errors_total")


@dataclass(frozen=True, slots=True)
class _Kept:
    """The totals of all rows at a time, by their ids' places; nan: not known. An array is a tenth of what objects take."""

    at: float
    places: Mapping[str, int]
    totals: Mapping[Total, array[float]]

    def of(self, row_id: str, total: Total) -> float | None:
        place = self.places.get(row_id)
        value = nan if place is None else self.totals[total][place]
        return None if isnan(value) else value


class Rates:
    """The totals of servers a few seconds ago."""

    def __init__(self) -> None:
        self._at = 0.0
        self._older: _Kept | None = None
        self._newer: _Kept | None = None

    def take(self, at: float, rows: Sequence[ServerRow]) -> None:
        """Know the rows of a time (Unix seconds); when it is before the last one, or long after it, begin anew."""
        if at < self._at or (self._newer is not None and at - self._newer.at > 2 * SPAN_S):
            self.forget()
        self._at = at
        if self._newer is None or at - self._newer.at >= SPAN_S:
            self._older, self._newer = self._newer, self._keep(at, rows)

    def _keep(self, at: float, rows: Sequence[ServerRow]) -> _Kept:
        ids = [row.id for row in rows]
        places: Mapping[str, int] = self._newer.places if self._newer else {}
        if list(places) != ids:
            places = {row_id: place for place, row_id in enumerate(ids)}
        values = {total: [getattr(row, total) for row in rows] for total in _TOTALS}
        totals = {total: array("d", [nan if one is None else one for one in values[total]]) for total in _TOTALS}
        return _Kept(at, places, totals)

    def forget(self) -> None:
        """Begin anew."""
        self._older = self._newer = None

    def of(self, row: ServerRow, total: Total) -> float | None:
        """Return what a total of a row, as it is now, came to in a second of late."""
        base = self._older or self._newer
        now: int | None = getattr(row, total)
        before = base.of(row.id, total) if base else None
        if base is None or now is None or before is None or now < before or self._at <= base.at:
            return None
        return (now - before) / (self._at - base.at)
