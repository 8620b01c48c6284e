"""Typing a time.

Responsible for taking its characters and saying what is allowed. Knows nothing of what is recorded. Invariant: every key goes to
the dialog itself, which has no field to be focused first, so fast typing loses nothing; what it answers is a time.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.events import Key
from textual.widgets import Static

from lbapp.config.times import is_to_the_second, unix_time
from lbapp.tui.dialogs.dialog import Dialog
from lbapp.tui.format import clock
from lbapp.tui.travel import Start

_ALLOWED: Final = frozenset("0123456789:- hms")
_LENGTH_MAX: Final = 19  # of 2026-11-28 14:05:30


class AskTime(Dialog[Start | None]):
    """Asks for a time before `now` (Unix seconds); dismisses with it, or with None."""

    def __init__(self, now: float) -> None:
        super().__init__()
        self._now = now
        self._typed = ""

    def compose(self) -> ComposeResult:
        """Lay the dialog out."""
        with Vertical(classes="dialog"):
            yield Static(Text("Show an earlier time", style="bold"), markup=False)
            yield Static(Text(f"it is {clock(self._now)}"), markup=False)
            yield Static(self._line(), id="typed", markup=False)
            yield Static(Text("such as 14:05, 14:05:30, 2026-11-28 14:05 or -30m"), markup=False)
            yield Static(Text("Enter shows it, Esc leaves"), markup=False)

    def _line(self, problem: str = "") -> Text:
        return Text.assemble("time: ", (f"{self._typed}_", "bold"), f"   {problem}" if problem else "")

    def on_key(self, event: Key) -> None:
        """Take what stands in a time, Backspace, Enter and Escape; nothing else does anything."""
        event.stop()
        if event.key == "escape":
            self.dismiss(None)
        elif event.key == "enter":
            self._finish()
        elif event.key == "backspace":
            self._type(self._typed[:-1])
        elif event.character and event.character in _ALLOWED:
            self._type((self._typed + event.character)[:_LENGTH_MAX])

    def _type(self, text: str) -> None:
        self._typed = text
        self.query_one("#typed", Static).update(self._line())

    def _finish(self) -> None:
        text = self._typed.strip()
        try:
            at = unix_time(text, datetime.fromtimestamp(self._now))
        except ValueError:
            self.query_one("#typed", Static).update(self._line("this is no time"))
        else:
            self.dismiss(Start(at, is_to_the_second(text)))
