"""A list to choose from, drawn line by line, so that a thousand choices cost what the visible ones do.

Responsible for drawing, for the cursor and for scrolling. Knows nothing of what is chosen or of keys. Invariants: text is drawn
as it is, never read as markup; what cannot be chosen says why, beside it: where that has no room, up to its colon.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.events import Click
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from lbapp.tui.actions.finding import Choice

KEY_CELLS: Final = 5


class Choices(ScrollView, can_focus=False):
    """Choices one below the other, one of them under the cursor."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"choices--plain", "choices--quiet"}
    DEFAULT_CSS = "Choices { scrollbar-size: 0 0; height: 1fr; }"

    def __init__(self, title_cells: int, *, id: str) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self.choices: Sequence[Choice] = ()
        self.at = 0
        self._title_cells = title_cells
        self._key_cells = 1

    class Clicked(Message):
        """What is under the cursor was clicked."""

    @property
    def chosen(self) -> Choice | None:
        """What is under the cursor."""
        return self.choices[self.at] if self.choices else None

    def show(self, choices: Sequence[Choice]) -> None:
        """Show other choices, the cursor on the first."""
        self.choices, self.at = choices, 0
        self._key_cells = KEY_CELLS if any(each.key for each in choices) else 1
        self.virtual_size = Size(self.size.width, len(choices))
        self._follow()

    def move(self, rows: int) -> None:
        """Move the cursor."""
        self.at = max(0, min(self.at + rows, len(self.choices) - 1))
        self._follow()

    def _follow(self) -> None:
        height = self.size.height
        if height:
            top = int(self.scroll_offset.y)
            top = min(max(top, self.at - height + 1), self.at)
            self.scroll_to(y=top, animate=False, immediate=True, force=True)
        self.refresh()

    def on_click(self, event: Click) -> None:
        """Put the cursor on what is clicked, and say so."""
        row = event.y + int(self.scroll_offset.y)
        if row < len(self.choices):
            self.move(row - self.at)
            self.post_message(self.Clicked())

    def on_resize(self) -> None:
        """Keep the cursor in sight."""
        self.virtual_size = Size(self.size.width, len(self.choices))
        self._follow()

    def render_line(self, y: int) -> Strip:
        """Return one visible line."""
        width, row = self.size.width, y + int(self.scroll_offset.y)
        plain = self.get_component_rich_style("choices--plain")
        if row >= len(self.choices):
            return Strip([Segment(" " * width, plain)], width)
        choice = self.choices[row]
        style = self.get_component_rich_style("choices--quiet") if choice.why_not else plain
        if row == self.at:
            style = style + Style(reverse=True, bold=True)
        key = set_cell_size(choice.key, self._key_cells)
        note = _why(choice.why_not, width - self._key_cells - self._title_cells - 1) if choice.why_not else choice.note
        text = f"{key}{set_cell_size(choice.title, self._title_cells)} {note}"
        return Strip([Segment(set_cell_size(text, width), style)], width)


def _why(why: str, room: int) -> str:
    """Return why something cannot be chosen; what one could do about it, behind a colon, only where that has room."""
    return f"({why})" if cell_len(why) + 2 <= room else f"({why.partition(': ')[0]})"
