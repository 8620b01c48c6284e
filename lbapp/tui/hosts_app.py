"""The nodes of several hosts without a store, before one of them is gone into.

Responsible for this one screen, and for opening the console of a host and coming back. Knows nothing of how hosts are asked.
Invariants: nothing can be changed here; a host that does not answer stands there with its age and the reason; the terminal is
left as it was.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Sequence
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from lbapp.control.fleet import FleetStatus
from lbapp.control.fleet_words import nodes_ready, totals
from lbapp.control.hosts import HostAnswer, Place, names_of, silent, together
from lbapp.tui.app import LbappConsole
from lbapp.tui.dressed import Dressed, Look
from lbapp.tui.format import clock, count, duration, share
from lbapp.tui.hosts_watch import HostsWatch, HostWatch
from lbapp.tui.node_columns import NodeRow, node_kind
from lbapp.tui.node_words import node_lines_of
from lbapp.tui.settling import STARTED_S, settle
from lbapp.tui.sparing import SparingScreen
from lbapp.tui.tones import Line
from lbapp.tui.widgets.block import Block
from lbapp.tui.widgets.status_line import TextLine
from lbapp.tui.widgets.table import LineTable

_TICK_S: Final = 0.5
_KEYS: Final = " Enter opens its console, q there comes back  ! problems only  s sort  q quit"
_ROWS_MAX: Final = 12


def hosts_lines(answers: Sequence[HostAnswer], found: FleetStatus, now: float) -> list[Line]:
    """Return what all hosts carry together, and which of them do not answer, since when and why."""
    carried = totals(found["members"])
    words = f" together {count(carried.requests_per_s)} req/s  {count(carried.connections)} connections"
    lines: list[Line] = [
        [(f"{words}  {count(carried.in_flight)} in flight  errors {share(carried.error_rate)}", "plain")]
    ]
    for answer in silent(answers):
        age = f"silent for {duration(now - answer.at)}" if answer.at else "never heard"
        lines.append([(f" ! {answer.place} {age}: {answer.problem}", "bad")])
    return lines


class HostsScreen(SparingScreen[None]):
    """The list of nodes, and the one under the cursor below it."""

    DEFAULT_CSS = """
    HostsScreen > Block { height: auto; }
    HostsScreen > #host-portrait { height: 1fr; margin-top: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("q,escape", "leave", "quit", priority=True, id="hosts.quit")]

    def __init__(self, watch: HostsWatch, look: Look) -> None:
        super().__init__()
        self.chosen: HostWatch | None = None
        self._watch = watch
        self._status = TextLine(id="status")
        self._head = Block(id="hosts-head")
        self.nodes: LineTable[NodeRow] = LineTable(node_kind(look.glyphs), id="hosts")
        self._portrait = Block(id="host-portrait")
        self._keys = TextLine(_KEYS, id="keys")

    def compose(self) -> ComposeResult:
        """Lay it out."""
        yield self._status
        yield self._head
        yield self.nodes
        yield self._portrait
        yield self._keys

    def on_mount(self) -> None:
        """Begin to ask, and to show ages as they are."""
        self.set_focus(self.nodes)
        self.run_worker(self._watch.run(self.show), group="hosts")
        self.set_interval(_TICK_S, self.show)
        self.show()

    def show(self) -> None:
        """Show the last answers."""
        answers, now = self._watch.answers, time.time()
        found = together(answers)
        words = f" lbapp  {len(answers)} hosts, each asked by itself  RO  {nodes_ready(found)}"
        self._status.set_class(bool(silent(answers)), "-attention")
        self._status.say(f"{words}{clock(now):>{max(2, self.size.width - len(words) - 1)}} ")
        self._head.say(hosts_lines(answers, found, now))
        rows = [NodeRow(member, found, now) for member in found["members"]]  # as they were named
        self.nodes.show(rows)
        self.nodes.styles.height = 1 + min(len(rows), _ROWS_MAX)
        chosen = next((row for row in rows if row.name == self.nodes.selected), None)
        self._portrait.say([] if chosen is None else node_lines_of(found, chosen.member, now))

    def on_line_table_chosen(self, event: LineTable.Chosen) -> None:
        """Go into the console of the host that was chosen."""
        names = names_of(self._watch.answers)
        if event.identity in names:
            self.chosen = self._watch.hosts[names.index(event.identity)]
            self.app.exit()

    def action_leave(self) -> None:
        """End the console."""
        self.app.exit()


class HostsConsole(Dressed):
    """Shows the hosts until one is chosen or it is left. `is_ended`: by a signal."""

    TITLE = "lbapp"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c", "quit", "quit", show=False, priority=True)]

    def __init__(self, watch: HostsWatch, look: Look) -> None:
        super().__init__(look)
        self.hosts = HostsScreen(watch, look)
        self.is_ended = False

    def on_mount(self) -> None:
        """Show the hosts."""
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, self.end)
        self.push_screen(self.hosts)
        self.set_timer(STARTED_S, settle)

    def end(self) -> None:
        """Leave because the terminal goes or somebody says so."""
        self.is_ended = True
        self.exit()


def run_hosts(places: Sequence[Place], *, read_only: bool, look: Look) -> int:
    """Show hosts, and the console of whichever is chosen, until that is left; return the exit status."""
    with HostsWatch(places) as watch:
        while True:
            console = HostsConsole(watch, look)
            console.run()
            chosen = console.hosts.chosen
            if chosen is None or console.is_ended:
                return console.return_code or 0
            inner = LbappConsole(chosen.origin, read_only=read_only, look=look)
            inner.run()
            if inner.is_ended:
                return inner.return_code or 0
