"""The servers of the live feed, whose figures are taken apart when somebody looks at them.

Responsible for the columns as they came, and for rows that read them. Knows nothing of states or of where lines come from. Of ten
thousand servers a screen shows forty; what a column says of the others is a text that nobody reads, unless it is sorted by.

Invariants: a figure that is read is that of the newest line; however many lines come, no more is kept of a column than its
values and as many that changed; what cannot be read is not known.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final

from lbapp.control.live import Figures as Sent
from lbapp.tui.scene import Figures, ServerRow, Target


class Columns:
    """The figures of so many rows. Each of `names` is an attribute: a list of values, as long as no other line comes."""

    def __init__(self, names: Sequence[str], rows: int) -> None:
        self._places = {name: place for place, name in enumerate(names)}
        self._rows = rows
        self._lines: list[tuple[Sequence[int] | None, Sequence[str]]] = []
        self._waiting = 0  # values of one column in these lines
        self._taken: dict[str, tuple[list[Any], int]] = {}  # values, and of how many of these lines

    def take(self, sent: Sent) -> None:
        """Take in what a line says. Raises KeyError, TypeError, ValueError for what is no figures of these rows."""
        rows, values = sent.get("rows"), sent["values"]
        count = self._rows if rows is None else len(rows)
        if len(values) != len(self._places) or any(text.count(",") + 1 != max(count, 1) for text in values):
            raise ValueError("figures of other columns or rows")
        if rows is None:
            self._lines, self._waiting = [], 0
            self._taken.clear()
        elif rows and not 0 <= rows[0] <= rows[-1] < self._rows:
            raise ValueError("figures of rows that there are not")
        for name in self._places:
            self.__dict__.pop(name, None)
        self._lines.append((rows, values))
        self._waiting += 0 if rows is None else count
        if self._waiting > self._rows:
            self._taken = {name: (getattr(self, name), 0) for name in self._places}
            self._lines, self._waiting = [], 0

    def still(self) -> Columns:
        """Return a copy that stays as it is."""
        found = Columns(tuple(self._places), self._rows)
        found._lines, found._waiting = self._lines[:], self._waiting
        found._taken = {name: (values[:], known) for name, (values, known) in self._taken.items()}
        return found

    def __getattr__(self, name: str) -> list[Any]:
        if name not in self.__dict__.get("_places", ()):
            raise AttributeError(name)
        values, known = self._taken.get(name) or ([None] * self._rows, 0)
        for rows, texts in self._lines[known:]:
            try:
                found = json.loads(texts[self._places[name]])
            except ValueError:
                found = [None] * (self._rows if rows is None else len(rows))
            if rows is None:
                values = found
            else:
                for row, value in zip(rows, found, strict=False):
                    values[row] = value
        self._taken[name] = values, len(self._lines)
        setattr(self, name, values)
        return values


class LiveServer(ServerRow):
    """One server. Its figures are those of its columns, its states its own."""

    __slots__ = ("_columns", "_number")

    def __init__(self, id: str, target: Target, pool: str, columns: Columns, number: int) -> None:  # noqa: A002 - as ServerRow
        # Not as a ServerRow begins, which would have its figures not be known.
        self.id, self.target, self.pool = id, target, pool
        self._columns, self._number = columns, number

    def still(self, copies: dict[int, Any]) -> ServerRow:
        """Return a copy that stays as it is."""
        columns = copies.get(id(self._columns))
        if columns is None:
            columns = copies[id(self._columns)] = self._columns.still()
        found = LiveServer(self.id, self.target, self.pool, columns, self._number)
        for name in _STATES:  # figures are the columns': to read them would take all of those apart
            setattr(found, name, getattr(self, name))
        return found


def _figure(column: str) -> property:
    def get(row: LiveServer) -> Any:
        return getattr(row._columns, column)[row._number]

    def put(row: LiveServer, value: Any) -> None:
        getattr(row._columns, column)[row._number] = value

    return property(get, put)


# What a row calls each column that is read through it.
_NAMES: Final = {**{each.name: each.name for each in fields(Figures)}, "idle": "idle_connections"}
COLUMNS_READ: Final = tuple(_NAMES.values())
_STATES: Final = tuple(each.name for each in fields(ServerRow) if each.name not in (*_NAMES, "id", "target", "pool"))
for _name, _column in _NAMES.items():
    setattr(LiveServer, _name, _figure(_column))
