"""Screen 3: every server; and below a pool, its own.

Responsible for the table of servers. Knows nothing of what is done to them. Invariants: those of `pane`.
"""

from __future__ import annotations

from collections.abc import Sequence

from lbapp.tui.columns import server_kind
from lbapp.tui.pane import Desk, TablePane
from lbapp.tui.place import Place
from lbapp.tui.widgets.table import LineTable


class ServersPane(TablePane):
    """All servers."""

    def __init__(self, desk: Desk, *, id: str = "servers") -> None:  # noqa: A002 - Textual's own name
        super().__init__(desk, id=id)
        self.servers = LineTable(server_kind(desk.glyphs, desk.source.trends.of, desk.source.now), id=f"{id}-table")
        self.tables = (self.servers,)

    def show(self) -> None:
        """Show the newest figures."""
        scene = self.desk.source.scene
        if scene is not None:
            self.servers.show(list(scene.servers()))

    @property
    def selection(self) -> Sequence[str]:
        """The server under the cursor."""
        chosen = self.servers.selected
        return () if chosen is None else (chosen,)

    def on_line_table_chosen(self, event: LineTable.Chosen) -> None:
        """Open the server."""
        self.desk.go(Place("server", event.identity))
