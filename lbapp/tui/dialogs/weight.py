"""Typing a new weight.

Responsible for taking digits and saying what is allowed. Knows nothing of servers. Invariant: every key goes to the
dialog itself, which has no field to be focused first, so fast typing loses no digit; what it answers is a weight.
"""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.events import Key
from textual.screen import ModalScreen
from textual.widgets import Static

from lbapp.model.states import WEIGHT_MAX


class AskWeight(ModalScreen[int | None]):
    """Asks for a weight; dismisses with it, or with None."""

    def __init__(self, server_id: str, weight: int, configured: int) -> None:
        super().__init__()
        self._server_id = server_id
        self._weight = weight
        self._configured = configured
        self._typed = ""

    def compose(self) -> ComposeResult:
        """Lay the dialog out."""
        with Vertical(classes="dialog"):
            yield Static(Text(f"Weight of {self._server_id}", style="bold"), markup=False)
            yield Static(Text(f"now {self._weight}, {self._configured} in the file"), markup=False)
            yield Static(self._line(), id="typed", markup=False)
            yield Static(Text(f"0 to {WEIGHT_MAX}; 0 takes no new clients. Enter sets, Esc leaves"), markup=False)

    def _line(self) -> Text:
        return Text.assemble("new weight: ", (f"{self._typed}_", "bold"))

    def on_key(self, event: Key) -> None:
        """Take digits, Backspace, Enter and Escape; nothing else does anything."""
        event.stop()
        if event.key == "escape":
            self.dismiss(None)
        elif event.key == "enter":
            self._finish()
        elif event.key == "backspace":
            self._type(self._typed[:-1])
        elif event.character and event.character in "0123456789":
            self._type((self._typed + event.character)[:3])

    def _type(self, text: str) -> None:
        self._typed = text
        self.query_one("#typed", Static).update(self._line())

    def _finish(self) -> None:
        if self._typed and int(self._typed) <= WEIGHT_MAX:
            self.dismiss(int(self._typed))
        else:
            self.query_one("#typed", Static).update(
                Text(f"new weight: {self._typed}_   not a weight from 0 to {WEIGHT_MAX}", style="bold")
            )
