"""Below screen 2: one pool and its servers.

Responsible for what is particular to one pool. Knows nothing of what is done to its servers. Invariants: those of `pane`.
"""

from __future__ import annotations

from lbapp.tui.pane import Desk
from lbapp.tui.screens.servers import ServersPane


class PoolPane(ServersPane):
    """The servers of one pool."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, id="pool")
        self._pool = ""

    def visit(self, subject: str) -> None:
        """Be about another pool."""
        self._pool = subject

    def show(self) -> None:
        """Show the newest figures."""
        scene = self.desk.source.scene
        if scene is not None:
            pool = scene.pool(self._pool)
            self.servers.show(pool.servers if pool else [])

    @property
    def subject_pool(self) -> str:
        """The pool in sight."""
        return self._pool

    @property
    def facts(self) -> str:
        """The pool, and where the cursor is."""
        return f"pool {self._pool}  {super().facts}"
