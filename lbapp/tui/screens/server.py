"""Below screen 3: everything about one server.

Responsible for asking for its figures while it is in sight, and for where they stand. Knows nothing of what they say or
of what is done to the server. Invariants: those of `pane`; what is shown is of the server that was visited, never of
another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widget import Widget

from lbapp.control import calls
from lbapp.control.messages import Event, ProbesDone, ServerStatus
from lbapp.control.past import Course
from lbapp.model.amounts import Subject
from lbapp.tui.asking import Poll
from lbapp.tui.event_columns import event_kind
from lbapp.tui.pane import Desk, DetailPane
from lbapp.tui.portrait import COURSE_S, check_lines, course_lines, crumb, now_lines
from lbapp.tui.scene import ServerRow
from lbapp.tui.tones import Line
from lbapp.tui.widgets.block import Block
from lbapp.tui.widgets.scroll import Scroll
from lbapp.tui.widgets.table import LineTable
from lbapp.tui.wording import server_page

SECTIONS: Final = ("now", "checks", "log", "all figures")
_EVERY_S: Final = 1.0
_COURSE_EVERY_S: Final = 5.0
_TALL: Final = 34  # rows from which on the first three stand together
_LOG_ROWS: Final = 8  # of the log then


class ServerPane(DetailPane):
    """One server, in sections that left and right turn over where there is no room for all."""

    DEFAULT_CSS = """
    ServerPane > #crumb { height: 1; }
    ServerPane > #sections { height: 1; }
    ServerPane Block { height: auto; }
    ServerPane > Scroll { height: 1fr; scrollbar-size: 0 0; }
    ServerPane > LineTable { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "section(-1)", "section before", show=False, id="section.before"),
        Binding("right", "section(1)", "next section", show=False, id="section.next"),
        Binding("j", "beside_the_log(1)", "next server", show=False, priority=True, id="server.next"),
        Binding("k", "beside_the_log(-1)", "server before", show=False, priority=True, id="server.before"),
    ]
    screen_name = "server"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, id="server")
        self._section = 0
        self._crumb = Block(id="crumb")
        self._sections = Block(id="sections")
        self._now = Block(id="server-now")
        self._course = Block(id="server-course")
        self._checks = Block(id="server-checks")
        self._page = Block(id="server-page")
        self._scroll = Scroll(self._now, self._course, self._checks, self._page)
        self._log: LineTable[Event] = LineTable(event_kind(), id="server-log")
        self._status: Poll[ServerStatus] = Poll(self, lambda: desk.source, _EVERY_S, self._paint)
        self._past: Poll[Course] = Poll(self, lambda: desk.source, _COURSE_EVERY_S, self._paint)
        self._probes: Poll[ProbesDone] = Poll(self, lambda: desk.source, _EVERY_S, self._paint)

    def compose(self) -> ComposeResult:
        """Lay the sections out."""
        yield self._crumb
        yield self._sections
        yield self._scroll
        yield self._log

    @property
    def first(self) -> Widget:
        """What scrolls."""
        return self._log if self._is_log else self._scroll

    @property
    def _is_log(self) -> bool:
        return SECTIONS[self._section] == "log"

    @property
    def table(self) -> LineTable[Event] | None:
        """The server's own log, while it is in sight."""
        return self._log if self._is_log else None

    @property
    def selection(self) -> Sequence[str]:
        """This server."""
        return (self.subject,)

    @property
    def facts(self) -> str:
        """Which of the pool's servers it is."""
        rank = self.rank
        return f"server {self.subject}{f'  {rank} in its pool, j k next and before' if rank else ''}"

    def visit(self, subject: str) -> None:
        """Be about another server."""
        if subject != self.subject:
            super().visit(subject)
            self._scroll.scroll_home(animate=False)
        row = self._row()
        target = row.target.id if row else None
        self._status.about(calls.server(target) if target else None)
        self._past.about(calls.course(Subject("server", target), COURSE_S, 1) if target else None)
        self._probes.about(calls.probes(target) if target else None)

    def show(self) -> None:
        """Show the newest answers, and ask for the next."""
        for question in (self._status, self._past, self._probes):
            question.ask()
        self._log.show([event for event in self.desk.source.events if event["subject"] == self.subject][::-1])
        self._paint()

    def _paint(self) -> None:
        row, size = self._row(), self.app.size
        glyphs, now = self.desk.glyphs, self.desk.source.now()
        is_tall = size.height >= _TALL and not self._is_log
        name = SECTIONS[self._section]
        self._crumb.say([crumb(row, glyphs, now) if row else [(f" {self.subject} is not there any more", "bad")]])
        self._sections.say([self._section_words()])
        found = self._status.answer
        problem: list[Line] = [[(f" {self._status.problem}", "bad")]] if self._status.problem else []
        self._now.say(now_lines(found, now) if found else problem)
        height = 4 if is_tall else 2
        points = self._past.answer["points"] if self._past.answer else []
        self._course.say(course_lines(points, size.width, height, glyphs))
        self._checks.say(self._check_lines(found))
        if name == "all figures":
            self._page.say(
                [[(line, "plain")] for line in server_page(found, glyphs, now).splitlines()] if found else problem
            )
        self._now.display = self._course.display = name == "now"
        self._checks.display = name == "checks" or (name == "now" and is_tall)
        self._page.display = name == "all figures"
        self._scroll.display = not self._is_log
        self._log.display = self._is_log or (name == "now" and is_tall)
        self._log.styles.height = "1fr" if self._is_log else _LOG_ROWS

    def _check_lines(self, found: ServerStatus | None) -> list[Line]:
        """Return what its probes found, or why nobody knows; where its figures are in sight, they say that already."""
        if self._probes.answer is not None:
            return check_lines(found, self._probes.answer["probes"], self.app.size.width, self.desk.glyphs)
        is_alone = SECTIONS[self._section] == "checks"
        return [[(f" {self._probes.problem}", "bad")]] if self._probes.problem and is_alone else []

    def _section_words(self) -> Line:
        words = "".join(f"[{name}]" if place == self._section else f" {name} " for place, name in enumerate(SECTIONS))
        return [(f" {words}  (left, right)", "plain")]

    def _row(self) -> ServerRow | None:
        scene = self.desk.source.scene
        return scene.server(self.subject) if scene else None

    def subjects(self) -> Sequence[str]:
        """Return the servers of its pool."""
        row, scene = self._row(), self.desk.source.scene
        pool = scene.pool(row.pool) if row and scene else None
        return [server.id for server in pool.servers] if pool else []

    def action_section(self, step: int) -> None:
        """Turn to another section."""
        self._section = (self._section + step) % len(SECTIONS)
        self._paint()
        self.screen.set_focus(self.first)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Say whether a key exists now: j and k move in the log while it has the keys."""
        return not self._is_log if action == "beside_the_log" else True

    def action_beside_the_log(self, step: int) -> None:
        """Go to another server of the pool."""
        self.action_sibling(step)
