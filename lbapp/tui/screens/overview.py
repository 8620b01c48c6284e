"""Screen 1: listeners and pools at a glance.

Responsible for what an operator sees first. Knows nothing of keys beyond opening what is wrong. Invariants: those of `pane`.
"""

from __future__ import annotations

from lbapp.tui.columns import listener_kind, pool_kind
from lbapp.tui.pane import Desk, TablePane
from lbapp.tui.place import Place
from lbapp.tui.widgets.table import LineTable


class OverviewPane(TablePane):
    """Listeners above, pools below."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, id="overview")
        self.pools = LineTable(pool_kind(desk.glyphs, desk.source.trends.of), id="pools-at-a-glance")
        self.listeners = LineTable(listener_kind(), id="listeners")
        self.tables = (self.listeners, self.pools)

    @property
    def first(self) -> LineTable[object]:
        """The pools: Enter leads to their servers."""
        return self.pools  # type: ignore[return-value]  # of whichever rows

    def show(self) -> None:
        """Show the newest figures."""
        scene = self.desk.source.scene
        if scene is not None:
            self.listeners.styles.height = min(8, len(scene.listeners) + 1)
            self.listeners.show(scene.listeners)
            self.pools.show(scene.pools)

    @property
    def subject_pool(self) -> str:
        """The pool under the cursor."""
        return self.pools.selected or ""

    def on_line_table_chosen(self, event: LineTable.Chosen) -> None:
        """Open the pool."""
        if event.table is self.pools:
            self.desk.go(Place("pool", event.identity))
