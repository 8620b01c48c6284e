"""Pieces of text in the colours of their tone.

Responsible for putting them together. Knows nothing of what a tone is for, or of how it looks: that is `themes`. Invariant: a
tone is named, so that a text takes the colours of the theme it is drawn in.
"""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text

from lbapp.tui.glyphs import Tone

Piece = tuple[str, Tone]
Line = list[Piece]


def painted(lines: Iterable[Line]) -> Text:
    """Return lines of pieces as one text, drawn as it is."""
    text = Text(no_wrap=True, overflow="crop")
    for number, line in enumerate(lines):
        if number:
            text.append("\n")
        for words, tone in line:
            text.append(words, style_of(tone))
    return text


def style_of(tone: Tone) -> str:
    """Return the name of a tone's style; plain and quiet text has none."""
    return "" if tone in ("plain", "quiet") else f"tone.{tone}"


def plain(line: Line) -> str:
    """Return the words of a line."""
    return "".join(words for words, _ in line)
