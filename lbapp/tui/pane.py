"""What a screen of the console is: a pane between the lines that the shell draws.

Responsible for what a pane has to answer to the shell, and for what the shell gives to a pane. Knows nothing of any one
screen.

Invariants: a pane reads the source and never writes it; it is shown twice a second while it is in sight, and costs
nothing while it is not; actions are about what `selection` names when their key is pressed, which is ids, never rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widget import Widget

from lbapp.tui.glyphs import Glyphs
from lbapp.tui.place import Place
from lbapp.tui.source import Source

if TYPE_CHECKING:
    from lbapp.tui.changes import Outcome
    from lbapp.tui.widgets.table import LineTable


@dataclass(frozen=True, slots=True)
class Desk:
    """What every pane works with. `go`: on to a place; `tell`: an outcome on the line for outcomes."""

    source: Source
    glyphs: Glyphs
    go: Callable[[Place], None]
    tell: Callable[[Outcome], None]


class Pane(Vertical):
    """One screen."""

    def __init__(self, desk: Desk, *, id: str) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id, classes="pane")
        self.desk = desk

    def visit(self, subject: str) -> None:
        """Be about something else from now on; empty: about everything."""

    def show(self) -> None:
        """Show the newest of the source."""
        raise NotImplementedError

    @property
    def first(self) -> Widget | None:
        """The widget that takes the keys when the pane comes into sight."""
        return None

    @property
    def table(self) -> LineTable[Any] | None:
        """The table that filter and sort keys are about; None: there is none."""
        return None

    @property
    def facts(self) -> str:
        """What the context line says of what is in sight: row, sort, filter."""
        return ""

    @property
    def selection(self) -> Sequence[str]:
        """The ids of the servers that an action is about, those marked or the one under the cursor."""
        return ()

    @property
    def subject_pool(self) -> str:
        """The pool that an action is about where no server is selected; empty: none."""
        return ""

    @property
    def draft(self) -> str:
        """What would be lost with the console, as a sentence; empty: nothing."""
        return ""

    def clear(self) -> bool:
        """Take back a filter or marks; say whether there was anything to take back."""
        return False


class TablePane(Pane):
    """A pane whose keys are about one table at a time. `tables`: all of it, the first one takes the keys at first."""

    tables: Sequence[LineTable[Any]] = ()

    def compose(self) -> ComposeResult:
        """Lay the tables out, one below the other."""
        yield from self.tables

    @property
    def first(self) -> Widget | None:
        """Its first table."""
        return self.table

    @property
    def table(self) -> LineTable[Any] | None:
        """The table with the focus, else the first."""
        return next((table for table in self.tables if table.has_focus), self.tables[0] if self.tables else None)

    @property
    def facts(self) -> str:
        """Row, number, sort and filter of the table."""
        return "" if self.table is None else self.table.facts

    def clear(self) -> bool:
        """Take back the filter."""
        table = self.table
        if table is None or not table.view.text:
            return False
        table.look(replace(table.view, text=""))
        return True
