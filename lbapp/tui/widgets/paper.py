"""What of a table's lines has been drawn, so that only what is other by now is drawn again.

Responsible for which cells of a line are others, and for the pieces that it is drawn in. Knows nothing of widgets, colours or of
what the cells say. A screen of figures is half names, states and weights that stay: to send those again twice a second is half
of what a slow line has to carry.

Invariant: what was drawn and is other by now is in the changes, or has been drawn since.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Final

from rich.cells import cell_len

GAP: Final = 14  # cells: to go on behind a shorter gap costs more than to draw what stands in it
Cells = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One line: texts with their tones, from left to right. `is_current`: the cursor is on it."""

    cells: Cells
    is_current: bool = False


class Paper:
    """The lines of one table as they were drawn last, by their number from the top."""

    def __init__(self) -> None:
        self._drawn: dict[int, Line] = {}

    def changes(self, lines: Iterable[Line], width: int) -> list[tuple[int, int, int]]:
        """Return (line, first cell, cells) of all that is other than it was drawn. `width`: the cells of a line."""
        return [
            (y, first, end - first)
            for y, line in enumerate(lines)
            for first, end in _spans(self._drawn.get(y), line, width)
        ]

    def draw(self, y: int, line: Line) -> Iterator[tuple[str, str]]:
        """Yield a line's pieces: neighbours of one tone as one text, for each costs the terminal some 15 bytes of codes."""
        self._drawn[y] = line
        for tone, run in groupby(line.cells, key=itemgetter(1)):
            yield "".join(text for text, _ in run), tone


def _spans(before: Line | None, now: Line, width: int) -> list[tuple[int, int]]:
    """Return (first cell, cell behind the last) of what is other."""
    if before == now:
        return []
    if before is None or before.is_current is not now.is_current or len(before.cells) != len(now.cells):
        return [(0, width)]
    spans: list[tuple[int, int]] = []
    at = 0
    for was, cell in zip(before.cells, now.cells, strict=True):
        cells = cell_len(cell[0])
        if was != cell:
            if cell_len(was[0]) != cells:
                return [(0, width)]
            if spans and at - spans[-1][1] < GAP:
                spans[-1] = spans[-1][0], at + cells
            else:
                spans.append((at, at + cells))
        at += cells
    return spans
