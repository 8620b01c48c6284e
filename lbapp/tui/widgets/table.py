"""A table that is drawn line by line, so that a thousand rows cost what the visible ones do.

Responsible for drawing, for the cursor, marks, the mouse and for scrolling. Knows nothing of where items come from or what a
key does to them. Invariants: the cursor stays on the item it was put on for as long as that item is shown, whatever the
order, except on the newest of a list that grows at the top: there it stays with the newest; it is always in sight; only what
is visible is formatted; text is drawn as it is, never read as markup, and what was cut says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar, Final, Generic, TypeVar

from rich.cells import set_cell_size
from textual.binding import Binding, BindingType
from textual.events import Click, MouseScrollDown, MouseScrollUp
from textual.message import Message

from lbapp.tui.dialogs.sort import AskSort
from lbapp.tui.glyphs import Tone
from lbapp.tui.hand import Hand
from lbapp.tui.listing import Kind, View, arrange, filter_of, margin_of, shown_columns, sort_choices
from lbapp.tui.marks import Marks
from lbapp.tui.widgets.cells import head_text, row_cells
from lbapp.tui.widgets.lines import Lines
from lbapp.tui.widgets.paper import Line, Written

Item = TypeVar("Item")

HEADER_ROWS: Final = 1
WHEEL_ROWS: Final = 3


class LineTable(Lines, Generic[Item], can_focus=True, inherit_bindings=False):
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
    # All with priority: keys are then carried out one behind the other, and one that changes something and was typed right
    # behind a move is about where the move has led.
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "up", show=False, priority=True, id="list.up"),
        Binding("down,j", "move(1)", "down", show=False, priority=True, id="list.down"),
        Binding("pageup", "page(-1)", "page up", show=False, priority=True, id="list.page_up"),
        Binding("pagedown", "page(1)", "page down", show=False, priority=True, id="list.page_down"),
        Binding("home,g", "go(0)", "first", show=False, priority=True, id="list.first"),
        Binding("end,G", "go(-1)", "last", show=False, priority=True, id="list.last"),
        Binding("enter", "choose", "open", show=False, priority=True, id="list.open"),
        Binding("space", "mark", "mark", show=False, priority=True, id="list.mark"),
        Binding("v", "range", "mark a range", show=False, priority=True, id="list.range"),
        Binding("a", "mark_all", "mark all shown", show=False, priority=True, id="list.mark_all"),
        Binding("s", "sort", "sort menu", show=False, priority=True, id="list.sort"),
        Binding("less_than_sign", "sort_next(-1)", "sort left", show=False, priority=True, id="list.sort_left"),
        Binding("greater_than_sign", "sort_next(1)", "sort right", show=False, priority=True, id="list.sort_right"),
        Binding("r", "reverse", "reverse the order", show=False, priority=True, id="list.reverse"),
        Binding("left", "columns(-1)", "columns left", show=False, priority=True, id="list.columns_left"),
        Binding("right", "columns(1)", "columns right", show=False, priority=True, id="list.columns_right"),
        Binding("exclamation_mark", "problems", "problems only", show=False, priority=True, id="list.problems"),
    ]

    class Looked(Message):
        """The operator sorts, filters or marks anew."""

    class Chosen(Message):
        """An item was opened."""

        def __init__(self, table: LineTable[Item], identity: str) -> None:
            super().__init__()
            self.table: LineTable[Item] = table
            self.identity = identity

    def __init__(self, kind: Kind[Item], *, id: str, mark: str = "*") -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self.kind = kind
        self.view = View()
        self.wanted = filter_of("", kind)
        self.marks = Marks()
        self.total = 0
        self._mark = mark
        self._items: Sequence[Item] = ()
        self._shown: list[Item] = []
        self._cursor = 0
        self.hand = Hand()
        self._clicked: str | None = None
        self._texts = Written()

    # ---- what is selected

    @property
    def selected(self) -> str | None:
        """The id of the item under the cursor."""
        return self.kind.identity(self._shown[self._cursor]) if self._shown else None

    @property
    def marked(self) -> frozenset[str]:
        """The ids of the marked items, whether the filter shows them or not."""
        is_ranging = self.marks.anchor is not None
        return self.marks.with_range(self.marks.range_to(self.selected or "", self._identities()) if is_ranging else ())

    @property
    def chosen(self) -> Sequence[str]:
        """The ids of the marked items, those hidden by the filter too; without any, the one under the cursor."""
        marked = self.marked
        if marked:
            return [identity for item in self._items if (identity := self.kind.identity(item)) in marked]
        return (self.seen,) if self.seen else ()

    @property
    def seen(self) -> str:
        """The id of the item under the cursor; empty: there is none, or it has slid there and cannot have been seen yet."""
        return "" if self.hand.is_startled else self.selected or ""

    def _identities(self) -> list[str]:
        return list(map(self.kind.identity, self._shown))

    # ---- what the operator is told

    @property
    def place(self) -> tuple[int, int, int]:
        """Row of the cursor from 1 (0: none), rows shown, rows there are."""
        return (self._cursor + 1 if self._shown else 0), len(self._shown), self.total

    @property
    def facts(self) -> str:
        """Where the cursor is, and behind it, what matters most first: the line may have no room for all of it."""
        row, shown, total = self.place
        parts = [f"{row:,} of {shown:,}" if shown == total else f"{row:,} of {shown:,}, {total:,} in all"]
        if self.wanted.problem:
            parts.append(f"! {self.wanted.problem}")
        if marked := self.marked:
            parts.append(self.marks.words(len(marked), len(marked.difference(self._identities()))))
        if self.view.problems_only:
            parts.append("! problems only")
        if title := self.kind.sort_title(self.view):
            reverse = " reversed" if self.view.is_reversed and self.view.sort is None else ""
            parts.append(f"sort {title}{reverse}{' (held)' if self.is_held else ''}")
        if self.view.text:
            parts.append(f"/{self.view.text}")
        return "  ".join(parts)

    @property
    def is_held(self) -> bool:
        """Say whether the order stands still: the operator has just moved, marks a range, or has a dialog open."""
        if self.view.sort is None and self.kind.rank is None:
            return False
        is_busy = self.marks.anchor is not None or (self.is_attached and self.app.screen is not self.screen)
        return is_busy or self.hand.is_moving

    @property
    def _is_on_newest(self) -> bool:
        is_in_order = self.view.sort is None and not self.view.is_reversed
        return self.kind.is_newest_first and is_in_order and self._cursor == 0

    # ---- what is shown

    def show(self, items: Sequence[Item]) -> None:
        """Show these items in the wanted order, the cursor on the item it is on; without it nothing is chosen for a moment."""
        before = self.selected
        self._arrange(items, self._identities() if self.is_held else [])
        if before not in (None, self.selected):
            self.hand.startle()

    def _arrange(self, items: Sequence[Item], held: Sequence[str]) -> None:
        self._items, self.total = items, len(items)
        self._texts.forget()
        identity = self.kind.identity
        if not self.marks.is_empty:
            self.marks.keep(set(map(identity, items)))
        chosen, before = (None if self._is_on_newest else self.selected), self._cursor
        self._shown = arrange(items, self.kind, self.view, self.wanted, held)
        last = max(0, len(self._shown) - 1)
        self._cursor = min(before, last)
        if chosen is not None and (not self._shown or identity(self._shown[self._cursor]) != chosen):
            found = (row for row, item in enumerate(self._shown) if identity(item) == chosen)
            self._cursor = next(found, self._cursor)
        self.reach(len(self._shown) + HEADER_ROWS)
        self._follow_cursor()
        self.refresh()

    def forget(self) -> None:
        """Be about other items from now on: without marks, the cursor on the first."""
        self.marks, self._items, self._shown, self._cursor, self.total = Marks(), (), [], 0, 0
        self._texts.forget()
        self.hand = Hand()

    def look(self, view: View) -> None:
        """Sort and filter anew."""
        if view.text != self.view.text:
            self.wanted = filter_of(view.text, self.kind)
        self.view = view
        self.hand.rest()
        self._arrange(self._items, [])
        self.post_message(self.Looked())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Say whether a key exists in this table."""
        if action in ("mark", "mark_all", "range"):
            return self.kind.has_marks
        return bool(self.kind.sets) if action == "columns" else True

    def action_problems(self) -> None:
        """Show problems only, or everything again."""
        self.look(replace(self.view, problems_only=not self.view.problems_only))

    def action_columns(self, step: int) -> None:
        """Show the next set of columns, or the one before."""
        self.view = replace(self.view, columns=(self.view.columns + step) % len(self.kind.sets))
        self.refresh()
        self.post_message(self.Looked())

    # ---- sorting

    def action_sort(self) -> None:
        """Ask for the column to sort by."""
        choices = sort_choices(self.kind)
        columns = [column for column, _ in choices]
        current = columns.index(self.view.sort) if self.view.sort in columns else None

        def answered(choice: int | None) -> None:
            if choice is not None:
                self._sort_by(columns[choice])

        self.app.push_screen(AskSort([title for _, title in choices], current), answered)

    def action_sort_next(self, step: int) -> None:
        """Sort by the next of the columns in sight, or the one before; at either end comes the order of the list itself."""
        choices = [None, *(index for index, _ in self._columns())]
        here = choices.index(self.view.sort) if self.view.sort in choices else 0
        self._sort_by(choices[(here + step) % len(choices)])

    def _sort_by(self, column: int | None) -> None:
        """Sort by a column, figures from the highest; by the one that is sorted by already, the other way round."""
        if column == self.view.sort:
            self.action_reverse()
        else:
            is_figure = column is not None and self.kind.columns[column].is_right
            self.look(replace(self.view, sort=column, is_reversed=is_figure))

    def action_reverse(self) -> None:
        """Turn the order around."""
        self.look(replace(self.view, is_reversed=not self.view.is_reversed))

    # ---- marks

    def action_mark(self) -> None:
        """Mark the item under the cursor, or take its mark back; at the end of a range, mark that. Then go on to the next."""
        if (identity := self.selected) is None:
            return
        if self.marks.anchor is not None:
            self.action_range()
        else:
            self.marks.toggle(identity)
            self._put(self._cursor + 1)
        self.post_message(self.Looked())

    def action_range(self) -> None:
        """Begin a range at the cursor; the second time, mark all from there to the cursor."""
        if (identity := self.selected) is None:
            return
        if self.marks.anchor is None:
            self.marks.anchor = identity
        else:
            self.marks.end_range(self.marks.range_to(identity, self._identities()))
        self._put(self._cursor)
        self.post_message(self.Looked())

    def action_mark_all(self) -> None:
        """Mark all that the filter shows; when they all are, take their marks back."""
        self.marks.toggle_all(self._identities())
        self._put(self._cursor)
        self.post_message(self.Looked())

    def clear_marks(self) -> bool:
        """Take back a range, else all marks; say whether there was anything to take back."""
        had_any = self.marks.clear()
        self.refresh()
        return had_any

    # ---- the cursor

    def action_move(self, rows: int) -> None:
        """Move the cursor by so many rows."""
        self._put(self._cursor + rows)

    def action_page(self, pages: int) -> None:
        """Move the cursor by screenfuls."""
        self._put(self._cursor + pages * max(1, self._height))

    def action_go(self, row: int) -> None:
        """Put the cursor on a row; -1 is the last."""
        self._put(row if row >= 0 else len(self._shown) - 1)

    def action_choose(self) -> None:
        """Open the item under the cursor."""
        if (identity := self.selected) is not None:
            self.post_message(self.Chosen(self, identity))

    def _put(self, row: int) -> None:
        self._cursor = max(0, min(row, len(self._shown) - 1))
        self.hand.move()
        self._follow_cursor()
        self.refresh()

    @property
    def _height(self) -> int:
        return self.size.height - HEADER_ROWS

    def _follow_cursor(self) -> None:
        height = self._height
        if height < 1:
            return  # before the first layout
        top = int(self.scroll_offset.y)
        if self._cursor < top:
            top = self._cursor
        elif self._cursor >= top + height:
            top = self._cursor - height + 1
        self._scroll(top)

    def _scroll(self, top: int) -> None:
        self.scroll_to(y=max(0, min(top, len(self._shown) - self._height)), animate=False, immediate=True, force=True)

    def on_resize(self) -> None:
        """Keep the cursor in sight."""
        self.reach(len(self._shown) + HEADER_ROWS)
        self._follow_cursor()

    # ---- the mouse

    def on_click(self, event: Click) -> None:
        """Select what is clicked; open what is selected already, or clicked twice. On the head: sort by the column."""
        if event.y < HEADER_ROWS:
            self._click_head(event.x)
            return
        row = event.y - HEADER_ROWS + int(self.scroll_offset.y)
        if row >= len(self._shown):
            return
        identity, before = self.kind.identity(self._shown[row]), self.selected
        # The second click of two is about what the first one was about, or about nothing: the first may have led elsewhere.
        is_opening = identity == (before if event.chain == 1 else self._clicked)
        self._clicked = None if is_opening else identity
        if is_opening or event.chain == 1:
            self._put(row)
        if is_opening:
            self.action_choose()

    def _click_head(self, x: int) -> None:
        left = margin_of(self.kind)
        for index, cells in self._columns():
            if left <= x < left + cells:
                self._sort_by(index)
            left += cells + 1

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """Scroll on."""
        self._wheel(event, WHEEL_ROWS)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """Scroll back."""
        self._wheel(event, -WHEEL_ROWS)

    def _wheel(self, event: MouseScrollDown | MouseScrollUp, rows: int) -> None:
        event.stop()
        event.prevent_default()
        self._scroll(int(self.scroll_offset.y) + rows)
        top = int(self.scroll_offset.y)
        self._put(max(top, min(self._cursor, top + self._height - 1)))

    # ---- drawing

    def _columns(self) -> list[tuple[int, int]]:
        return shown_columns(self.kind, self.view, self.size.width)

    def lines(self) -> Iterator[Line]:
        """Return what stands on the lines: the head first, then the visible rows."""
        width, marked, columns = self.size.width, self.marked, self._columns()
        self._texts.write_as((marked, tuple(columns)))
        yield Line(((set_cell_size(head_text(self.kind, self.view, columns), width), "head"),))
        top = int(self.scroll_offset.y)
        for row in range(top, top + self._height):
            if row < len(self._shown):
                cells = self._texts.row(row, partial(self._cells, self._shown[row], columns, marked))
                yield Line(cells, row == self._cursor and self.has_focus)
            else:
                yield Line(((" " * width, "plain"),))

    def _cells(
        self, item: Item, columns: Sequence[tuple[int, int]], marked: frozenset[str]
    ) -> Iterator[tuple[str, Tone]]:
        mark = self._mark if self.kind.has_marks and self.kind.identity(item) in marked else ""
        return row_cells(item, self.kind, columns, mark)
