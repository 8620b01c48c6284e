"""A few lines of text in tones, for what stands around a table: heads with bars, the detail of the row under the cursor.

Responsible for drawing pieces of text as they are, never as markup, and cutting them at the edge. Knows nothing of what they say.
Invariant: every line fills the width, so nothing that stood there before remains.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from rich.cells import cell_len
from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from lbapp.tui.glyphs import Tone

Piece = tuple[str, Tone | Literal["head"]]
Line = Sequence[Piece]


class ToneLines(Widget):
    """Some lines; as high as there are."""

    DEFAULT_CSS = """
    ToneLines { height: auto; width: 1fr; }
    ToneLines > .lines--head { text-style: bold; }
    ToneLines > .lines--good { color: ansi_green; }
    ToneLines > .lines--bad { color: ansi_red; text-style: bold; }
    ToneLines > .lines--warn { color: ansi_yellow; }
    ToneLines > .lines--calm { color: ansi_cyan; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "lines--head",
        "lines--plain",
        "lines--good",
        "lines--bad",
        "lines--warn",
        "lines--calm",
        "lines--quiet",
    }

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._lines: Sequence[Line] = ()

    def say(self, lines: Sequence[Line]) -> None:
        """Show these lines; none: take no room."""
        if lines != self._lines:
            if len(lines) != len(self._lines):
                self.styles.height = len(lines)
            self._lines = lines
            self.display = bool(lines)
            self.refresh()

    @property
    def text(self) -> str:
        """What is shown, without its tones."""
        return "\n".join("".join(text for text, _ in line) for line in self._lines)

    def render_line(self, y: int) -> Strip:
        """Return one line of the screen."""
        width, plain = self.size.width, self.get_component_rich_style("lines--plain")
        if y >= len(self._lines):
            return Strip([Segment(" " * width, plain)], width)
        pieces = [
            Segment(text, self.get_component_rich_style(f"lines--{tone}")) for text, tone in self._lines[y] if text
        ]
        return Strip(pieces, sum(cell_len(piece.text) for piece in pieces)).adjust_cell_length(width, plain)
