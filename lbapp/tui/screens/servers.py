"""Screen 3: every server; and below a pool, its own.

Responsible for the table of servers and for its sets of columns. Knows nothing of what is done to them. Invariants: those of
`pane`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from textual.app import ComposeResult

from lbapp.tui.pane import Desk, TablePane
from lbapp.tui.place import Place
from lbapp.tui.rates import Rates
from lbapp.tui.scene import Scene, ServerRow
from lbapp.tui.server_columns import Context, server_kind
from lbapp.tui.widgets.pane_line import PaneLine
from lbapp.tui.widgets.table import LineTable


class ServersPane(TablePane):
    """All servers. A subject is a filter to begin with."""

    def __init__(self, desk: Desk, *, id: str = "servers", is_of_one_pool: bool = False) -> None:  # noqa: A002 - Textual's own name
        super().__init__(desk, id=id)
        self._rates = Rates()
        context = Context(desk.glyphs, desk.source.trends.of, desk.source.now, self._rates)
        self.servers = LineTable(
            server_kind(context, is_of_one_pool=is_of_one_pool), id=f"{id}-table", mark=desk.glyphs.mark
        )
        self.tables = (self.servers,)
        self._sets = PaneLine()

    def compose(self) -> ComposeResult:
        """Lay out the columns' line and the table."""
        yield self._sets
        yield self.servers

    def visit(self, subject: str) -> None:
        """Filter by the subject; without one, as it was."""
        if subject:
            self.servers.look(replace(self.servers.view, text=subject))

    def turn(self) -> None:
        """Forget the totals: they are of another moment."""
        self._rates.forget()

    def rows(self, scene: Scene) -> Sequence[ServerRow]:
        """Return the servers that stand in the table."""
        return list(scene.servers())

    def show(self) -> None:
        """Show the newest figures."""
        scene = self.desk.source.scene
        if scene is not None:
            rows = self.rows(scene)
            self._rates.take(scene.at, rows)
            self.servers.show(rows)
            self._show_sets()

    def on_line_table_looked(self, _event: LineTable.Looked) -> None:
        """Say which columns there are now."""
        self._show_sets()

    def _show_sets(self) -> None:
        kind, glyphs = self.servers.kind, self.desk.glyphs
        current = kind.sets[self.servers.view.columns]
        words = " ".join(f"[{each}]" if each == current else each for each in kind.sets)
        self._sets.say_both(f" columns {words} ({glyphs.left}/{glyphs.right})", self.beside_the_columns())

    def beside_the_columns(self) -> str:
        """Return what stands at the right of the line of the columns."""
        return ""

    @property
    def selection(self) -> Sequence[str]:
        """The servers that are marked, else the one under the cursor."""
        return self.servers.chosen

    def on_line_table_chosen(self, event: LineTable.Chosen) -> None:
        """Open the server."""
        self.desk.go(Place("server", event.identity))
