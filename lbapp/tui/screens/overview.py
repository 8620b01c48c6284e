"""Screen 1: is anything wrong, since when, and who changed what.

Responsible for what an operator sees first, and for leading to it. Knows nothing of what counts as wrong. Invariants:
those of `pane`; what is wrong stands above all else, and when nothing is, that is said.
"""

from __future__ import annotations

from typing import Any, Final

from textual.app import ComposeResult

from lbapp.control import calls
from lbapp.control.past import Course
from lbapp.model.amounts import Subject
from lbapp.tui.asking import Poll
from lbapp.tui.attention import Concern, concerns
from lbapp.tui.event_columns import event_kind
from lbapp.tui.format import brief_duration
from lbapp.tui.glance import PAST_S, WIDE, glance, slowest
from lbapp.tui.listing import Column, Kind
from lbapp.tui.pane import Desk, TablePane
from lbapp.tui.place import Place
from lbapp.tui.pool_columns import pool_kind
from lbapp.tui.scene import Scene
from lbapp.tui.server_columns import Context
from lbapp.tui.widgets.block import Block
from lbapp.tui.widgets.status_line import TextLine
from lbapp.tui.widgets.table import LineTable

_COURSE_EVERY_S: Final = 2.0
_LISTENERS: Final = (
    4  # up to which each is asked how slow it was: a p99 of the node is none, as no percentiles are put together
)
_CONCERNS: Final = 4  # lines at 24 rows
_EVENTS: Final = 3
_TALL: Final = 34  # rows: twice as many of both


class OverviewPane(TablePane):
    """What the node carries, what needs attention, the pools, what happened last."""

    DEFAULT_CSS = """
    OverviewPane > Block { height: auto; }
    OverviewPane > #calm { height: 1; }
    OverviewPane > #last-events { height: 4; }
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, id="overview")
        self.glance = Block(id="glance")
        self.calm = TextLine(" nothing needs attention", id="calm")
        self.attention: LineTable[Concern] = LineTable(self._concern_kind(), id="attention")
        self.pools = LineTable(
            pool_kind(Context(desk.glyphs, desk.source.trends.of, desk.source.now)), id="pools-at-a-glance"
        )
        self.events = LineTable(event_kind(), id="last-events")
        self.tables = (self.attention, self.pools, self.events)
        self._places: dict[str, Place] = {}
        self._course: Poll[Course] = Poll(self, lambda: desk.source, _COURSE_EVERY_S, self._show_glance)
        self._course.about(calls.course(None, PAST_S, 1))
        self._slow: dict[str, Poll[Course]] = {}  # by the name of a listener

    def compose(self) -> ComposeResult:
        """Lay it out."""
        yield self.glance
        yield self.calm
        yield from self.tables

    @property
    def first(self) -> LineTable[Any]:
        """What needs attention, when anything does; else the pools."""
        return self.attention if self.attention.total else self.pools

    def show(self) -> None:
        """Show the newest figures."""
        scene = self.desk.source.scene
        if scene is None:
            return
        is_tall = self.app.size.height >= _TALL
        found = concerns(scene, self.desk.source.now())
        self._places = {concern.identity: concern.place for concern in found}
        self.attention.show(found)
        self.attention.display, self.calm.display = bool(found), not found
        self.attention.styles.height = 1 + min(len(found), _CONCERNS * (1 + is_tall))
        self.pools.show(scene.pools)
        self.events.show(list(self.desk.source.events)[: -_EVENTS * (1 + is_tall) - 1 : -1])
        self.events.styles.height = 1 + _EVENTS * (1 + is_tall)
        self._course.ask()
        self._ask_how_slow(scene)
        self._show_glance()

    def _ask_how_slow(self, scene: Scene) -> None:
        """Ask for the p99 of each listener, where there are few, and room for the curve."""
        names = [each.name for each in scene.listeners] if self.app.size.width >= WIDE else []
        wanted = names if len(names) <= _LISTENERS else []
        if self._slow.keys() != set(wanted):
            self._slow = {
                name: Poll(self, lambda: self.desk.source, _COURSE_EVERY_S, self._show_glance) for name in wanted
            }
        for name, question in self._slow.items():
            question.about(calls.course(Subject("listener", name), PAST_S, 1))
            question.ask()

    def _show_glance(self) -> None:
        scene = self.desk.source.scene
        if scene is not None:
            points = self._course.answer["points"] if self._course.answer else []
            p99s = slowest([each.answer["points"] for each in self._slow.values() if each.answer])
            self.glance.say(glance(scene, points, self.app.size.width, self.desk.glyphs, p99s))

    def on_line_table_chosen(self, event: LineTable.Chosen) -> None:
        """Go to what is wrong, to the pool, or to the events."""
        if event.table is self.attention:
            place = self._places.get(event.identity)
            if place is not None:
                self.desk.go(place)
        elif event.table is self.pools:
            self.desk.go(Place("pool", event.identity))
        else:
            self.desk.go(Place("events"))

    def _concern_kind(self) -> Kind[Concern]:
        glyphs, source = self.desk.glyphs, self.desk.source

        def since(concern: Concern) -> str:
            return "" if concern.since is None else brief_duration(source.now() - concern.since)

        columns: list[Column[Concern]] = [
            Column(
                "",
                1,
                lambda c: glyphs.down if c.tone == "bad" else glyphs.over,
                lambda c: c.tone,
                tone=lambda c: c.tone,
            ),
            Column(
                "needs attention", 16, lambda c: c.subject, lambda c: c.subject, is_right=False, tone=lambda c: c.tone
            ),
            Column("what is wrong; Enter leads to it", 0, lambda c: c.text, lambda c: c.text, is_right=False),
            Column("for", 5, since, lambda c: c.since),
        ]
        return Kind(columns, lambda c: c.identity, lambda c: True, lambda c: f"{c.subject} {c.text}")
