"""Below screen 3: everything about one server.

Responsible for asking the engine for its figures while it is in sight, and for showing them. Knows nothing of what is done to it.
Invariants: those of `pane`; what is shown is of the server that was visited, never of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from lbapp.control import calls
from lbapp.control.messages import ServerStatus
from lbapp.model.errors import LbappError
from lbapp.tui.format import clean
from lbapp.tui.pane import Desk, DetailPane
from lbapp.tui.staging import clean_value
from lbapp.tui.wording import server_page


class ServerPane(DetailPane):
    """One server."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("k", "sibling(-1)", "server before", show=False, priority=True, id="server.before"),
        Binding("j", "sibling(1)", "next server", show=False, priority=True, id="server.next"),
    ]
    screen_name = "server"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, id="server")
        self._found: ServerStatus | None = None
        self._problem = ""
        self._is_asking = False
        self._text = Static(markup=False)
        self._scroll = VerticalScroll(self._text, can_focus=True)

    def compose(self) -> ComposeResult:
        """Lay the text out."""
        yield self._scroll

    @property
    def first(self) -> Widget:
        """The text, which scrolls."""
        return self._scroll

    def visit(self, subject: str) -> None:
        """Be about another server."""
        super().visit(subject)
        self._found, self._problem = None, ""

    def subjects(self) -> Sequence[str]:
        """Return the servers of its pool."""
        scene = self.desk.source.scene
        row = scene.server(self.subject) if scene else None
        pool = scene.pool(row.pool) if scene and row else None
        return [each.id for each in pool.servers] if pool else ()

    def show(self) -> None:
        """Show the newest answer, and ask for the next."""
        if self._found is not None:
            self._text.update(Text(server_page(self._found, self.desk.glyphs, self.desk.source.now())))
        else:
            self._text.update(Text(self._problem or f"asking for {self.subject}"))
        if not self._is_asking:
            self._is_asking = True
            self.run_worker(self._ask(self.subject), group="server")

    async def _ask(self, server_id: str) -> None:
        scene = self.desk.source.scene
        row = scene.server(server_id) if scene else None
        try:
            if row is None:
                raise LbappError("this server is not there any more")
            found = clean_value(await self.desk.source.ask(calls.server(row.target.id)))
        except LbappError as error:
            if server_id == self.subject:
                self._found, self._problem = None, clean(str(error))
            return
        finally:
            self._is_asking = False
        if server_id == self.subject:
            self._found = found

    @property
    def facts(self) -> str:
        """Which server it is."""
        rank = self.rank
        return f"server {self.subject}{f'  {rank} in its pool' if rank else ''}"

    @property
    def selection(self) -> Sequence[str]:
        """This server."""
        return (self.subject,)
