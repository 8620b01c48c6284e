"""Choosing what a list is sorted by.

Responsible for a letter for each column. Knows nothing of what columns mean. Invariant: every key goes to the dialog itself;
it answers once, with one of the choices it was given or with nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from string import ascii_lowercase
from typing import Final

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.events import Click, Key
from textual.widgets import Static

from lbapp.tui.dialogs.dialog import Dialog

_COLUMN: Final = 34  # cells of the left one


class AskSort(Dialog[int | None]):
    """Asks for one of at most 26 choices; dismisses with its index, or with None. `current`: the one that holds now."""

    def __init__(self, choices: Sequence[str], current: int | None) -> None:
        super().__init__()
        self._choices = choices[: len(ascii_lowercase)]
        self._current = current

    def compose(self) -> ComposeResult:
        """Lay the dialog out."""
        with Vertical(classes="dialog"):
            yield Static(Text("Sort by", style="bold"), markup=False)
            yield Static(Text(self._page()), id="columns", classes="effect", markup=False)
            yield Static(Text("a letter sorts, the same one again reverses; Esc leaves"), markup=False)

    def _page(self) -> str:
        cells = [
            f"{letter}  {choice}{'  (now)' if index == self._current else ''}"
            for index, (letter, choice) in enumerate(zip(ascii_lowercase, self._choices, strict=False))
        ]
        half = (len(cells) + 1) // 2
        return "\n".join(
            f"{left:<{_COLUMN}}{right}".rstrip()
            for left, right in zip_longest(cells[:half], cells[half:], fillvalue="")
        )

    def on_click(self, event: Click) -> None:
        """Sort by the column whose line is clicked."""
        if event.widget is self.query_one("#columns"):
            half = (len(self._choices) + 1) // 2
            index = event.y + (half if event.x >= _COLUMN else 0)
            if event.y < half and index < len(self._choices):
                self.dismiss(index)

    def on_key(self, event: Key) -> None:
        """Take a letter or Escape; nothing else does anything."""
        event.stop()
        letter = event.character or ""
        if event.key == "escape":
            self.dismiss(None)
        elif len(letter) == 1 and letter in ascii_lowercase[: len(self._choices)]:
            self.dismiss(ascii_lowercase.index(letter))
