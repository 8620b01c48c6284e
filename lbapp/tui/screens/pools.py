"""Screen 2: every pool.

Responsible for the table of pools. Knows nothing of one pool's servers. Invariants: those of `pane`.
"""

from __future__ import annotations

from lbapp.tui.pane import Desk, TablePane
from lbapp.tui.place import Place
from lbapp.tui.pool_columns import pool_kind
from lbapp.tui.server_columns import Context
from lbapp.tui.widgets.table import LineTable


class PoolsPane(TablePane):
    """All pools."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, id="pools")
        context = Context(desk.glyphs, desk.source.trends.of, desk.source.now)
        self.pools = LineTable(pool_kind(context), id="pools-table")
        self.tables = (self.pools,)

    def show(self) -> None:
        """Show the newest figures."""
        scene = self.desk.source.scene
        if scene is not None:
            self.pools.show(scene.pools)

    def on_line_table_chosen(self, event: LineTable.Chosen) -> None:
        """Open the pool."""
        self.desk.go(Place("pool", event.identity))
