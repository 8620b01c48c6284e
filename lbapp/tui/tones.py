"""Pieces of text in the colours of their tone.

Responsible for the one table of tones and colours outside of tables. Knows nothing of what a tone is for. Invariant:
only the terminal's own eight colours and bold, so that it reads on every theme and on a Linux console.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rich.text import Text

from lbapp.tui.glyphs import Tone

STYLES: Final[dict[Tone, str]] = {
    "plain": "",
    "good": "green",
    "bad": "bold red",
    "warn": "yellow",
    "calm": "cyan",
    "quiet": "",
}
Piece = tuple[str, Tone]
Line = list[Piece]


def painted(lines: Iterable[Line]) -> Text:
    """Return lines of pieces as one text, drawn as it is."""
    text = Text(no_wrap=True, overflow="crop")
    for number, line in enumerate(lines):
        if number:
            text.append("\n")
        for words, tone in line:
            text.append(words, STYLES[tone])
    return text


def plain(line: Line) -> str:
    """Return the words of a line."""
    return "".join(words for words, _ in line)
