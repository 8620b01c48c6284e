"""How a figure went, drawn with the characters of the terminal.

Responsible for bars of one or more figures over the same time, one below the other. Knows nothing of what they are of.
Invariants: those of `plot`; each figure has its own scale, which begins at 0 and whose top is written beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from lbapp.tui.glyphs import Glyphs
from lbapp.tui.plot import area
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
    top = max((value for value in series.values if value is not None), default=0.0)
    drawn = area(series.values, max(1, width - LABEL - 1), rows, glyphs)
    labels = [series.text(top), *[""] * (rows - 2), series.name] if rows > 1 else [f"{series.name} {series.text(top)}"]
    return [f"{fit(label.strip(), LABEL, is_right=True)} {bars}" for label, bars in zip(labels, drawn, strict=True)]
