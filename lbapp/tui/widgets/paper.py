"""The lines of a table: what stands on them, what of them is other than before, and the pieces that they are drawn in.

Responsible for which cells of a line are others, and for keeping what was written of a row while it stays so. Knows nothing of
widgets, colours or of what the cells say. A screen of figures is half names, states and weights that stay: to send those again
twice a second is half of what a slow line has to carry.

Invariants: whoever draws the changes over the lines before has the lines of now; what is kept of a row was written for the same
figures and the same columns.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Final

from rich.cells import cell_len

KEPT_MAX: Final = 500  # rows: whoever holds a list still and goes through all of it is not to have all of it kept
GAP: Final = 14  # cells: to go on behind a shorter gap costs more than to draw what stands in it
Cells = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One line: texts with their tones, from left to right. `is_current`: the cursor is on it."""

    cells: Cells
    is_current: bool = False

    def pieces(self) -> Iterator[tuple[str, str]]:
        """Yield what to draw: neighbours of one tone as one text, for each costs the terminal some 15 bytes of codes."""
        for tone, run in groupby(self.cells, key=itemgetter(1)):
            yield "".join(text for text, _ in run), tone


class Written:
    """What was written of the rows of one table, by their number: a key that moves the cursor writes none of them again."""

    def __init__(self) -> None:
        self._as: Hashable = None
        self._rows: dict[int, Cells] = {}

    def write_as(self, how: Hashable) -> None:
        """Keep what was written in the same way (columns, marks); forget what was written in another."""
        if how != self._as or len(self._rows) > KEPT_MAX:
            self._as, self._rows = how, {}

    def forget(self) -> None:
        """Write all rows anew: they say something else by now."""
        self._rows = {}

    def row(self, number: int, write: Callable[[], Iterable[tuple[str, str]]]) -> Cells:
        """Return the cells of a row, written at most once."""
        if number not in self._rows:
            self._rows[number] = tuple(write())
        return self._rows[number]


def changes(before: Sequence[Line], now: Sequence[Line], width: int) -> list[tuple[int, int, int]]:
    """Return (line, first cell, cells) of all that is other, of as many lines as before. `width`: the cells of a line."""
    return [
        (y, first, end - first)
        for y, (was, line) in enumerate(zip(before, now, strict=True))
        if was != line
        for first, end in _spans(was, line, width)
    ]


def _spans(before: Line, now: Line, width: int) -> list[tuple[int, int]]:
    """Return (first cell, cell behind the last) of what is other."""
    if before.is_current is not now.is_current or len(before.cells) != len(now.cells):
        return [(0, width)]
    spans: list[tuple[int, int]] = []
    at = 0
    for was, cell in zip(before.cells, now.cells, strict=True):
        cells = _cells(cell[0])
        if was != cell:
            if _cells(was[0]) != cells:
                return [(0, width)]
            if spans and at - spans[-1][1] < GAP:
                spans[-1] = spans[-1][0], at + cells
            else:
                spans.append((at, at + cells))
        at += cells
    return spans


def _cells(text: str) -> int:
    return len(text) if text.isascii() else cell_len(text)
