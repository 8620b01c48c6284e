"""Typing one line: an address, the name of a file.

Responsible for taking the text. Knows nothing of what it is for. Invariant: every key goes to the dialog itself, which has no
field to be focused first, so fast typing loses no letter and fires no action.
"""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.events import Key, Paste
from textual.widgets import Static

from lbapp.tui.dialogs.dialog import Dialog

LENGTH_MAX = 200


class AskLine(Dialog[str | None]):
    """Asks for a line; dismisses with it, or with None. `typed` stands there at first."""

    def __init__(self, title: str, explanation: str, typed: str = "") -> None:
        super().__init__()
        self._title = title
        self._explanation = explanation
        self._typed = typed

    def compose(self) -> ComposeResult:
        """Lay the dialog out."""
        with Vertical(classes="dialog wide"):
            yield Static(Text(self._title, style="bold"), markup=False)
            yield Static(self._line(), id="typed", markup=False)
            yield Static(Text(self._explanation), markup=False)

    def _line(self) -> Text:
        return Text(f"{self._typed}_", style="bold", no_wrap=False)

    def on_key(self, event: Key) -> None:
        """Take letters, Backspace, Ctrl+U, Enter and Escape; nothing else does anything."""
        event.stop()
        if event.key == "escape":
            self.dismiss(None)
        elif event.key == "enter":
            self.dismiss(self._typed.strip() or None)
        elif event.key == "backspace":
            self._type(self._typed[:-1])
        elif event.key == "ctrl+u":
            self._type("")
        elif event.character and event.character.isprintable():
            self._type(self._typed + event.character)

    def on_paste(self, event: Paste) -> None:
        """Take pasted text, of it the first line."""
        event.stop()
        first = event.text.strip().partition("\n")[0]
        self._type(self._typed + "".join(letter for letter in first if letter.isprintable()))

    def _type(self, text: str) -> None:
        self._typed = text[:LENGTH_MAX]
        self.query_one("#typed", Static).update(self._line())
