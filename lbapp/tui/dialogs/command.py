"""The line behind `:`, at the foot of the screen.

Responsible for typing, completing and going back to what was said before. Knows nothing of what a line does. Invariants: whatever
is typed goes into the line, so that no letter is ever an action; a line that is not understood stays, with the sentence that
says why.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from rich.text import Text
from textual.app import ComposeResult
from textual.events import Key, Paste
from textual.widgets import Static

from lbapp.tui.actions.commandline import History, Spoken
from lbapp.tui.dialogs.dialog import Dialog
from lbapp.tui.dialogs.form import Line
from lbapp.tui.dialogs.frame import Frame

HELP: Final = "Tab completes, up and down go back, Enter does it, Esc leaves"


class CommandLine(Dialog[Spoken | None]):
    """Asks for a line; dismisses with what it asks for. `read` raises ValueError; `complete` gives whole lines."""

    AUTO_FOCUS = ""

    def __init__(
        self, read: Callable[[str], Spoken], complete: Callable[[str], Sequence[str]], history: History
    ) -> None:
        super().__init__()
        self._read = read
        self._complete = complete
        self._history = history
        self._back = 0
        self._line = Line()
        self._shown = Static(markup=False)

    def compose(self) -> ComposeResult:
        """Lay the line out."""
        with Frame(classes="-foot"):
            yield self._shown

    def on_mount(self) -> None:
        """Show the empty line, below what it is about."""
        self.styles.align = ("center", "bottom")
        self._draw()

    def on_key(self, event: Key) -> None:
        """Take every key."""
        event.stop()
        event.prevent_default()
        if event.key == "escape" or (event.key == "backspace" and not self._line.text):
            self.dismiss(None)
        elif event.key == "enter":
            self._finish()
        elif event.key == "tab":
            self._complete_line()
        elif event.key in ("up", "down"):
            self._back = max(0, min(self._back + (1 if event.key == "up" else -1), len(self._history)))
            self._line.set(self._history.back(self._back))
            self._draw()
        elif self._line.press(event.key, event.character):
            self._draw()

    def on_paste(self, event: Paste) -> None:
        """Type what is pasted."""
        self._line.type(event.text)
        self._draw()

    def _complete_line(self) -> None:
        """Go on as far as all that is possible agrees; where only one thing is, to a space behind it."""
        lines = self._complete(self._line.text)
        if len(lines) == 1:
            self._line.set(lines[0] if lines[0].endswith("/") else f"{lines[0]} ")
        elif lines:
            self._line.set(common_start(lines))
        self._draw()

    def _finish(self) -> None:
        text = self._line.text.strip()
        try:
            spoken = self._read(text)
        except ValueError as error:
            self._draw(f"! {error}")
            return
        self._history.add(text)
        self.dismiss(spoken)

    def _draw(self, problem: str = "") -> None:
        lines = self._complete(self._line.text)
        last = [line.rpartition(" ")[2] for line in lines]
        choices = Text("  ".join(last) or " ", no_wrap=True, overflow="crop")
        said = Text(problem, style="bold") if problem else Text(HELP)
        self._shown.update(Text("\n").join([choices, Text.assemble(":", self._line.drawn()), said]))


def common_start(lines: Sequence[str]) -> str:
    """Return what all of the lines begin with."""
    first, last = min(lines), max(lines)
    agreed = next((place for place, letter in enumerate(first) if last[place : place + 1] != letter), len(first))
    return first[:agreed]
