"""Screen 5: what happened, who did it, and what became of it.

Responsible for the table of events, for older ones than the source keeps, for the detail and for writing them to a file. Knows
nothing of where they come from. Invariants: those of `pane`; a file is never overwritten.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

import anyio
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from lbapp.control import calls
from lbapp.control.changes import ActionsDone
from lbapp.control.messages import Event
from lbapp.model.errors import LbappError
from lbapp.tui.asking import Job, Poll
from lbapp.tui.audit import Audit
from lbapp.tui.changes import Outcome
from lbapp.tui.dialogs.line import AskLine
from lbapp.tui.dialogs.page import Page
from lbapp.tui.event_columns import AREAS, area_of, happening_kind
from lbapp.tui.exporting import write_lines
from lbapp.tui.format import clean
from lbapp.tui.pane import Desk, TablePane
from lbapp.tui.place import Place
from lbapp.tui.requests_head import views_line
from lbapp.tui.staging import clean_event
from lbapp.tui.tones import Line
from lbapp.tui.widgets.block import Block
from lbapp.tui.widgets.table import LineTable
from lbapp.tui.wording import event_page

ALL: Final = "all"
PAGE: Final = 500  # events that are fetched at a time
OLDER_MAX: Final = 10_000
ACTIONS_MAX: Final = 500
_EVERY_S: Final = 2.0
_WIDE, _TALL = 110, 30


class EventsPane(TablePane):
    """All events that are known, the newest first."""

    DEFAULT_CSS = "EventsPane Block { height: auto; text-wrap: nowrap; text-overflow: clip; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right", "area(1)", "next kind", show=False, priority=True, id="events.next"),
        Binding("left", "area(-1)", "kind before", show=False, priority=True, id="events.before"),
        Binding("f", "follow", "follow", priority=True, id="list.follow"),
        Binding("o", "object", "its object", show=False, priority=True, id="list.object"),
        Binding("O", "older", "older events", show=False, priority=True, id="events.older"),
        Binding("X", "export", "export to a file", show=False, priority=True, id="events.export"),
    ]

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, id="events")
        self.audit = Audit()
        self.events: LineTable[Event] = LineTable(
            happening_kind(desk.glyphs, lambda event: self.audit.word(event)), id="events-table"
        )
        self.tables = (self.events,)
        self.area = ALL
        self.is_following = True
        self._subject = ""
        self._older: list[Event] = []  # than those that the source keeps, oldest first
        self._held: Sequence[Event] = ()
        self._said = ""
        self._views = Block(id="events-kinds")
        self._detail = Block(id="events-detail")
        self._actions: Poll[ActionsDone] = Poll(self, lambda: desk.source, _EVERY_S, self._take_actions)
        self._actions.about(calls.changes(ACTIONS_MAX))

    def compose(self) -> ComposeResult:
        """Lay kinds, list and detail out."""
        yield self._views
        yield self.events
        yield self._detail

    def visit(self, subject: str) -> None:
        """Be about a server, a pool or the node; empty: about everything."""
        if subject != self._subject:
            self._subject, self._older, self._said = subject, [], ""

    def turn(self) -> None:
        """Forget what was fetched: it is of another moment."""
        self._older, self._said = [], ""
        self.audit = Audit()
        self._actions.forget()

    def _take_actions(self) -> None:
        if self._actions.answer is not None:
            self.audit = Audit(self._actions.answer["actions"])

    # ---- what is shown

    def show(self) -> None:
        """Show the newest events."""
        self._actions.ask()
        if self.is_following:
            self._held = self._wanted()
        self.events.show(self._held)
        said = f"  of {self._subject}" if self._subject else ""
        follow = "" if self.is_following else "  held (f)"
        arrows = f"({self.desk.glyphs.left}/{self.desk.glyphs.right})"
        self._views.say([views_line((ALL, *AREAS), self.area, f"{arrows}{said}{follow}")])
        event = self._event(self.events.selected or "") if self._has_room else None
        self._detail.display = event is not None
        self._detail.say(self._detail_lines(event) if event else [])

    def _wanted(self) -> list[Event]:
        """Return the events of the subject and the kind, the newest first."""
        found = [event for event in self._known() if self.area in (ALL, area_of(event))]
        return found[::-1]

    def _known(self) -> list[Event]:
        subject = self._subject
        kept = self.desk.source.events
        first = kept[0]["seq"] if kept else None
        older = [event for event in self._older if first is None or event["seq"] < first]
        return [event for event in (*older, *kept) if not subject or _is_about(event, subject)]

    @property
    def _has_room(self) -> bool:
        return self.app.size.width >= _WIDE and self.app.size.height >= _TALL

    def _detail_lines(self, event: Event) -> list[Line]:
        lines = self._page(event).splitlines()
        found: list[Line] = [[(f" {line}", "plain")] for line in lines if line]
        return [[(" ", "plain")], *found]

    def _page(self, event: Event) -> str:
        return event_page(event, self.audit.lines(event))

    def _event(self, identity: str) -> Event | None:
        return next((each for each in self._held if str(each["seq"]) == identity), None)

    @property
    def facts(self) -> str:
        """Where the cursor is; what came of asking for older ones."""
        return f"{self.events.facts}{f'  {self._said}' if self._said else ''}"

    @property
    def pool_here(self) -> str:
        """The pool of the event under the cursor; empty: it has none, or has only just slid there."""
        event, scene = self._event(self.events.seen), self.desk.source.scene
        pool = scene.pool(event["subject"].partition("/")[0]) if event and scene else None
        return pool.name if pool else ""

    # ---- keys

    def action_area(self, step: int) -> None:
        """Show the next kind."""
        areas = (ALL, *AREAS)
        self.area = areas[(areas.index(self.area) + step) % len(areas)]
        self._held = self._wanted()
        self.show()

    def action_follow(self) -> None:
        """Hold the list, or follow again from the newest."""
        self.is_following = not self.is_following
        if self.is_following:
            self.events.action_go(0)
        self.show()

    def action_object(self) -> None:
        """Go to what the event is about."""
        event, scene = self._event(self.events.selected or ""), self.desk.source.scene
        subject = event["subject"] if event else ""
        if scene and scene.server(subject):
            self.desk.go(Place("server", subject))
        elif scene and scene.pool(subject):
            self.desk.go(Place("pool", subject))
        else:
            self.desk.tell(Outcome(f"{subject or 'this'} is no server and no pool that is there now"))

    def on_line_table_chosen(self, event: LineTable.Chosen) -> None:
        """Show the whole of the event."""
        found = self._event(event.identity)
        if found is not None:
            self.app.push_screen(Page("Event", lambda: self._page(found)))

    def action_older(self) -> None:
        """Fetch events older than those that are here."""
        self.run_worker(Job(self._fetch_older), group="older", exclusive=True)

    async def _fetch_older(self) -> None:
        subject, known = self._subject, self._known()
        before = known[0]["seq"] if known else None
        try:
            found = (await self.desk.source.ask(calls.events(0, PAGE, before=before, subject=subject)))["events"]
        except LbappError as error:
            self.desk.tell(Outcome(clean(str(error)), is_refused=True))
            return
        if subject != self._subject:
            return
        # An engine that knows of no pages answers with the newest, which are here already.
        older = [clean_event(event) for event in found if before is None or event["seq"] < before]
        self._older = [*older, *self._older][-OLDER_MAX:]
        self._said = f"{len(older)} older" if older else "there are no older ones"
        if not self.is_following:
            self._held = self._wanted()
        self.show()

    def action_export(self) -> None:
        """Ask for a file, and write to it what is filtered."""
        shown = self.events.wanted.keep(self._held)
        if self.events.view.problems_only:
            shown = [event for event in shown if self.events.kind.is_problem(event)]
        events = sorted(shown, key=lambda event: event["seq"])

        def answered(name: str | None) -> None:
            if name:
                self.run_worker(Job(self._export, Path(name).expanduser(), events), group="export")

        title = f"Write {len(events):,} events to which file?"
        explanation = "one event a line, as JSON; a file that is there already stays as it is. Enter writes, Esc leaves"
        self.app.push_screen(AskLine(title, explanation, "events.jsonl"), answered)

    async def _export(self, path: Path, events: Sequence[Event]) -> None:
        try:
            number = await anyio.to_thread.run_sync(write_lines, path, events)
        except FileExistsError:
            self.desk.tell(Outcome(f"{clean(str(path))} is there already: give another name", is_refused=True))
        except OSError as error:
            self.desk.tell(Outcome(f"{clean(str(path))} cannot be written: {error.strerror}", is_refused=True))
        else:
            self.desk.tell(Outcome(f"{number:,} events are in {clean(str(path))}"))

    def clear(self) -> bool:
        """Take back the filter, else the kind."""
        if super().clear():
            return True
        if self.area == ALL:
            return False
        self.area = ALL
        self._held = self._wanted()
        return True


def _is_about(event: Event, subject: str) -> bool:
    """Say whether an event is about a subject. A pool is that of its servers, too."""
    return event["subject"] == subject or event["subject"].startswith(f"{subject}/")
