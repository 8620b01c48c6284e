"""A table that is drawn line by line, so that a thousand rows cost what the visible ones do.

Responsible for drawing, for the cursor and for scrolling. Knows nothing of where items come from or what a key does to
them. Invariants: the cursor stays on the item it was put on for as long as that item is shown, whatever the order, except
on the newest of a list that grows at the top: there it stays with the newest; only what is visible is formatted; text is
drawn as it is, never read as markup, and what was cut says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import monotonic
from typing import ClassVar, Final, Generic, TypeVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from lbapp.tui.listing import Kind, View, arrange, shown_columns

Item = TypeVar("Item")

HEADER_ROWS: Final = 1
CUT: Final = ">"  # stands last in a text that goes on
HOLD_S: Final = 3.0  # after a move the order stays this long, so that a row does not leave under the finger


class LineTable(ScrollView, Generic[Item], can_focus=True):
    """A live table of one kind of item."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "table--head",
        "table--plain",
        "table--good",
        "table--bad",
        "table--warn",
        "table--calm",
        "table--quiet",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "up", show=False),
        Binding("down,j", "move(1)", "down", show=False),
        Binding("pageup", "page(-1)", "page up", show=False),
        Binding("pagedown", "page(1)", "page down", show=False),
        Binding("home,g", "go(0)", "first", show=False),
        Binding("end,G", "go(-1)", "last", show=False),
        Binding("enter", "choose", "open", show=False, id="list.open"),
        Binding("s", "sort", "sort by the next column", show=False, id="list.sort"),
        Binding("r", "reverse", "reverse the order", show=False, id="list.reverse"),
        Binding("exclamation_mark", "problems", "problems only", show=False, id="list.problems"),
    ]

    class Looked(Message):
        """The operator sorts or filters anew."""

    class Chosen(Message):
        """Enter was pressed on an item."""

        def __init__(self, table: LineTable[Item], identity: str) -> None:
            super().__init__()
            self.table: LineTable[Item] = table
            self.identity = identity

    def __init__(self, kind: Kind[Item], *, id: str) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self.kind = kind
        self.view = View()
        self.total = 0
        self._items: Sequence[Item] = ()
        self._shown: list[Item] = []
        self._cursor = 0
        self._moved_at = float("-inf")

    @property
    def selected(self) -> str | None:
        """The id of the item under the cursor."""
        return self.kind.identity(self._shown[self._cursor]) if self._shown else None

    @property
    def place(self) -> tuple[int, int, int]:
        """Row of the cursor from 1 (0: none), rows shown, rows there are."""
        return (self._cursor + 1 if self._shown else 0), len(self._shown), self.total

    @property
    def facts(self) -> str:
        """Where the cursor is, and what is sorted and left out."""
        row, shown, total = self.place
        parts = [f"{row} of {shown}" if shown == total else f"{row} of {shown}, {total} in all"]
        if self.view.sort is not None:
            held = " (held)" if self.is_held else ""
            parts.append(f"sort {self.kind.columns[self.view.sort].title}{held}")
        if self.view.text:
            parts.append(f"/{self.view.text}")
        if self.view.problems_only:
            parts.append("! problems only")
        return "  ".join(parts)

    @property
    def is_held(self) -> bool:
        """Say whether the order stands still because the operator has just moved."""
        return self.view.sort is not None and monotonic() - self._moved_at < HOLD_S

    @property
    def _is_on_newest(self) -> bool:
        is_in_order = self.view.sort is None and not self.view.is_reversed
        return self.kind.is_newest_first and is_in_order and self._cursor == 0

    def show(self, items: Sequence[Item]) -> None:
        """Show these items in the wanted order, the cursor on the item it is on."""
        self._items, self.total = items, len(items)
        identity = self.kind.identity
        held = [identity(item) for item in self._shown] if self.is_held else []
        chosen, before = (None if self._is_on_newest else self.selected), self._cursor
        self._shown = arrange(items, self.kind, self.view, held)
        rows = {identity(item): row for row, item in enumerate(self._shown)}
        self._cursor = rows.get(chosen or "", min(before, max(0, len(self._shown) - 1)))
        self.virtual_size = Size(self.size.width, len(self._shown) + HEADER_ROWS)
        self._follow_cursor()
        self.refresh()

    def look(self, view: View) -> None:
        """Sort and filter anew."""
        self.view = view
        self._moved_at = float("-inf")
        self.show(self._items)
        self.post_message(self.Looked())

    def action_problems(self) -> None:
        """Show problems only, or everything again."""
        self.look(replace(self.view, problems_only=not self.view.problems_only))

    def action_sort(self) -> None:
        """Sort by the next column, figures from the highest; behind the last comes the order of the configuration."""
        choices = [None, *(index for index, _ in shown_columns(self.kind.columns, self.app.size.width))]
        now = self.view.sort
        following = choices[(choices.index(now) + 1) % len(choices)] if now in choices else None
        is_figure = following is not None and self.kind.columns[following].is_right
        self.look(replace(self.view, sort=following, is_reversed=is_figure))

    def action_reverse(self) -> None:
        """Turn the order around."""
        self.look(replace(self.view, is_reversed=not self.view.is_reversed))

    def action_move(self, rows: int) -> None:
        """Move the cursor by so many rows."""
        self._put(self._cursor + rows)

    def action_page(self, pages: int) -> None:
        """Move the cursor by screenfuls."""
        self._put(self._cursor + pages * max(1, self.size.height - HEADER_ROWS))

    def action_go(self, row: int) -> None:
        """Put the cursor on a row; -1 is the last."""
        self._put(row if row >= 0 else len(self._shown) - 1)

    def action_choose(self) -> None:
        """Tell that Enter was pressed on the item."""
        if (identity := self.selected) is not None:
            self.post_message(self.Chosen(self, identity))

    def select(self, identity: str) -> None:
        """Put the cursor on an item."""
        for row, item in enumerate(self._shown):
            if self.kind.identity(item) == identity:
                self._put(row)

    def _put(self, row: int) -> None:
        self._cursor = max(0, min(row, len(self._shown) - 1))
        self._moved_at = monotonic()
        self._follow_cursor()
        self.refresh()

    def _follow_cursor(self) -> None:
        height = self.size.height - HEADER_ROWS
        if height < 1:
            return  # before the first layout
        top = int(self.scroll_offset.y)
        if self._cursor < top:
            top = self._cursor
        elif self._cursor >= top + height:
            top = self._cursor - height + 1
        self.scroll_to(y=max(0, min(top, len(self._shown) - height)), animate=False, immediate=True, force=True)

    def on_resize(self) -> None:
        """Keep the cursor in sight."""
        self.virtual_size = Size(self.size.width, len(self._shown) + HEADER_ROWS)
        self._follow_cursor()

    def render_line(self, y: int) -> Strip:
        """Return one line of the screen: the head first, then the visible rows."""
        width = self.size.width
        if y == 0:
            return self._head(width)
        row = y - HEADER_ROWS + int(self.scroll_offset.y)
        base = self._style("plain")
        if row >= len(self._shown):
            return Strip([Segment(" " * width, base)], width)
        return self._row(self._shown[row], width, row == self._cursor and self.has_focus)

    def _head(self, width: int) -> Strip:
        style = self.get_component_rich_style("table--head")
        texts = []
        for index, cells in shown_columns(self.kind.columns, self.app.size.width):
            column = self.kind.columns[index]
            mark = ("v" if self.view.is_reversed else "^") if index == self.view.sort else ""
            texts.append(_fit(mark + column.title, cells, is_right=column.is_right))
        return Strip([Segment(set_cell_size(" ".join(texts), width), style)], width)

    def _row(self, item: Item, width: int, is_current: bool) -> Strip:
        plain = self._style("plain", is_current)
        segments: list[Segment] = []
        for index, cells in shown_columns(self.kind.columns, self.app.size.width):
            column = self.kind.columns[index]
            if segments:
                segments.append(Segment(" ", plain))
            style = self._style(column.tone(item), is_current)
            segments.append(Segment(_fit(column.text(item), cells, is_right=column.is_right), style))
        return Strip(segments).adjust_cell_length(width, plain)

    def _style(self, tone: str, is_current: bool = False) -> Style:
        style = self.get_component_rich_style(f"table--{tone}")
        return style + Style(reverse=True, bold=True) if is_current else style


def _fit(text: str, cells: int, *, is_right: bool) -> str:
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
