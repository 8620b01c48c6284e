"""A text whose lines are never wrapped, as the editor keeps it.

Responsible for its size and for where its lines are drawn, told of by what an edit touches. Knows nothing of widgets. Textual's
own (8.2) measures every line at each key, and adds up all of them for each line that it draws: a second a key with ten
thousand lines.

Invariants: what an edit costs does not grow with the number of lines, but for moving them in a list; a line is drawn on one row;
the width is rounded up, so that a key at the longest line is no new layout of the screen.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from textual._cells import cell_len
from textual.document._document import Document, EditResult, Location
from textual.document._syntax_aware_document import SyntaxAwareDocument
from textual.document._wrapped_document import WrappedDocument
from textual.geometry import Size

WIDTH_STEP: Final = 32  # cells


class Plain(Document):
    """Lines that know how wide they are."""

    _lines_of: Counter[int] | None = None  # by their width, rounded up
    _tab_cells = 0

    def get_size(self, tab_width: int) -> Size:
        """Return its width in cells, rounded up, and its lines."""
        if self._lines_of is None or tab_width != self._tab_cells:
            self._tab_cells = tab_width
            self._lines_of = self._measured(0, self.line_count)
        return Size(max(self._lines_of, default=0), self.line_count)

    def replace_range(self, start: Location, end: Location, text: str) -> EditResult:
        """Replace a part of the text; return what stood there, and where the new text ends."""
        (top, _), (bottom, _) = sorted((start, end))
        if self._lines_of is None:
            return super().replace_range(start, end, text)
        left = self._measured(top, bottom + 1)
        result = super().replace_range(start, end, text)
        self._lines_of = self._lines_of - left + self._measured(top, result.end_location[0] + 1)
        return result

    def _measured(self, first: int, end: int) -> Counter[int]:
        widths = (cell_len(line.expandtabs(self._tab_cells)) for line in self._lines[first:end])
        return Counter((width // WIDTH_STEP + 1) * WIDTH_STEP for width in widths)


class Coloured(Plain, SyntaxAwareDocument):
    """The same, with what each part of it is in a language.

    The parser is given all of the text. Textual has it ask for one line after the other, and py-tree-sitter (0.26) never lets
    go of what it was answered: a console in which somebody edits grows by every line that is read.
    """

    @property
    def _read_callable(self) -> bytes:  # type: ignore[override]
        return self.text.encode()


class Unwrapped(WrappedDocument):
    """Where lines are drawn: each on the row of its number."""

    @property
    def height(self) -> int:
        """The rows of all lines."""
        return len(self._wrap_offsets)

    def wrap(self, width: int, tab_width: int | None = None) -> None:
        """Have a row for each line; `width` is none, as nothing is wrapped."""
        self._width, self._tab_width = width, tab_width or self._tab_width
        self._fit()

    def wrap_range(self, start: Location, old_end: Location, new_end: Location) -> None:
        """Have a row for each line behind an edit."""
        self._fit()

    def _fit(self) -> None:
        """Have as many rows as lines: a row is like every other, so they come and go at the end."""
        known, lines = len(self._wrap_offsets), self.document.line_count
        for rows in (self._wrap_offsets, self._tab_width_cache, self._offset_to_line_info, self._line_index_to_offsets):
            del rows[lines:]
        for line in range(known, lines):
            self._wrap_offsets.append([])
            self._tab_width_cache.append([])
            self._offset_to_line_info.append((line, 0))
            self._line_index_to_offsets.append([line])
