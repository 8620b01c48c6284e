"""The lines of a table as texts.

Responsible for fitting what columns say into their cells. Knows nothing of colours, of which line is the current one or of
scrolling. Invariant: a text takes exactly the cells of its column, and one that was cut says so; figures are never padded on the
right.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

from rich.cells import cell_len, set_cell_size

from lbapp.tui.glyphs import Tone
from lbapp.tui.listing import Kind, View, margin_of

Item = TypeVar("Item")
CUT: Final = ">"  # stands last in a text that goes on


def head_text(kind: Kind[Item], view: View, columns: Sequence[tuple[int, int]]) -> str:
    """Return the titles of these (index, cells), the one that is sorted by with ^ or v before it."""
    text = " " * margin_of(kind)
    for place, (index, cells) in enumerate(columns):
        column = kind.columns[index]
        sign = ("v" if view.is_reversed else "^") if index == view.sort else ""
        gap = 1 if place else 0  # the sign may stand in it, so that it costs no letter of the title
        if column.is_right:
            text += fit(sign + column.title.upper(), cells + gap, is_right=True)
        else:
            text += (sign or " ") * gap + fit(column.title.upper(), cells, is_right=False)
    return text


def row_cells(
    item: Item, kind: Kind[Item], columns: Sequence[tuple[int, int]], mark: str
) -> Iterator[tuple[str, Tone]]:
    """Yield the texts of one item from left to right, each with its tone. `mark`: one cell, or empty for none."""
    if kind.has_marks:
        yield f"{mark or ' '} ", "warn" if mark else "plain"
    for place, (index, cells) in enumerate(columns):
        column = kind.columns[index]
        if place:
            yield " ", "plain"
        yield fit(column.text(item), cells, is_right=column.is_right), column.tone(item)


def fit(text: str, cells: int, *, is_right: bool) -> str:
    """Return the text in exactly `cells` cells, padded, or cut with a mark where it begins at the left."""
    if len(text) < cells and text.isascii():
        return text.rjust(cells) if is_right else text.ljust(cells)
    if not is_right and cells and cell_len(text) > cells:
        return set_cell_size(text, cells - 1) + CUT
    fitted = set_cell_size(text, cells)
    if is_right and fitted != text:
        blank = len(fitted) - len(fitted.rstrip(" "))
        return " " * blank + fitted.rstrip(" ") if blank else fitted
    return fitted
