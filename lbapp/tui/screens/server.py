"""Below screen 3: everything about one server.

Responsible for asking the engine for its figures while it is in sight, and for showing them. Knows nothing of what is done to it.
Invariants: those of `pane`; what is shown is of the server that was visited, never of another.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from lbapp.control import calls
from lbapp.control.messages import ServerStatus
from lbapp.model.errors import LbappError
from lbapp.tui.format import clean
from lbapp.tui.pane import Desk, Pane
from lbapp.tui.staging import clean_value
from lbapp.tui.wording import server_page


class ServerPane(Pane):
    """One server."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, id="server")
        self._server_id = ""
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
        self._server_id, self._found, self._problem = subject, None, ""

    def turn(self) -> None:
        """Ask anew: the answer is of another moment."""
        self.visit(self._server_id)

    def show(self) -> None:
        """Show the newest answer, and ask for the next."""
        if self._found is not None:
            self._text.update(Text(server_page(self._found, self.desk.glyphs, self.desk.source.now())))
        else:
            self._text.update(Text(self._problem or f"asking for {self._server_id}"))
        if not self._is_asking:
            self._is_asking = True
            self.run_worker(self._ask(self._server_id), group="server")

    async def _ask(self, server_id: str) -> None:
        scene = self.desk.source.scene
        row = scene.server(server_id) if scene else None
        try:
            if row is None:
                raise LbappError("this server is not there any more")
            found = clean_value(await self.desk.source.ask(calls.server(row.target.id)))
        except LbappError as error:
            if server_id == self._server_id:
                self._found, self._problem = None, clean(str(error))
            return
        finally:
            self._is_asking = False
        if server_id == self._server_id:
            self._found = found

    @property
    def facts(self) -> str:
        """Which server it is."""
        return f"server {self._server_id}"

    @property
    def selection(self) -> Sequence[str]:
        """This server."""
        return (self._server_id,)
