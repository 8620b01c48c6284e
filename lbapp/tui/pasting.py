"""What is pasted is text, whatever it has in it.

Responsible for taking ESC out of a bracketed paste before Textual reads it (8.2): a sequence in there would be read as keys,
and each letter behind it would be an action of whoever pasted a coloured line. Knows nothing of keys or widgets. Invariants: what
stands between the marks of a paste never leaves it but at its end mark, wherever reads cut it; all else passes as it came.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from textual._xterm_parser import XTermParser
from textual.message import Message

BEGIN: Final = "\x1b[200~"
END: Final = "\x1b[201~"
_ESC: Final = "\x1b"


class PasteFilter:
    """Takes ESC out of what is pasted, in pieces as they are read."""

    def __init__(self) -> None:
        self._is_paste = False
        self._begun = ""  # of the mark that may have begun; within a paste it is held back until it is clear

    def __call__(self, data: str) -> str:
        """Return what may be read on, of as much as is clear."""
        return "".join(map(self._take, data))

    def _take(self, letter: str) -> str:
        mark, before = (END if self._is_paste else BEGIN), self._begun
        self._begun = before + letter if mark.startswith(before + letter) else letter if letter == _ESC else ""
        has_ended = self._begun == mark
        if has_ended:
            self._is_paste, self._begun = not self._is_paste, ""
        if mark == BEGIN:
            return letter
        if has_ended:
            return END
        left = before if len(self._begun) <= len(before) else ""  # was no mark: it is text, but for the ESC
        return left.lstrip(_ESC) + ("" if self._begun else letter)


class PasteParser(XTermParser):
    """Reads what a terminal sends."""

    def __init__(self, debug: bool = False) -> None:
        super().__init__(debug)
        self._filter = PasteFilter()

    def feed(self, data: str) -> Iterable[Message]:
        """Yield what is in the data; empty data is the end."""
        wanted = self._filter(data)
        return super().feed(wanted) if wanted or not data else ()
