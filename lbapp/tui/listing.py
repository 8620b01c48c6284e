"""What a table shows, and in which order.

Responsible for what a column is, for sorting, filtering and holding still. Knows nothing of servers or of drawing.

Invariant: arranging neither invents nor changes an item; what a column does not know stands last, whichever way it is
sorted; items that compare equal keep the order they came in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar, cast

from lbapp.tui.filtering import Field, Fields, Filter, parse
from lbapp.tui.glyphs import Tone

Item = TypeVar("Item")
Item_contra = TypeVar("Item_contra", contravariant=True)
COLUMN_MIN: Final = 8  # cells of a column that takes what the others leave


def _plain(_item: object) -> Tone:
    return "plain"


@dataclass(frozen=True, slots=True)
class Column(Generic[Item_contra]):
    """One column: its text, what it sorts by (all of it numbers, or all of it text), its place.

    `width` 0: takes what the others leave, in equal parts where several do. `screen_width_min`: shown only on screens at
    least this wide. `sets`: the column sets it stands in; empty: in all of them.
    """

    title: str
    width: int
    text: Callable[[Item_contra], str]
    order: Callable[[Item_contra], float | str | None]
    is_right: bool = True
    tone: Callable[[Item_contra], Tone] = _plain
    screen_width_min: int = 0
    sets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """How the operator wants a table. `sort`: index of a column, None for the order of the kind. `columns`: index of a set."""

    sort: int | None = None
    is_reversed: bool = False
    text: str = ""
    problems_only: bool = False
    columns: int = 0


@dataclass(frozen=True, slots=True)
class Kind(Generic[Item_contra]):
    """What a table has to know of its items.

    `rank`: where there is one, lower ranks stand first while nothing else is sorted by. `fields`: what a filter may name.
    """

    columns: Sequence[Column[Item_contra]]
    identity: Callable[[Item_contra], str]
    is_problem: Callable[[Item_contra], bool]
    searched: Callable[[Item_contra], str]
    is_newest_first: bool = False  # new items come on top
    rank: Callable[[Item_contra], int] | None = None
    fields: Mapping[str, Field[Item_contra]] = field(default_factory=dict)
    sets: Sequence[str] = ()
    has_marks: bool = False

    def sort_title(self, view: View) -> str:
        """Return what a view sorts by; empty: nothing."""
        if view.sort is not None:
            return self.columns[view.sort].title
        return "status" if self.rank else ""


def filter_of(text: str, kind: Kind[Item]) -> Filter[Item]:
    """Return what was typed as a filter of these items."""
    return parse(text, Fields(kind.searched, kind.fields))


def arrange(
    items: Sequence[Item], kind: Kind[Item], view: View, wanted: Filter[Item], held: Sequence[str] = ()
) -> list[Item]:
    """Return the items to show, in order; `wanted` is the view's text as a filter. With `held` ids their order stays, and
    others follow.
    """
    if held:
        return _held(items, kind, view, wanted, held)
    shown = wanted.keep(items)
    if view.problems_only:
        shown = list(filter(kind.is_problem, shown))
    order = kind.rank if view.sort is None else kind.columns[view.sort].order
    if order is None:
        return shown[::-1] if view.is_reversed else shown
    return _sorted(shown, order, is_reversed=view.is_reversed)


def _held(items: Sequence[Item], kind: Kind[Item], view: View, wanted: Filter[Item], held: Sequence[str]) -> list[Item]:
    place = {identity: index for index, identity in enumerate(held)}
    behind = len(place)
    placed = [(place.get(kind.identity(item), behind), item) for item in items]
    shown = [
        (at, item)
        for at, item in placed
        if at < behind or (wanted.matches(item) and (not view.problems_only or kind.is_problem(item)))
    ]
    return [item for _, item in sorted(shown, key=lambda pair: pair[0])]


def _sorted(items: list[Item], order: Callable[[Item], float | str | None], *, is_reversed: bool) -> list[Item]:
    found = list(map(order, items))
    keys = [each.casefold() if isinstance(each, str) else each for each in found]
    known = [place for place, key in enumerate(keys) if key is not None]
    known.sort(key=lambda place: cast(float, keys[place]), reverse=is_reversed)
    unknown = [item for item, key in zip(items, keys, strict=True) if key is None]
    return [items[place] for place in known] + unknown


def shown_columns(kind: Kind[Item], view: View, width: int) -> list[tuple[int, int]]:
    """Return (index, cells) of the columns that a table of `width` cells has, a space between each two."""
    wanted = kind.sets[view.columns % len(kind.sets)] if kind.sets else ""
    columns = kind.columns
    chosen = [
        index
        for index, column in enumerate(columns)
        if width >= column.screen_width_min and (not column.sets or not wanted or wanted in column.sets)
    ]
    fixed = sum(columns[index].width for index in chosen) + len(chosen) - 1 + margin_of(kind)
    flexible = sum(not columns[index].width for index in chosen)
    rest = max(COLUMN_MIN * flexible, width - fixed)
    cells: list[tuple[int, int]] = []
    for index in chosen:
        own = columns[index].width
        if not own:
            own, flexible = rest // flexible, flexible - 1
            rest -= own
        cells.append((index, own))
    return cells


def sort_choices(kind: Kind[Item]) -> list[tuple[int | None, str]]:
    """Return what can be sorted by, each title once: the order of the list itself (None), then columns by their index."""
    own = "as it comes" if kind.rank is None else "status: problems first"
    first = {column.title: index for index, column in reversed(list(enumerate(kind.columns)))}
    return [
        (None, own),
        *((index, column.title) for index, column in enumerate(kind.columns) if first[column.title] == index),
    ]


def margin_of(kind: Kind[Item]) -> int:
    """Return the cells on the left, where marks stand."""
    return 2 if kind.has_marks else 0
