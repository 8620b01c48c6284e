"""Screen 4: requests, as they end and while they are in flight.

Responsible for the views and their keys. Knows nothing of where rows come from. Invariants: those of `pane`; the log is followed
only while the screen is in sight; closing a connection is asked about first, and names the one that was under the cursor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widget import Widget

from lbapp.control import calls
from lbapp.control.looking import CaptureStatus, SessionStatus
from lbapp.model.errors import LbappError
from lbapp.tui.actions.catalog import GONE
from lbapp.tui.asking import Job
from lbapp.tui.changes import Outcome
from lbapp.tui.dialogs.page import Page
from lbapp.tui.dialogs.question import Asked, Question, Yes
from lbapp.tui.exchange_words import capture_page, ended, exchange_page, session_page, timing_line
from lbapp.tui.exchanges import ROWS_PER_S, SLOW_MS, ExchangeRow
from lbapp.tui.filtering import Filter
from lbapp.tui.format import clean, count
from lbapp.tui.log_query import ask_engine
from lbapp.tui.looked_at import LookedAt
from lbapp.tui.pane import Desk, TablePane
from lbapp.tui.place import Place
from lbapp.tui.request_columns import (
    capture_id,
    capture_kind,
    exchange_kind,
    group_kind,
    session_kind,
)
from lbapp.tui.requests_head import TALL, WIDE, head_lines, views_line
from lbapp.tui.sample import GROUPINGS, Group
from lbapp.tui.tones import Line
from lbapp.tui.why import show_why
from lbapp.tui.widgets.block import Block
from lbapp.tui.widgets.table import LineTable


@dataclass(frozen=True, slots=True)
class _View:
    """One way to look. `query`: what the engine is asked for; `is_log`: it shows exchanges as they end."""

    name: str
    query: Mapping[str, str]
    is_log: bool = False


STREAM: Final = _View("stream", {}, is_log=True)
IN_FLIGHT: Final = _View("in flight", {})
SLOW: Final = _View("slow", {"slower_ms": f"{SLOW_MS:g}"}, is_log=True)
FAILING: Final = _View("failing", {"failed": "1"}, is_log=True)
TOP: Final = _View("top", {})
MALFORMED: Final = _View("malformed", {})
VIEWS: Final = (STREAM, IN_FLIGHT, SLOW, FAILING, TOP, MALFORMED)


class RequestsPane(TablePane):
    """Requests."""

    DEFAULT_CSS = "RequestsPane Block { height: auto; text-wrap: nowrap; text-overflow: clip; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right", "view(1)", "next view", show=False, priority=True, id="requests.next"),
        Binding("left", "view(-1)", "view before", show=False, priority=True, id="requests.before"),
        Binding("i", "in_flight", "in flight", show=False, priority=True, id="requests.in_flight"),
        Binding("b", "group", "top, by the next", show=False, priority=True, id="requests.top"),
        Binding("f", "follow", "follow", priority=True, id="list.follow"),
        Binding("o", "server", "its server", show=False, priority=True, id="list.object"),
        Binding("C", "close", "close connection", priority=True, id="requests.close"),
    ]

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, id="requests")
        self.looked_at = LookedAt(self, lambda: desk.source)
        self.exchanges: LineTable[ExchangeRow] = LineTable(exchange_kind(), id="exchanges")
        self.sessions: LineTable[SessionStatus] = LineTable(session_kind(), id="sessions")
        self.groups: LineTable[Group] = LineTable(group_kind(self.looked_at.grouping), id="groups")
        self.captures: LineTable[CaptureStatus] = LineTable(capture_kind(desk.glyphs), id="captures")
        self.tables = (self.exchanges, self.sessions, self.groups, self.captures)
        self.view = STREAM
        self.is_following = True
        self._head = Block(id="requests-head")
        self._views = Block(id="requests-views")
        self._detail = Block(id="requests-detail")
        self._subject = ""
        self._told = ""
        self._wanted_by: tuple[str, str] | None = None

    def compose(self) -> ComposeResult:
        """Lay head, views, the lists and the detail out."""
        yield self._head
        yield self._views
        for table in self.tables:
            table.display = table is self.table
            yield table
        yield self._detail

    # ---- what is looked at

    @property
    def table(self) -> LineTable[Any]:
        """The list of the view."""
        own: dict[str, LineTable[Any]] = {
            IN_FLIGHT.name: self.sessions,
            TOP.name: self.groups,
            MALFORMED.name: self.captures,
        }
        return own.get(self.view.name, self.exchanges)

    @property
    def first(self) -> Widget:
        """The list of the view."""
        return self.table

    def visit(self, subject: str) -> None:
        """Be about what a filter wants; empty: about everything."""
        if subject != self._subject or (subject and subject != self.table.view.text):
            self._subject = subject
            self._look_at(STREAM if subject else self.view, subject)

    def turn(self) -> None:
        """Forget what was seen: it is of another moment."""
        self.looked_at.forget()
        self._wanted_by = None

    def leave(self) -> None:
        """Look no more."""
        self.looked_at.stop()

    def _look_at(self, view: _View, text: str) -> None:
        had_focus = any(table.has_focus for table in self.tables)
        self.view = view
        table = self.table
        for each in self.tables:
            each.display = each is table
        if table.view.text != text:
            table.look(replace(table.view, text=text))
        if had_focus:
            self.screen.set_focus(table)
        self.show()

    # ---- what is shown

    def show(self) -> None:
        """Take over what came, and show it."""
        if not self.display:
            return
        self._want()
        self.looked_at.ask_sessions()
        self.looked_at.fetch(is_following=self.is_following)
        if self.view.is_log:
            self.exchanges.show(self.looked_at.shown.rows)
        elif self.view is IN_FLIGHT:
            if self.is_following:
                self.sessions.show(self.looked_at.sessions)
        elif self.view is TOP:
            self.groups.show(self.looked_at.groups())
        else:
            self.looked_at.ask_captures()
            self.captures.show(self.looked_at.captures)
        self._show_lines()

    def _want(self) -> None:
        """Ask the engine for what the view and the filter want, and choose from what comes by the same."""
        text = self.table.view.text
        scene = self.desk.source.scene
        pools = [pool.name for pool in scene.pools] if scene else []
        servers = (server.id for server in scene.servers()) if scene else ()
        # Connections and malformed heads are not lines of the log: their filter is no question about it.
        about = text if self.view.is_log or self.view is TOP else ""
        asked = ask_engine(about, self.view.query, pools, servers)
        self._told = asked.told if about else ""
        self.looked_at.follow(asked.query)
        if self.view.is_log and self._wanted_by != (self.view.name, text):
            self._wanted_by = (self.view.name, text)
            self.looked_at.shown.restart(_wanted(self.view, self.exchanges.wanted))

    def _show_lines(self) -> None:
        is_wide = self.app.size.width >= WIDE and self.app.size.height >= TALL
        self._head.say(head_lines(self.looked_at.head(with_top=is_wide), self.desk.glyphs, is_wide=is_wide))
        self._views.say([views_line([view.name for view in VIEWS], self.view.name, self._said())])
        row = self.looked_at.row(self.exchanges.selected or "") if self.view.is_log and is_wide else None
        self._detail.display = row is not None
        self._detail.say(self._detail_lines(row) if row else [])

    def _said(self) -> str:
        if self.view is TOP:
            sample = self.looked_at.sample
            return f"by {self.looked_at.grouping} (b), of {sample.seen:,}"
        if self.view is MALFORMED:
            skipped = self.looked_at.captures_skipped
            return f"{count(skipped)} not looked at" if skipped else ""
        if not self.is_following:
            return "held (f)"
        return f"({self.desk.glyphs.left}/{self.desk.glyphs.right})"

    def _detail_lines(self, row: ExchangeRow) -> list[Line]:
        glyphs, width = self.desk.glyphs, self.app.size.width
        port = f":{row.port}" if row.port else ""
        about = f" {row.client}{port} -> {row.listener} -> {row.where}   {row.method} {row.host}{row.target}"
        return [
            [(" " * width, "plain")],
            [(f"{about:.{width - 2}}", "plain")],
            [(f" {timing_line(row, width - 2, glyphs)}", "plain")],
            [(f" attempts {row.attempts}   ended ", "plain"), (ended(row), "bad" if row.is_failed else "plain")],
        ]

    @property
    def facts(self) -> str:
        """Where the cursor is; which terms the engine looks at, and which are looked at here; what came too fast."""
        left_out = self.looked_at.shown.left_out if self.view.is_log else 0
        # What is done with the filter first: beside its field there is little room at 80 cells.
        parts = [self._told, self.table.facts, f"{count(left_out)} more than {ROWS_PER_S:.0f}/s" if left_out else ""]
        return "  ".join(part for part in parts if part)

    # ---- keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Say whether a key exists in this view."""
        if action == "close":
            return self.desk.may_change and self.desk.source.is_of_now and self.view is IN_FLIGHT
        if action == "server":
            return self.view.is_log or self.view is IN_FLIGHT
        return action != "follow" or self.view.is_log or self.view is IN_FLIGHT

    def action_view(self, step: int) -> None:
        """Look at the next view; the filter stays."""
        self._look_at(VIEWS[(VIEWS.index(self.view) + step) % len(VIEWS)], self.table.view.text)

    def action_in_flight(self) -> None:
        """Look at what is in flight, or at the stream again."""
        self._look_at(STREAM if self.view is IN_FLIGHT else IN_FLIGHT, self.table.view.text)

    def action_group(self) -> None:
        """Look at the top; there, group by the next."""
        if self.view is TOP:
            names = list(GROUPINGS)
            self.looked_at.group_by(names[(names.index(self.looked_at.grouping) + 1) % len(names)])
            self.groups.kind = group_kind(self.looked_at.grouping)
            self.show()
        else:
            self._look_at(TOP, self.table.view.text)

    def action_follow(self) -> None:
        """Hold the list, or follow again from the newest."""
        self.is_following = not self.is_following
        if self.is_following:
            self._wanted_by = None
            self.table.action_go(0)
        self.show()

    def action_server(self) -> None:
        """Go to the server of the row."""
        server_id = self._server_here()
        scene = self.desk.source.scene
        if scene and scene.server(server_id):
            self.desk.go(Place("server", server_id))
        else:
            self.desk.tell(Outcome("this one has no server" if not server_id else f"{server_id} is not there any more"))

    def _server_here(self) -> str:
        if self.view is IN_FLIGHT:
            session = self._session(self.sessions.selected or "")
            return (session["server"] or "") if session else ""
        row = self.looked_at.row(self.exchanges.selected or "") if self.view.is_log else None
        return row.server if row else ""

    @property
    def pool_here(self) -> str:
        """The pool of the row under the cursor; empty: it has none, or has only just slid there."""
        if not self.table.seen:
            return ""
        row = self.looked_at.row(self.exchanges.selected or "") if self.view.is_log else None
        return row.pool if row else self._server_here().partition("/")[0]

    def _session(self, identity: str) -> SessionStatus | None:
        return next((each for each in self.looked_at.sessions if str(each["id"]) == identity), None)

    def action_close(self) -> None:
        """Ask, then close the connection under the cursor."""
        session = self._session(self.sessions.seen)
        if session is None:
            is_gone = self.sessions.hand.is_startled
            self.desk.tell(Outcome(GONE if is_gone else "there is no connection under the cursor", is_refused=is_gone))
            return
        number = session["id"]

        def answered(yes: Yes | None) -> None:
            if yes is not None:
                self.run_worker(Job(self._close, number), group="close")

        effect = f"{session_page(session)}\n\nIt is cut, whatever it carries: who waits for an answer gets a 503."
        asked = Asked(f"Close connection {number}?", "Close", lines=effect.split("\n"))
        self.app.push_screen(Question(asked), answered)

    async def _close(self, number: int) -> None:
        try:
            await self.desk.source.ask(calls.close_session(number))
        except LbappError as error:
            self.desk.tell(Outcome(clean(str(error)), is_refused=True))
            return
        self.desk.tell(Outcome(f"connection {number} was closed"))

    def on_line_table_chosen(self, event: LineTable.Chosen) -> None:
        """Open the row."""
        glyphs, identity = self.desk.glyphs, event.identity
        if event.table is self.groups:
            self.desk.go(Place("requests", _filter_of(self.looked_at.grouping, identity)))
        elif event.table is self.sessions:
            if (session := self._session(identity)) is not None:
                self.app.push_screen(Page("Connection", lambda: session_page(self._session(identity) or session)))
        elif event.table is self.captures:
            found = next((each for each in self.looked_at.captures if capture_id(each) == identity), None)
            if found is not None:
                self.app.push_screen(Page("Malformed", lambda: capture_page(found, glyphs)))
        elif (row := self.looked_at.row(identity)) is not None:
            show_why(self.app, self.desk.source, row, lambda why: exchange_page(row, why, glyphs))


def _wanted(view: _View, wanted: Filter[ExchangeRow]) -> Callable[[ExchangeRow], bool]:
    """Return the test of a view and a filter."""
    if view is SLOW:
        return lambda row: row.total_ms >= SLOW_MS and wanted.matches(row)
    if view is FAILING:
        return lambda row: row.is_failed and wanted.matches(row)
    return wanted.matches


def _filter_of(grouping: str, name: str) -> str:
    """Return the filter that wants what is in a group."""
    if grouping == "route":
        method, _, path = name.partition(" ")
        # Without the last stroke: between two of them stands a regex.
        return f"method={method} path:{path.rstrip('*').rstrip('/') or '/'}" if path else "!method:/./"
    if grouping == "pool":
        return f"pool={name}"
    return f"status={name}" if name.isdigit() else f"outcome={name}"
