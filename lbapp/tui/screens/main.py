"""The main screen: overview, servers and events behind one another, and the keys that act on them.

Responsible for which key does what, and for what stands on the lines around the tables. Knows nothing of HTTP or of how a
table is drawn. Invariants: a change names the server whose id was under the cursor when its key was pressed; while the
filter has the focus, letters are text; without `changes` the keys that change something do not exist.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import Screen
from textual.widgets import ContentSwitcher, Input

from lbapp.control.messages import AdminWord, ServerStatus
from lbapp.tui.changes import Changes
from lbapp.tui.columns import event_kind, listener_kind, pool_kind, server_kind
from lbapp.tui.feed import Feed
from lbapp.tui.glyphs import Glyphs
from lbapp.tui.listing import shown_columns
from lbapp.tui.screens.confirm import Confirm
from lbapp.tui.screens.page import Page
from lbapp.tui.screens.weight import AskWeight
from lbapp.tui.widgets.status_line import StatusLine, TextLine
from lbapp.tui.widgets.table import LineTable
from lbapp.tui.wording import effect_of, event_page, keys_page, server_page

TICK_S: Final = 0.5
_CHANGING: Final = frozenset({"drain", "maint", "ready", "weight", "add_weight", "undo"})
_TABS: Final = {"overview": "1 Overview", "servers": "2 Servers", "events": "3 Events"}


class MainScreen(Screen[None]):
    """Tables in the middle; status and tabs above; outcome and keys below."""

    AUTO_FOCUS = "#pools"
    # Keys that open something are taken with priority: what is typed right behind them then reaches what they opened.
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "tab('overview')", "overview", show=False, id="tab.overview"),
        Binding("2", "tab('servers')", "all servers", show=False, id="tab.servers"),
        Binding("3", "tab('events')", "events", show=False, id="tab.events"),
        Binding("d", "drain", "drain", priority=True, id="server.drain"),
        Binding("m", "maint", "maint", priority=True, id="server.maint"),
        Binding("e", "ready", "ready", id="server.ready"),
        Binding("w", "weight", "weight", priority=True, id="server.weight"),
        Binding("plus", "add_weight(10)", "weight + 10", show=False, id="server.heavier"),
        Binding("minus", "add_weight(-10)", "weight - 10", show=False, id="server.lighter"),
        Binding("z", "undo", "undo", id="undo"),
        Binding("slash", "filter", "filter", priority=True, id="filter"),
        Binding("exclamation_mark", "problems", "problems only", show=False, id="problems"),
        Binding("s", "sort", "sort", id="sort"),
        Binding("r", "reverse", "reverse the order", show=False, id="reverse"),
        Binding("p", "pause", "pause", show=False, id="pause"),
        Binding("escape", "back", "back: filter, pool, overview", show=False, priority=True, id="back"),
        Binding("question_mark,f1", "help", "help", priority=True, id="help"),
        Binding("q", "app.quit", "quit", id="quit"),
    ]

    def __init__(self, feed: Feed, changes: Changes | None, glyphs: Glyphs) -> None:
        super().__init__()
        self._feed = feed
        self._changes = changes
        self._glyphs = glyphs
        self._pool: str | None = None
        self._is_paused = False
        self._problem = ""

        self.listeners = LineTable(listener_kind(), id="listeners")
        self.pools = LineTable(pool_kind(glyphs, feed.history.of), id="pools")
        self.servers = LineTable(server_kind(glyphs, feed.history.of), id="servers")
        self.events = LineTable(event_kind(), id="events")
        # Kept here, not looked up: the feed may have news while the screen is being built or taken down.
        self._status = StatusLine(id="status")
        self._tabs = TextLine(id="tabs")
        self._filter = Input(id="filter", placeholder="filter: part of a name, address or state", compact=True)
        self._nothing = TextLine(id="nothing")
        self._switcher = ContentSwitcher(initial="overview")
        self._said = TextLine(id="said")
        self._keys_line = TextLine(id="keys")

    def compose(self) -> ComposeResult:
        """Lay the screen out."""
        yield self._status
        yield self._tabs
        yield self._filter
        yield self._nothing
        with self._switcher:
            with Vertical(id="overview"):
                yield self.listeners
                yield self.pools
            yield self.servers
            yield self.events
        yield self._said
        yield self._keys_line

    def on_mount(self) -> None:
        """Begin to repaint."""
        self._keys_line.say(" " + "  ".join(f"{key} {does}" for key, does in self._keys(True)))
        self.show()
        self.set_interval(TICK_S, self._show_lines)

    # ---- what is shown

    def show(self) -> None:
        """Show the newest of the feed; paused, only the lines around the tables."""
        status = self._feed.status
        if status is not None and not self._is_paused:
            self.listeners.show(status["listeners"])
            self.listeners.styles.height = min(8, len(status["listeners"]) + 1)
            self.pools.show(status["pools"])
            pool = self._feed.pool(self._pool) if self._pool else None
            self.servers.show(pool["servers"] if pool else [] if self._pool else self._feed.servers())
            self.events.show(list(self._feed.events)[::-1])
        self._tell_of_the_engine()
        self._show_lines()

    def _tell_of_the_engine(self) -> None:
        """Say once why the figures are old, and once that they are new again. Before the first, the screen says it."""
        problem = self._feed.problem if self._feed.status is not None else ""
        if problem != self._problem:
            self.tell(problem or "the engine answers again", is_refused=bool(problem))
        self._problem = problem

    def _show_lines(self) -> None:
        feed = self._feed
        freshness = "PAUSED" if self._is_paused and feed.is_live else feed.freshness
        self._status.tell(feed.status, freshness, "RO" if self._changes is None else "RW")
        self._nothing.display = feed.status is None
        self._switcher.display = feed.status is not None
        self._nothing.say(feed.problem or f"asking {feed.socket_path}")
        self._tabs.say(self._tab_words())

    def _tab_words(self) -> str:
        names = dict(_TABS)
        if self._pool:
            names["servers"] += f" of {self._pool}"
        tabs = [f"[{name}]" if tab == self._tab else f" {name} " for tab, name in names.items()]
        table = self._table
        row, shown, total = table.place
        facts = [f"{row} of {shown}" if shown == total else f"{row} of {shown}, {total} in all"]
        if table.view.sort is not None:
            facts.append(f"sort {table.kind.columns[table.view.sort].title}{' (held)' if table.is_held else ''}")
        if table.view.text:
            facts.append(f"/{table.view.text}")
        if table.view.problems_only:
            facts.append("! problems only")
        left = f" {''.join(tabs)}"
        return f"{left} {'  '.join(facts).rjust(self.size.width - len(left) - 2)}"

    def tell(self, message: str, *, is_refused: bool = False) -> None:
        """Show how something went, until the next outcome."""
        self._said.set_class(is_refused, "-refused")
        self._said.say(f" {'! ' if is_refused else ''}{message}")

    # ---- where the operator is

    @property
    def _tab(self) -> str:
        return self._switcher.current or "overview"

    @property
    def _table(self) -> LineTable[Any]:
        if self._tab == "overview":
            return self.listeners if self.focused is self.listeners else self.pools
        return self.servers if self._tab == "servers" else self.events

    def _selected_server(self) -> ServerStatus | None:
        if self._tab == "servers" and (identity := self.servers.selected) is not None:
            return self._feed.server(identity)
        self.tell("select a server first: 2 shows all, Enter on a pool its own")
        return None

    def action_tab(self, tab: str, pool: str | None = None) -> None:
        """Go to a tab; `pool`: to the servers of this pool only."""
        self._pool = pool
        self._switcher.current = tab
        self._filter.value = self._table.view.text
        self._filter.display = bool(self._table.view.text)
        self.set_focus(self._table)
        self.show()

    def on_line_table_chosen(self, event: LineTable.Chosen) -> None:
        """Open what Enter was pressed on."""
        if event.table is self.pools:
            self.action_tab("servers", event.identity)
        elif event.table is self.servers:
            identity = event.identity

            def write() -> str:
                return server_page(self._feed.server(identity), self._glyphs, time.time())

            self.app.push_screen(Page(identity, write))
        elif event.table is self.events:
            happened = self._feed.event(int(event.identity))
            self.app.push_screen(Page("Event", lambda: event_page(happened)))

    def action_back(self) -> None:
        """Clear the filter; without one leave the pool; then go to the overview."""
        if self._filter.display:
            self._filter.value, self._filter.display = "", False
            self._look(text="")
            self.set_focus(self._table)
        elif self._pool:
            pool = self._pool
            self.action_tab("overview")
            self.pools.select(pool)
        else:
            self.action_tab("overview")

    # ---- the list

    def _look(self, **changed: Any) -> None:
        self._table.look(replace(self._table.view, **changed))
        self._show_lines()

    def action_filter(self) -> None:
        """Open the filter; every key behind this one is text."""
        self._filter.display = True
        self.set_focus(self._filter)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter as it is typed."""
        if event.input.display:
            self._look(text=event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go back to the list, which stays filtered."""
        event.input.display = bool(event.value)
        self.set_focus(self._table)

    def action_problems(self) -> None:
        """Show problems only, or everything again."""
        self._look(problems_only=not self._table.view.problems_only)

    def action_sort(self) -> None:
        """Sort by the next column, figures from the highest; behind the last comes the order of the configuration."""
        columns = self._table.kind.columns
        choices = [None, *(index for index, _ in shown_columns(columns, self.size.width))]
        now = self._table.view.sort
        following = choices[(choices.index(now) + 1) % len(choices)] if now in choices else None
        is_figure = following is not None and columns[following].is_right
        self._look(sort=following, is_reversed=is_figure)

    def action_reverse(self) -> None:
        """Turn the order around."""
        self._look(is_reversed=not self._table.view.is_reversed)

    def action_pause(self) -> None:
        """Hold the tables still, or follow again."""
        self._is_paused = not self._is_paused
        self.show()

    def action_help(self) -> None:
        """Show every key."""
        self.app.push_screen(Page("Keys", lambda: keys_page(self._keys(False), self.size.width)))

    # ---- changes

    def _change(self, work: Any) -> None:
        self.run_worker(work, group="change")

    def action_ready(self) -> None:
        """Make the server ready."""
        server = self._selected_server()
        if server and self._changes:
            self._change(self._changes.set_state(server["id"], "ready"))

    def action_drain(self) -> None:
        """Ask, then drain the server."""
        self._ask_state("drain", "Drain")

    def action_maint(self) -> None:
        """Ask, then put the server into maintenance."""
        self._ask_state("maint", "Maint")

    def _ask_state(self, state: AdminWord, verb: str) -> None:
        server, changes = self._selected_server(), self._changes
        if server and changes:
            self._ask(server, state, verb, lambda: changes.set_state(server["id"], state))

    def _ask(self, server: ServerStatus, effect: str, verb: str, change: Callable[[], Any]) -> None:
        def answered(is_yes: bool | None) -> None:
            if is_yes:
                self._change(change())

        effects = effect_of(effect, server, self._feed.pool(server["pool"]))
        self.app.push_screen(Confirm(f"{verb} {server['id']}?", effects, verb), answered)

    def action_weight(self) -> None:
        """Ask for a weight; 0 is confirmed like a drain."""
        server, changes = self._selected_server(), self._changes
        if not server or not changes:
            return

        def answered(weight: int | None) -> None:
            if weight == 0:
                self._ask(server, "weight 0", "Weight 0", lambda: changes.set_weight(server["id"], 0))
            elif weight is not None:
                self._change(changes.set_weight(server["id"], weight))

        self.app.push_screen(AskWeight(server["id"], server["weight"], server["configured_weight"]), answered)

    def action_add_weight(self, step: int) -> None:
        """Make the server's weight larger or smaller."""
        server = self._selected_server()
        if server and self._changes:
            self._change(self._changes.add_weight(server["id"], step))

    def action_undo(self) -> None:
        """Take back the last change of this console."""
        if self._changes:
            self._change(self._changes.undo())

    # ---- keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Say whether a key exists now: not while typing, and not what changes something without the right to."""
        if action in _CHANGING and self._changes is None:
            return False
        is_typing = isinstance(self.focused, Input)
        return not is_typing or action in ("back", "app.quit", "quit")

    def _keys(self, is_short: bool) -> Iterator[tuple[str, str]]:
        names = {"slash": "/", "plus": "+", "minus": "-", "exclamation_mark": "!", "question_mark": "?"}
        for binding in self.BINDINGS:
            if not isinstance(binding, Binding) or (is_short and not binding.show):
                continue
            if binding.action in _CHANGING_ACTIONS and self._changes is None:
                continue
            keys = [names.get(key, "Esc" if key == "escape" else key) for key in binding.key.split(",")]
            yield keys[0] if is_short else " ".join(keys), binding.description
        if not is_short:
            yield from (
                ("Enter", "open"),
                ("up down k j", "move"),
                ("Home End g G", "first, last"),
                ("Tab", "next table"),
            )


_CHANGING_ACTIONS: Final = _CHANGING | {"add_weight(10)", "add_weight(-10)"}
