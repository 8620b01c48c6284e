"""What a table shows, and in which order.

Responsible for what a column is, for sorting, filtering and holding still. Knows nothing of servers or of drawing.

Invariant: arranging neither invents nor changes an item; what a column does not know stands last, whichever way it is
sorted; items that compare equal keep the order they came in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from lbapp.tui.glyphs import Tone

Item = TypeVar("Item")
Item_contra = TypeVar("Item_contra", contravariant=True)


def _plain(_item: object) -> Tone:
    return "plain"


@dataclass(frozen=True, slots=True)
class Column(Generic[Item_contra]):
    """One column: its text, what it sorts by, its place. `width` 0: takes what the others leave.

    `screen_width_min`: shown only on screens at least this wide.
    """

    title: str
    width: int
    text: Callable[[Item_contra], str]
    order: Callable[[Item_contra], float | str | None]
    is_right: bool = True
    tone: Callable[[Item_contra], Tone] = _plain
    screen_width_min: int = 0


@dataclass(frozen=True, slots=True)
class View:
    """How the operator wants a table. `sort`: index of a column, None for the order of the configuration."""

    sort: int | None = None
    is_reversed: bool = False
    text: str = ""
    problems_only: bool = False


@dataclass(frozen=True, slots=True)
class Kind(Generic[Item_contra]):
    """What a table has to know of its items."""

    columns: Sequence[Column[Item_contra]]
    identity: Callable[[Item_contra], str]
    is_problem: Callable[[Item_contra], bool]
    searched: Callable[[Item_contra], str]
    is_newest_first: bool = False  # new items come on top


def arrange(items: Sequence[Item], kind: Kind[Item], view: View, held: Sequence[str] = ()) -> list[Item]:
    """Return the items to show, in order. With `held` ids their order stays, and others follow."""
    wanted = view.text.casefold()
    shown = [
        item
        for item in items
        if wanted in kind.searched(item).casefold() and (not view.problems_only or kind.is_problem(item))
    ]
    if held:
        place = {identity: index for index, identity in enumerate(held)}
        return sorted(shown, key=lambda item: place.get(kind.identity(item), len(place)))
    if view.sort is None:
        return shown[::-1] if view.is_reversed else shown
    order = kind.columns[view.sort].order
    known = [item for item in shown if order(item) is not None]
    unknown = [item for item in shown if order(item) is None]
    return sorted(known, key=lambda item: _comparable(order(item)), reverse=view.is_reversed) + unknown


def _comparable(value: float | str | None) -> tuple[float, str]:
    return (0.0, value.casefold()) if isinstance(value, str) else (value or 0.0, "")


def shown_columns(columns: Sequence[Column[Item]], width: int) -> list[tuple[int, int]]:
    """Return (index, cells) of the columns that fit a screen of `width` cells, a space between each two."""
    chosen = [index for index, column in enumerate(columns) if width >= column.screen_width_min]
    fixed = sum(columns[index].width for index in chosen) + len(chosen) - 1
    rest = max(8, width - fixed)
    return [(index, columns[index].width or rest) for index in chosen]
