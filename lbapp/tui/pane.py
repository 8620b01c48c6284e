"""What a screen of the console is: a pane between the lines that the shell draws.

Responsible for what a pane has to answer to the shell, and for what the shell gives to a pane. Knows nothing of any one
screen.

Invariants: a pane reads the source and never writes it; it is shown twice a second while it is in sight, and costs
nothing while it is not; actions are about what `selection` names when their key is pressed, which is ids, never rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.widget import Widget

from lbapp.tui.actions.node_seen import NodeSeen
from lbapp.tui.glyphs import Glyphs
from lbapp.tui.place import Place
from lbapp.tui.source import Source

if TYPE_CHECKING:
    from lbapp.tui.changes import Outcome
    from lbapp.tui.widgets.table import LineTable


class TypedInto:
    """A widget in which letters are text."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What every pane works with. `go`: on to a place; `tell`: an outcome on its line; `is_allowed`: to change."""

    source: Source
    glyphs: Glyphs
    go: Callable[[Place], None]
    tell: Callable[[Outcome], None]
    is_allowed: Callable[[], bool] = lambda: False

    @property
    def may_change(self) -> bool:
        """Say whether something may be changed now."""
        return self.is_allowed()


class Pane(Vertical):
    """One screen. `is_made`: all of it is there, so that it can show something and take keys."""

    class Made(Message):
        """All of a pane is there."""

        def __init__(self, pane: Pane) -> None:
            super().__init__()
            self.pane = pane

    def __init__(self, desk: Desk, *, id: str) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id, classes="pane")
        self.desk = desk
        self.is_made = False

    def on_mount(self) -> None:
        """Tell that all of it is there. Textual does so when what it is composed of is mounted, too."""
        self.is_made = True
        self.post_message(self.Made(self))

    def visit(self, subject: str) -> None:
        """Be about something else from now on; empty: about everything."""

    def turn(self) -> None:
        """Forget what was asked for: the source is of another moment from now on."""

    def show(self) -> None:
        """Show the newest of the source."""
        raise NotImplementedError

    def leave(self) -> None:
        """Be out of sight from now on: nothing more is to be asked for."""

    @property
    def first(self) -> Widget | None:
        """The widget that takes the keys when the pane comes into sight."""
        return None

    @property
    def with_focus(self) -> Widget | None:
        """The widget that takes keys now, in this pane or elsewhere, whether it has heard of that yet or not."""
        return self.screen.focused if self.is_attached else None

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
    def is_of_nodes(self) -> bool:
        """Say whether an action of a node is about one of several, that of the cursor."""
        return False

    @property
    def node_here(self) -> NodeSeen | None:
        """The node under the cursor of a list of nodes; None: there is none, or it is not clear which."""
        return None

    @property
    def pool_here(self) -> str:
        """The pool of what is under the cursor; empty: it has none, or has only just slid there."""
        scene, chosen = self.desk.source.scene, self.selection
        if scene is None:
            return ""
        server = scene.server(chosen[0]) if chosen else None
        if server is not None:
            return server.target.pool
        pool = scene.pool(self.table.seen if self.table else "")
        return pool.name if pool else ""

    def clear(self) -> bool:
        """Take back a filter or marks; say whether there was anything to take back."""
        return False


class DetailPane(Pane):
    """A screen about one of several, such as one pool. `screen_name`: its own, as places call it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("b", "sibling(-1)", "the one before", show=False, priority=True, id="detail.before"),
        Binding("n", "sibling(1)", "the next one", show=False, priority=True, id="detail.next"),
    ]
    screen_name: ClassVar[str] = ""
    subject = ""

    def visit(self, subject: str) -> None:
        """Be about another one."""
        self.subject = subject

    def subjects(self) -> Sequence[str]:
        """Return the subjects that this one stands among, in their order."""
        raise NotImplementedError

    @property
    def rank(self) -> str:
        """Which of its subjects this one is, as `5 of 40`; empty: it is not there any more."""
        subjects = list(self.subjects())
        return f"{subjects.index(self.subject) + 1:,} of {len(subjects):,}" if self.subject in subjects else ""

    def action_sibling(self, step: int) -> None:
        """Go to the next one, or the one before; behind the last comes the first. When this one is gone: to the first."""
        subjects = list(self.subjects())
        if subjects:
            here = subjects.index(self.subject) + step if self.subject in subjects else 0
            self.desk.go(Place(self.screen_name, subjects[here % len(subjects)]))


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
        with_focus = self.with_focus
        return next((table for table in self.tables if table is with_focus), self.tables[0] if self.tables else None)

    @property
    def facts(self) -> str:
        """Row, number, sort and filter of the table."""
        return "" if self.table is None else self.table.facts

    def clear(self) -> bool:
        """Take back the filter, else the marks."""
        table = self.table
        if table is None or not table.view.text:
            return table is not None and table.clear_marks()
        table.look(replace(table.view, text=""))
        return True
