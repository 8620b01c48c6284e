"""An application in one of the looks of the console.

Responsible for wearing a look, for changing it, and for drawing only ASCII where a terminal has no more. Knows nothing of what is
shown. Invariant: texts and style sheets have the same colours at any time, those of the one table in `themes`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from rich.cells import cell_len
from rich.segment import Segment
from rich.theme import Theme as Styles
from textual.color import Color
from textual.filter import LineFilter

from lbapp.tui.glyphs import ASCII, Glyphs, glyphs_named
from lbapp.tui.sparing import Sparing
from lbapp.tui.themes import DARK, NAMES, rich_styles, textual_theme, theme_for

_ELSEWHERE = "?"  # stands for what ASCII does not have


@dataclass(frozen=True, slots=True)
class Look:
    """The name of a theme, and the symbols."""

    theme: str
    glyphs: Glyphs

    @classmethod
    def of(cls, environment: Mapping[str, str], theme: str | None = None, glyphs: str | None = None) -> Self:
        """Return the look of the terminal that the environment names; names that are given stand before that."""
        return cls(theme or theme_for(environment), glyphs_named(glyphs, environment))


class Dressed(Sparing):
    """Wears `look`; `theme` takes each of `themes.NAMES`."""

    CSS_PATH = "lbapp.tcss"

    def __init__(self, look: Look) -> None:
        # Its colours are the terminal's own, so they hold on the eight of a Linux console too. Said here as well: Textual
        # chooses its filter for NO_COLOR before it knows the theme, and the wrong one paints black on black.
        super().__init__(ansi_color=True)
        self.look = look
        self.console.push_theme(Styles(rich_styles(DARK)))
        for name in NAMES:
            self.register_theme(textual_theme(name))
        self.animation_level = "none"
        self.theme = look.theme
        self.set_class(look.glyphs is ASCII, "-ascii")

    def watch_theme(self, name: str) -> None:
        """Write texts in the colours of the theme from now on."""
        if name in NAMES:
            self.console.pop_theme()
            self.console.push_theme(Styles(rich_styles(name)))

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Return what every line goes through before it is written."""
        filters = super().get_line_filters()
        return [*filters, _TO_ASCII] if self.look.glyphs is ASCII else filters


class _Ascii(LineFilter):
    """Puts `?` for every cell of what is not ASCII: names come from outside, and borders from a library."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the segments, as wide as they were."""
        return [
            segment if segment.text.isascii() else Segment(ascii_of(segment.text), segment.style, segment.control)
            for segment in segments
        ]


_TO_ASCII = _Ascii()


def ascii_of(text: str) -> str:
    """Return a text as wide as it was, with `?` for every cell of what is not ASCII."""
    return "".join(letter if letter.isascii() else _ELSEWHERE * cell_len(letter) for letter in text)
