"""The one screen of the terminal: lines above and below, and between them the pane where the operator is.

Responsible for going from pane to pane, for the lines around them and for the filter. Knows nothing of what a pane
shows or of what an action does. Invariants: what is typed behind a key that opens something reaches what it opened;
while a field has the focus, letters are text; panes that are out of sight are not painted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from time import monotonic
from typing import ClassVar, Final

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal
from textual.widgets import Input

from lbapp.control.live import STATES_EVERY_S
from lbapp.tui.changes import Changes, Outcome
from lbapp.tui.commanding import Commanding
from lbapp.tui.glyphs import Glyphs
from lbapp.tui.journal import Journal
from lbapp.tui.keys import keys_line, short_keys
from lbapp.tui.pace import Pace, is_terminal_behind
from lbapp.tui.pane import Desk, Pane, TablePane, TypedInto
from lbapp.tui.place import TABS, Place, Way
from lbapp.tui.rights import AWAY, STARTED, Rights
from lbapp.tui.settling import settle
from lbapp.tui.sight import Sight
from lbapp.tui.source import Source
from lbapp.tui.switch import Switch
from lbapp.tui.travel import Travel
from lbapp.tui.travelling import Travelling
from lbapp.tui.widgets.status_line import StatusLine, TextLine
from lbapp.tui.widgets.table import LineTable

TICK_S: Final = 0.5
REST_S: Final = 0.1  # behind the first figures, so that they are painted
WHOLE: Final = (80, 24)  # the smallest screen that shows everything
Panes = Mapping[str, Callable[[Desk], Pane]]


class Shell(Commanding, Travelling):
    """Status and tabs above; facts, outcome and keys below."""

    VERTICAL_BREAKPOINTS = [(0, "-low"), (16, "-high")]  # noqa: RUF012 - the library declares it so
    # All keys are taken with priority, so that they are carried out one behind the other: what is typed right behind one that
    # opens something reaches what it opened, and what is typed behind a move is about where that has led.
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(tab.key, f"tab('{tab.screen}')", tab.title, show=False, priority=True, id=f"go.{tab.screen}")
            for tab in TABS
        ),
        Binding("slash", "filter", "filter", priority=True, id="filter"),
        Binding("p", "pause", "pause", show=False, priority=True, id="pause"),
        Binding("escape", "back", "back: filter, screen", show=False, priority=True, id="back"),
        Binding("W", "why", "which server a client would get", show=False, priority=True, id="why"),
    ]

    source: Switch

    def __init__(self, source: Source, changes: Changes | None, glyphs: Glyphs, panes: Panes) -> None:
        super().__init__()
        self.source = Switch(source)
        self.travel = Travel(self.source, self.tell, self._turned)
        self.changes = changes
        self.rights = Rights(STARTED) if changes is None else changes.rights
        self.sight = Sight(self.source)
        self.desk = Desk(self.sight, glyphs, self.go, self.tell, lambda: not self.why_not_change)
        self._make = panes
        self._panes: dict[str, Pane] = {}
        self._way = Way()
        self._is_paused = self._is_still = False  # wanted, and what is painted: behind a pause, figures come first
        self._has_shown = False  # figures
        self._pace = Pace()
        self._told_s, self._problem = 0.0, ""  # on the monotonic clock: when the lines around the pane were shown
        # Kept here, not looked up: the source may have news while the screen is being built or taken down.
        self._status = StatusLine(id="status")
        self._tabs = TextLine(id="tabs")
        self._nothing = TextLine(id="nothing")
        self._content = Container(id="content")
        self._filter = Input(id="filter", placeholder="text !text /regex/ state:down", compact=True)
        self._facts = TextLine(id="facts")
        self._said = TextLine(id="said", wraps=True)
        self._keys = TextLine(id="keys")

    def compose(self) -> ComposeResult:
        """Lay the screen out."""
        yield self._status
        yield self._tabs
        yield self._nothing
        with self._content:
            yield self._pane(self._way.here.screen)
        with Horizontal(id="context"):
            yield self._filter
            yield self._facts
        yield self._said
        yield self._keys

    def on_mount(self) -> None:
        """Begin to repaint."""
        self._arrive()
        self.set_interval(TICK_S, self._tick)

    def _make_the_rest(self) -> None:
        """Make the panes that are not in sight, together, as the screen is drawn anew each time; then the start is over."""
        if self._content.is_attached:  # whoever leaves at once has it taken down before
            self._content.mount(*[self._pane(name) for name in self._make if name not in self._panes])
            self.call_after_refresh(settle)

    def _pane(self, name: str) -> Pane:
        if name not in self._panes:
            pane = self._make[name](self.desk)
            pane.display = name == self._way.here.screen
            self._panes[name] = pane
        return self._panes[name]

    # ---- where the operator is

    @property
    def here(self) -> Place:
        """Where the operator is."""
        return self._way.here

    @property
    def pane(self) -> Pane:
        """What he sees there."""
        return self._panes[self._way.here.screen]

    @property
    def screens(self) -> Sequence[str]:
        """The names of the screens that there are."""
        return tuple(self._make)

    @property
    def glyphs(self) -> Glyphs:
        """The symbols of this terminal."""
        return self.desk.glyphs

    def go(self, place: Place) -> None:
        """Go on to a place; Esc comes back."""
        self._way.enter(place)
        self._arrive()

    def action_tab(self, screen: str) -> None:
        """Go to the screen of a number key."""
        self._way.begin(Place(screen))
        self._arrive()

    def action_back(self) -> None:
        """Take back the filter or marks; without any, go back."""
        if self._filter.has_focus or self._filter.display or not self.pane.clear():
            if self._filter.display:
                self._filter.display, self._filter.value = False, ""  # what it said does not hold any more
                self.pane.clear()
            elif self._way.leave():
                self._arrive()
            else:
                self.travel.come_home()
        self._focus_pane()
        self.show()

    def _arrive(self) -> None:
        """Be at another place; whoever goes there wants to see it, and keys are about it from now on."""
        self._be_paused(False)
        pane = self._pane(self._way.here.screen)
        if not pane.is_attached:
            self._content.mount(pane)
        for each in self._panes.values():
            if each.display and each is not pane:
                each.leave()
            each.display = each is pane
        pane.visit(self._way.here.subject)
        self._filter.value = pane.table.view.text if pane.table else ""
        self._filter.display = bool(self._filter.value)
        if pane.is_made:
            self._focus_pane()
        self.show(is_elsewhere=True)

    def on_pane_made(self, event: Pane.Made) -> None:
        """Show what is in sight, now that it can be."""
        if event.pane is self.pane:
            self._focus_pane()
            self.show(is_elsewhere=True)

    def _focus_pane(self) -> None:
        self.set_focus(self.pane.first)

    @property
    def why_not_change(self) -> str:
        """Why nothing can be changed now: without the right to, or in the past; empty: it can."""
        return self.rights.why_not or (AWAY if self.source.is_away else "")

    # ---- what is shown

    def show(self, *, is_elsewhere: bool = False) -> None:
        """Show the newest of the source; paused, only the lines around the pane.

        Behind a pause the pane stays PAUSED until there are figures of now; `is_elsewhere`: it is about something else, which is
        not to wait for them, for keys are about it by now.
        """
        self._rest()
        are_old = self.source.is_live and not self.source.has_figures
        if self._is_paused:
            self._is_still = True
        elif self.source.scene is not None and self.pane.is_made and (is_elsewhere or not are_old):
            self.pane.show()
            self._is_still = are_old
            if not self._has_shown:
                self._has_shown = True
                self.set_timer(REST_S, self._make_the_rest)  # the first figures are not to wait for them
        self._tell_of_the_source()
        self._show_lines()

    def _rest(self) -> None:
        """Have no figures come in that nobody sees. A dialog tells of figures, also above a pane that is held still."""
        self.source.rest(is_resting=self._is_paused and self.app.screen is self)

    def show_news(self) -> None:
        """Show what came in from an engine, at the pace of the terminal."""
        is_seen = self.is_attached and not self.source.is_away
        if is_seen and self._pace.may_paint(monotonic(), is_behind=is_terminal_behind(self.app._driver)):
            self.show()

    def _tick(self) -> None:
        """Show ages as they are now, and the pane, where nothing new comes in that would have them shown."""
        self._rest()
        if is_terminal_behind(self.app._driver):
            return  # it would see them late
        if not self.source.is_live:
            self.show()
        elif monotonic() - self._told_s >= (STATES_EVERY_S if self._is_paused else TICK_S):
            self._show_lines()

    def _turned(self) -> None:
        """Show another moment; whoever goes there wants to see it."""
        self._be_paused(False)
        for pane in self._panes.values():
            pane.turn()
        self.refresh_bindings()
        if self._panes:  # else the screen is being built, and shows it then
            self.show(is_elsewhere=True)

    def _tell_of_the_source(self) -> None:
        """Say once why the figures are old, and once that they are new again. Before the first, the screen says it."""
        if self.source.is_away:
            return
        problem = self.source.problem if self.source.scene is not None else ""
        if problem != self._problem:
            self.tell(Outcome(problem or "the engine answers again", is_refused=bool(problem)))
        self._problem = problem

    def _show_lines(self) -> None:
        source, self._told_s = self.source, monotonic()
        freshness = source.freshness
        if source.is_live and self._pace.is_slow:
            freshness += f" every {self._pace.pause_s:.0f}s"
        if source.is_live and (self._is_paused or self._is_still):
            freshness = "PAUSED"
        self._status.tell(source, freshness, "RO" if self.why_not_change else self.scope.word("RW"))
        why_empty = why_nothing(source)
        self._nothing.display = bool(why_empty)
        self._content.display = not why_empty
        self._nothing.say(why_empty)
        self._tabs.say(self._tab_words())
        self._facts.say(facts_line(self.pane.facts, self._undo_offer(), self._facts.size.width))
        keys = short_keys(self, has_selection=bool(self.pane.selection))
        self._keys.say(keys_line([*small_screen(*self.size), *keys], self.size.width))

    def _undo_offer(self) -> str:
        """Return what `z` takes back, and have the journal read when somebody did something."""
        if self.changes is None or self.why_not_change:
            return ""
        journal = self.changes.journal
        if self.source.is_live and journal.has_news():
            self._read_journal(journal)
        return journal.offer

    @work(group="journal")
    async def _read_journal(self, journal: Journal) -> None:
        await journal.follow()

    def _tab_words(self) -> str:
        """Return the numbers and names of the screens; where they have no room, only the name of the one in sight."""
        tabs = [(tab, tab.has(self._way.here.screen)) for tab in TABS if tab.screen in self._make]
        for is_long in (True, False):
            names = [(f"{tab.key} {tab.title}" if is_long or is_here else tab.key, is_here) for tab, is_here in tabs]
            words = "".join(f"[{name}]" if is_here else f" {name} " for name, is_here in names)
            if len(words) <= self.size.width:
                break
        return words

    def tell(self, outcome: Outcome) -> None:
        """Show how something went, until the next outcome."""
        self._said.set_class(outcome.is_refused, "-refused")
        if self.changes is not None:
            self.changes.hear(outcome)
        self._said.say(f" {'! ' if outcome.is_refused else ''}{outcome.message}")

    def greet(self, hint: str) -> None:
        """Say this where nothing has been said yet."""
        if not self._said.text:
            self.tell(Outcome(hint))

    def on_line_table_looked(self, _event: LineTable.Looked) -> None:
        """Say how the table is sorted and filtered now."""
        self._show_lines()

    # ---- the filter, pause

    def action_filter(self) -> None:
        """Open the filter; every key behind this one is text."""
        self._filter.display = True
        self.set_focus(self._filter)
        self._show_lines()  # most keys are letters from now on

    def filter_by(self, text: str) -> None:
        """Filter the list in sight as if it had been typed."""
        if self.pane.table is None:
            self.tell(Outcome("there is no list here to filter", is_refused=True))
            return
        self._filter.display = True
        self._filter.value = text
        if not text:
            self._filter.display = False
            self.pane.clear()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter as it is typed."""
        table = self.pane.table
        if event.input is self._filter and self._filter.display and table is not None:
            table.look(replace(table.view, text=event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go back to the list, which stays filtered."""
        if event.input is self._filter:
            event.input.display = bool(event.value)
            self._focus_pane()

    def action_pause(self) -> None:
        """Hold the pane still, or follow again: what is sorted or filtered meanwhile is what was there."""
        if not self._is_paused and isinstance(self.pane, TablePane) and self.pane.is_attached:
            self.sight.pause()
            self.pane.show()
        self._be_paused(not self._is_paused)
        self.show()

    def _be_paused(self, is_paused: bool) -> None:
        self._is_paused = is_paused
        if not is_paused:
            self.sight.follow()

    def action_why(self) -> None:
        """Ask which server of the pool here a client would get."""
        from lbapp.tui.why import ask_why  # its words are those of requests: the first figures are not to wait for them

        if pool := self.pane.pool_here:
            ask_why(self.app, self.source, pool)
        else:
            self.tell(Outcome("select a pool, a server or a request first"))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Say whether a key exists now: not while typing, and not what changes something without the right to."""
        if action == "act" and self.why_not_change:
            return False
        if action == "scope" and (self.why_not_change or not (self.fleet or self.scope.is_fleet)):
            return False
        if action == "now" and not self.travel.is_away:
            return False
        if action == "tab" and parameters and parameters[0] not in self._make:
            return False
        if action == "filter" and self.pane.table is None:
            return False
        is_typing = isinstance(self.focused, Input | TypedInto)
        return not is_typing or action in ("back", "quit")


def why_nothing(source: Source) -> str:
    """Return why there is nothing to show, and what to do; empty: there is."""
    scene = source.scene
    if scene is None:
        return source.problem or f"asking {source.name}"
    if scene.pools or scene.listeners:
        return ""
    path = scene.engine["configuration_path"] if scene.engine else "its file"
    return f"this engine has no listeners and no pools: write a [[pool]] into {path}, then run: lbapp reload"


def small_screen(width: int, height: int) -> list[tuple[str, str]]:
    """Return what the line of keys says of a screen that has no room for everything."""
    return [(f"{width}x{height}", "is small")] if width < WHOLE[0] or height < WHOLE[1] else []


def facts_line(facts: str, undo: str, width: int) -> str:
    """Return the facts at the left and what can be undone at the right, where both have room."""
    room = width - len(facts) - 4
    return f"{facts}  {undo:>{room}}" if undo and room >= len(undo) else facts
