"""The console as an application: wiring only.

Responsible for putting source, changes, symbols and panes together. Knows nothing of figures or of what a key does.
Invariant: the console changes nothing that the engine has not answered for, and with `read_only` nothing at all.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from anyio import to_thread
from textual import work
from textual.binding import Binding, BindingType

from lbapp.tui.changes import Changes
from lbapp.tui.dressed import Dressed, Look
from lbapp.tui.feed import Feed
from lbapp.tui.hints import first_hint, hints_file
from lbapp.tui.journal import Journal
from lbapp.tui.pane import Desk, Pane
from lbapp.tui.rights import Rights
from lbapp.tui.screens.overview import OverviewPane
from lbapp.tui.settling import STARTED_S, settle
from lbapp.tui.shell import Panes, Shell
from lbapp.tui.travel import Start

if TYPE_CHECKING:
    from lbapp.control.ssh import Link
    from lbapp.tui.kept import Kept


def _opened(origin: Path | Link | Kept) -> Kept | tuple[Path, Link | None]:
    """Return a file, or a socket and what brings it here. What reads files is loaded only where there may be one."""
    if isinstance(origin, Path):
        return origin, None
    from lbapp.tui.kept import Kept

    return origin if isinstance(origin, Kept) else (origin.socket, origin)


def _late(module: str, name: str) -> Callable[[Desk], Pane]:
    """Return what makes a pane whose module is imported only then: the first figures are not to wait for it."""

    def make(desk: Desk) -> Pane:
        pane = getattr(import_module(f"lbapp.tui.screens.{module}"), name)(desk)
        assert isinstance(pane, Pane)
        return pane

    return make


PANES: Final[Panes] = {
    "overview": OverviewPane,
    "pools": _late("pools", "PoolsPane"),
    "pool": _late("pool", "PoolPane"),
    "servers": _late("servers", "ServersPane"),
    "server": _late("server", "ServerPane"),
    "requests": _late("requests", "RequestsPane"),
    "events": _late("events", "EventsPane"),
    "config": _late("config", "ConfigPane"),
    "nodes": _late("nodes", "NodesPane"),
}


class LbappConsole(Dressed):
    """The operator's console. `origin`: the control socket of an engine here or elsewhere, or a file that keeps what was.

    `start`: the moment that is looked at first. `look`: by itself what the terminal can show.
    `feed`: what follows the engine; a file has none.
    """

    feed: Feed

    TITLE = "lbapp"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c", "quit", "quit", show=False, priority=True)]

    def __init__(
        self,
        origin: Path | Link | Kept,
        *,
        read_only: bool = False,
        start: Start | None = None,
        panes: Panes = PANES,
        look: Look | None = None,
    ) -> None:
        super().__init__(look or Look.of(os.environ))
        self._start = start
        self.is_ended = False  # by a signal
        changes = None
        opened = _opened(origin)
        if isinstance(opened, tuple):
            socket, link = opened
            self.feed = Feed(socket, self._changed, link)
            journal = Journal(self.feed, os.getuid() if link is None else None)
            if not read_only:
                changes = Changes(self.feed, lambda outcome: self.shell.tell(outcome), journal, Rights())
        source = self.feed if isinstance(opened, tuple) else opened
        self.shell = Shell(source, changes, self.look.glyphs, panes)

    def on_mount(self) -> None:
        """Show the shell and begin to follow the engine, if there is one."""
        for number in (signal.SIGTERM, signal.SIGHUP):  # as q does: the terminal is given back as it was
            asyncio.get_running_loop().add_signal_handler(number, self.end)
        self.push_screen(self.shell)
        self.set_timer(STARTED_S, settle)
        if isinstance(self.shell.source.home, Feed):
            self.run_worker(self.shell.source.home.run(), group="feed", exclusive=True)
        if self._start is not None:
            self.run_worker(self.shell.travel.go(self._start), group="time")
        self._welcome()

    def end(self) -> None:
        """Leave because the terminal goes or somebody says so."""
        self.is_ended = True
        self.exit()

    @work(group="hint")
    async def _welcome(self) -> None:
        """Say at the first start how to go on."""
        if hint := await to_thread.run_sync(first_hint, hints_file(os.environ)):
            self.shell.greet(hint)

    def _changed(self) -> None:
        self.shell.show_news()


def run_console(
    origin: Path | Link | Kept, *, read_only: bool = False, start: Start | None = None, look: Look | None = None
) -> int:
    """Run the console until it is left; return the exit status."""
    console = LbappConsole(origin, read_only=read_only, start=start, look=look)
    console.run()
    return console.return_code or 0
