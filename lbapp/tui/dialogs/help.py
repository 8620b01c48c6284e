"""Every key that exists where the operator is, what the states mean, and how a filter is written; searched by typing.

Responsible for scrolling and searching lines. Knows nothing of where they come from. Invariants: a line is drawn as it is, never
read as markup; while something is searched only the lines that have it are shown, and how to leave always stands below them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.cells import set_cell_size
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.events import Key, Paste
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widgets import Static

from lbapp.tui.dialogs.dialog import Dialog
from lbapp.tui.dialogs.form import Line
from lbapp.tui.dialogs.frame import Frame
from lbapp.tui.dialogs.menu import STEPS

_MOVES: Final = {**STEPS, "j": 1, "k": -1, "g": -1000, "G": 1000, "space": 10}


class _Lines(ScrollView, can_focus=False):
    """Lines of text; one that begins with a letter is a heading."""

    DEFAULT_CSS = "_Lines { scrollbar-size: 0 0; height: 1fr; }"

    def __init__(self) -> None:
        super().__init__()
        self.lines: Sequence[str] = ()

    def show(self, lines: Sequence[str]) -> None:
        """Show other lines from the first."""
        self.lines = lines
        self.virtual_size = Size(self.size.width, len(lines))
        self.scroll_to(y=0, animate=False, immediate=True, force=True)
        self.refresh()

    @property
    def has_more(self) -> bool:
        """Say whether there are lines that are not in sight."""
        return len(self.lines) > self.size.height

    def render_line(self, y: int) -> Strip:
        """Return one visible line."""
        row, width = y + int(self.scroll_offset.y), self.size.width
        line = self.lines[row] if row < len(self.lines) else ""
        style = Style(bold=True) if line and not line.startswith(" ") else Style.null()
        return Strip([Segment(set_cell_size(line, width), self.rich_style + style)], width)


class Help(Dialog[None]):
    """Shows lines; `/` and letters show those that have them."""

    AUTO_FOCUS = ""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__()
        self._all = lines
        self._lines = _Lines()
        self._wanted = Line()
        self._is_searching = False
        self._foot = Static(markup=False)

    def compose(self) -> ComposeResult:
        """Lay the page out."""
        with Frame(classes="-whole"):
            yield self._lines
            yield self._foot

    def on_mount(self) -> None:
        """Show everything."""
        self._show()

    def on_resize(self) -> None:
        """Say anew whether there is more."""
        self.call_after_refresh(self._tell)

    def _show(self) -> None:
        self._lines.show(matching(self._all, self._wanted.text))
        self.call_after_refresh(self._tell)

    def _tell(self) -> None:
        more = "up and down scroll, " if self._lines.has_more else ""
        searched = Text.assemble("/", self._wanted.drawn(), "  Esc shows all") if self._is_searching else None
        self._foot.update(searched or Text(f"{more}/ searches, Esc closes"))

    def on_key(self, event: Key) -> None:
        """Take every key."""
        event.stop()
        event.prevent_default()
        if event.key == "escape":
            self._leave()
        elif event.key in STEPS:
            self._lines.scroll_relative(y=STEPS[event.key], animate=False, immediate=True)
        elif self._is_searching:
            if self._wanted.press(event.key, event.character):
                self._show()
        elif event.key == "slash":
            self._is_searching = True
            self._show()
        elif event.key in _MOVES:
            self._lines.scroll_relative(y=_MOVES[event.key], animate=False, immediate=True)
        elif event.key in ("enter", "q", "question_mark", "f1"):
            self.dismiss(None)

    def on_paste(self, event: Paste) -> None:
        """Search for what is pasted."""
        if self._is_searching:
            self._wanted.type(event.text)
            self._show()

    def _leave(self) -> None:
        if not self._is_searching:
            self.dismiss(None)
            return
        self._is_searching = False
        self._wanted.set("")
        self._show()


def matching(lines: Sequence[str], text: str) -> list[str]:
    """Return the lines that have a text, each below its heading; all, without a text."""
    wanted = text.strip().casefold()
    if not wanted:
        return list(lines)
    found: list[str] = []
    heading = ""
    for line in lines:
        if line and not line.startswith(" "):
            heading = line
        elif wanted in line.casefold():
            if heading and heading not in found:
                found.append(heading)
            found.append(line)
    return found or [" nothing has that"]
