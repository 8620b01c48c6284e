"""A widget of lines, of which only what has changed is drawn again.

Responsible for strips, styles and for having Textual draw as little as possible. Knows nothing of what stands on a line.

Invariants: what is drawn, in whatever parts, is always of the lines that were written last; what is other than the ones before is
drawn at the next repaint; a line that says what one said before, there or elsewhere on the screen, is not put together again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Final, Self

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from lbapp.tui.widgets.paper import Line, changes

_STRIPS_MAX: Final = 200  # a few screens of them: each is some kilobytes


class Lines(ScrollView):
    """Lines, each with a style of its own for each tone: `table--TONE`. It has no border, no padding and no scroll bars.

    No style of it may depend on whether it has the focus: what does is said by a line.
    """

    DEFAULT_CSS: ClassVar[str] = "Lines { overflow: hidden hidden; }"

    def __init__(self, **named: Any) -> None:
        self._lines: list[Line] | None = None  # as they were written last; None: all of it is to be written and drawn
        self._strips: dict[Line, Strip] = {}
        self._styles: dict[tuple[str, bool], Style] = {}
        self._is_restyled = False  # since the lines were written
        self._drawn_size = Size()
        super().__init__(**named)

    def lines(self) -> Iterable[Line]:
        """Return what stands on the lines of the screen now, as many as it is high."""
        raise NotImplementedError

    def reach(self, lines: int) -> None:
        """Be scrolled over so many lines. Without scroll bars no widget gets another place by that, so nothing is laid out."""
        self.set_reactive(Widget.virtual_size, Size(self.size.width, lines))

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        """Have drawn again what is other; all of it where Textual says so of its whole region, as when it is scrolled."""
        if not repaint or layout or recompose:
            return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)
        size = self.size
        if self._lines is None or self._is_restyled or self._drawn_size != size or size.region in regions:
            self._lines = None
            return super().refresh()
        before, self._lines = self._lines, list(self.lines())
        others = [Region(x, y, cells, 1) for y, x, cells in changes(before, self._lines, size.width)]
        return super().refresh(*regions, *others) if regions or others else self

    def watch_has_focus(self, _has_focus: bool) -> None:
        """Leave the styles as they are: to find them again takes as long as to draw a screen."""

    def notify_style_update(self) -> None:
        """Put the lines together in other styles."""
        super().notify_style_update()
        self._is_restyled = True
        self._strips.clear()
        self._styles.clear()

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the lines of a part of the screen."""
        lines, filters, background = self._written(), self.get_line_filters(), self.background_colors[1]
        strips = []
        for y in crop.line_range:
            strip = self._strip(lines[y])
            for each in filters:
                strip = strip.apply_filter(each, background)
            strips.append(strip.crop(*crop.column_span))
        return strips

    def render_line(self, y: int) -> Strip:
        """Return one line of the screen."""
        return self._strip(self._written()[y])

    def _written(self) -> list[Line]:
        if self._drawn_size != self.size:
            self._lines, self._drawn_size = None, self.size
            self._strips.clear()
        if self._lines is None:
            self._lines, self._is_restyled = list(self.lines()), False
        return self._lines

    def _strip(self, line: Line) -> Strip:
        if line not in self._strips:
            if len(self._strips) > _STRIPS_MAX:
                self._strips.clear()
            self._strips[line] = self._put_together(line)
        return self._strips[line]

    def _put_together(self, line: Line) -> Strip:
        segments = [Segment(text, self._style(tone, line.is_current)) for text, tone in line.pieces()]
        return Strip(segments).adjust_cell_length(self.size.width, self._style("plain", line.is_current))

    def _style(self, tone: str, is_current: bool) -> Style:
        if (tone, is_current) not in self._styles:
            style = self.get_component_rich_style(f"table--{tone}")
            self._styles[tone, is_current] = style + Style(reverse=True, bold=True) if is_current else style
        return self._styles[tone, is_current]
