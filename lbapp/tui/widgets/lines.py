"""A widget of lines, of which only what has changed is drawn again.

Responsible for strips, styles and for having Textual draw as little as possible. Knows nothing of what stands on a line.
Invariants: a line is drawn as it is at that moment; what is other than it was drawn, and is in sight, is drawn at the next
repaint.
"""

from __future__ import annotations

from typing import Any

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.scroll_view import ScrollView
from textual.strip import Strip

from lbapp.tui.widgets.paper import Line, Paper


class Lines(ScrollView):
    """Lines, each with a style of its own for each tone: `table--TONE`."""

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self._paper = Paper()

    def begin(self) -> None:
        """Get ready to be asked for lines."""

    def line(self, y: int) -> Line:
        """Return what stands on a line of the screen, from 0."""
        raise NotImplementedError

    def repaint(self) -> None:
        """Have drawn again what is other than it was drawn last."""
        self.begin()
        changes = self._paper.changes(map(self.line, range(self.size.height)), self.size.width)
        if changes:
            self.refresh(*(Region(x, y, cells, 1) for y, x, cells in changes))

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the lines of a part of the screen."""
        self.begin()
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """Return one line of the screen."""
        line = self.line(y)
        segments = [Segment(text, self._style(tone, line.is_current)) for text, tone in self._paper.draw(y, line)]
        return Strip(segments).adjust_cell_length(self.size.width, self._style("plain", line.is_current))

    def _style(self, tone: str, is_current: bool = False) -> Style:
        style = self.get_component_rich_style(f"table--{tone}")
        return style + Style(reverse=True, bold=True) if is_current else style
