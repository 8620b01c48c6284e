"""How a figure went, drawn with the characters of the terminal.

Responsible for bars of one or more figures over the same time, one below the other. Knows nothing of what they are of.
Invariants: of values that share a cell the highest is drawn, so that no peak is lost; what was not known leaves a gap; each
figure has its own scale, which begins at 0 and whose top is written beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from lbapp.tui.glyphs import Glyphs
from lbapp.tui.widgets.cells import fit

LABEL: Final = 7  # cells


@dataclass(frozen=True, slots=True)
class Series:
    """One figure, oldest first; None where it was not known. `text`: how its scale is written."""

    name: str
    values: Sequence[float | None]
    text: Callable[[float | None], str]


class Graph(Widget):
    """A title, and the bars below it."""

    DEFAULT_CSS: ClassVar[str] = "Graph { height: 5; width: 1fr; }"

    def __init__(self, glyphs: Glyphs, title: str, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._glyphs = glyphs
        self._title = title
        self._problem = ""
        self._series: Sequence[Series] = ()

    def draw(self, problem: str, *series: Series) -> None:
        """Show these, the first one on top. `problem`: why there is nothing, else empty."""
        self._problem, self._series = problem, series
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Return one line."""
        width, height = self.size.width, self.size.height
        lines = [fit(f"{self._glyphs.rule} {self._title} ".ljust(width, self._glyphs.rule), width, is_right=False)]
        if self._problem:
            lines.append(fit(f" {self._problem}", width, is_right=False))
        else:
            lines += plot(self._series, width, height - 1, self._glyphs)
        text = lines[y] if y < len(lines) else " " * width
        return Strip([Segment(text, self.rich_style)], width)


def plot(series: Sequence[Series], width: int, height: int, glyphs: Glyphs) -> list[str]:
    """Return `height` lines of `width` cells; each figure gets an equal part of them, the first one what is left over."""
    lines: list[str] = []
    for place, each in enumerate(series):
        rows = height // len(series) + (height % len(series) if place == 0 else 0)
        if rows:
            lines += _bars(each, width, rows, glyphs)
    return lines


def _bars(series: Series, width: int, rows: int, glyphs: Glyphs) -> list[str]:
    cells = max(1, width - LABEL - 1)
    peaks = highest(series.values, cells)
    top = max((peak for peak in peaks if peak is not None), default=0.0)
    levels = len(glyphs.spark)
    heights = [None if peak is None else round(peak / top * rows * levels) if top else 0 for peak in peaks]
    lines = []
    for row in reversed(range(rows)):
        label = series.text(top) if row == rows - 1 else series.name if row == 0 else ""
        if rows == 1 and series.name:
            label = f"{series.name} {label}"
        bars = "".join(_cell(each, row, glyphs) for each in heights)
        lines.append(f"{fit(label, LABEL, is_right=True)} {bars.rjust(cells)}")
    return lines


def _cell(height: int | None, row: int, glyphs: Glyphs) -> str:
    """Return what of a bar, so many levels high, is drawn in one row; row 0 is the lowest, where a 0 can be seen."""
    if height is None:
        return " "
    level = height - row * len(glyphs.spark)
    if level <= 0:
        return glyphs.spark[0] if row == 0 else " "
    return glyphs.spark[min(level, len(glyphs.spark)) - 1]


def highest(values: Sequence[float | None], cells: int) -> list[float | None]:
    """Return the values as at most `cells` of them, in their order: of those that share a cell the highest one."""
    each = -(-len(values) // cells) or 1
    first = len(values) % each
    parts = [values[:first]] if first else []
    parts += [values[at : at + each] for at in range(first, len(values), each)]
    return [max((value for value in part if value is not None), default=None) for part in parts]
