"""The console as an application: wiring only.

Responsible for putting source, changes, symbols and panes together. Knows nothing of figures or of what a key does.
Invariant: the console changes nothing that the engine has not answered for, and with `read_only` nothing at all.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar, Final

from anyio import to_thread
from textual import work
from textual.app import App
from textual.binding import Binding, BindingType

from lbapp.tui.changes import Changes, Outcome
from lbapp.tui.feed import Feed
from lbapp.tui.glyphs import glyphs_for
from lbapp.tui.hints import first_hint, hints_file
from lbapp.tui.journal import Journal
from lbapp.tui.rights import Rights
from lbapp.tui.screens.events import EventsPane
from lbapp.tui.screens.overview import OverviewPane
from lbapp.tui.screens.pool import PoolPane
from lbapp.tui.screens.pools import PoolsPane
from lbapp.tui.screens.server import ServerPane
from lbapp.tui.screens.servers import ServersPane
from lbapp.tui.shell import Panes, Shell

PANES: Final[Panes] = {
    "overview": OverviewPane,
    "pools": PoolsPane,
    "pool": PoolPane,
    "servers": ServersPane,
    "server": ServerPane,
    "events": EventsPane,
}


class LbappConsole(App[None]):
    """The operator's console for the engine on one control socket."""

    TITLE = "lbapp"
    CSS_PATH = "lbapp.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c", "quit", "quit", show=False, priority=True)]

    def __init__(self, socket_path: Path, *, read_only: bool = False) -> None:
        # Its colours are the terminal's own, so they hold on the eight of a Linux console too. Said here as well: Textual
        # chooses its filter for NO_COLOR before it knows the theme, and the wrong one paints black on black.
        super().__init__(ansi_color=True)
        self.theme = "ansi-dark"
        self.animation_level = "none"
        self.feed = Feed(socket_path, self._changed)
        journal = Journal(self.feed, os.getuid())
        changes = None if read_only else Changes(self.feed, lambda told: self.shell.tell(told), journal, Rights())
        self.shell = Shell(self.feed, changes, glyphs_for(os.environ), PANES)

    def on_mount(self) -> None:
        """Show the shell and begin to follow the engine."""
        self.push_screen(self.shell)
        self.run_worker(self.feed.run(), group="feed", exclusive=True)
        self._welcome()

    @work(group="hint")
    async def _welcome(self) -> None:
        """Say at the first start how to go on."""
        if hint := await to_thread.run_sync(first_hint, hints_file(os.environ)):
            self.shell.tell(Outcome(hint))

    def _changed(self) -> None:
        if self.shell.is_mounted and not self._is_behind():
            self.shell.show()

    def _is_behind(self) -> bool:
        """Say whether the terminal has not taken the last frame yet: painting more would show it old figures."""
        writer = getattr(self._driver, "_writer_thread", None)
        queue = getattr(writer, "_queue", None)
        return queue is not None and queue.qsize() > 0


def run_console(socket_path: Path, *, read_only: bool = False) -> int:
    """Run the console until it is left; return the exit status."""
    console = LbappConsole(socket_path, read_only=read_only)
    console.run()
    return console.return_code or 0
