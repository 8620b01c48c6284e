"""Below screen 2: one pool and its servers.

Responsible for what is particular to one pool: its states, what of it is in rotation, its queue, and how it went of late. Knows
nothing of what is done to its servers. Invariants: those of `pane`; what is shown is of the pool that was visited, never of
another; the past is asked for only where there is room for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from lbapp.control import calls
from lbapp.control.past import Course
from lbapp.model.amounts import Subject
from lbapp.tui.asking import Poll
from lbapp.tui.format import count, milliseconds
from lbapp.tui.glyphs import sparkline
from lbapp.tui.pane import Desk, DetailPane
from lbapp.tui.pool_words import crumb, pool_facts
from lbapp.tui.scene import PoolRow, Scene, ServerRow
from lbapp.tui.screens.servers import ServersPane
from lbapp.tui.trends import condensed
from lbapp.tui.widgets.graph import Graph, Series
from lbapp.tui.widgets.pane_line import PaneLine

PAST_S: Final = 600.0
ASK_EVERY_S: Final = 5.0
_WIDTH_MIN, _HEIGHT_MIN = 100, 20  # of the pane, for the graphs to have room


class PoolPane(DetailPane, ServersPane):
    """The servers of one pool, and above them how it is."""

    DEFAULT_CSS = """
    #pool-panel { height: 5; display: none; }
    #pool-facts { width: 46; }
    #pool-panel Graph { width: 1fr; }
    """
    screen_name = "pool"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, id="pool", is_of_one_pool=True)
        self._past: Poll[Course] = Poll(self, lambda: desk.source, ASK_EVERY_S, self._draw)
        self._crumb = PaneLine()
        self._lines = [PaneLine() for _ in range(5)]
        self._rate = Graph(desk.glyphs, "req/s, 10 min")
        self._latency = Graph(desk.glyphs, "latency, 10 min")
        self._facts = Vertical(*self._lines, id="pool-facts")
        self._panel = Horizontal(self._facts, self._rate, self._latency, id="pool-panel")

    def compose(self) -> ComposeResult:
        """Lay out the crumb, the panel, and what all servers have."""
        yield self._crumb
        yield self._panel
        yield from super().compose()

    def visit(self, subject: str) -> None:
        """Be about another pool."""
        if subject != self.subject:
            super().visit(subject)
            self.servers.forget()
        pool = self._pool
        name = pool.servers[0].target.pool if pool and pool.servers else subject
        self._past.about(calls.course(Subject("pool", name), PAST_S, 1))
        self._draw()

    def turn(self) -> None:
        """Forget how it went: that was up to another moment."""
        super().turn()
        self._past.forget()
        self._draw()

    def subjects(self) -> Sequence[str]:
        """Return all pools."""
        scene = self.desk.source.scene
        return [pool.name for pool in scene.pools] if scene else ()

    def rows(self, scene: Scene) -> Sequence[ServerRow]:
        """Return the servers of the pool."""
        pool = scene.pool(self.subject)
        return pool.servers if pool else []

    @property
    def _pool(self) -> PoolRow | None:
        scene = self.desk.source.scene
        return scene.pool(self.subject) if scene else None

    def show(self) -> None:
        """Show the newest figures."""
        self._panel.display = self.size.width >= _WIDTH_MIN and self.size.height >= _HEIGHT_MIN
        pool = self._pool
        self._crumb.say(crumb(self.subject, pool, self.desk.glyphs, has_panel=bool(self._panel.display)))
        if pool is not None and self._panel.display:
            facts = pool_facts(pool, self.desk.glyphs, self.desk.source.now(), self._facts.size.width)
            for line, text in zip(self._lines, facts, strict=False):
                line.say(text)
            self._past.ask()
        super().show()

    def beside_the_columns(self) -> str:
        """Return the rate of the pool, and how it went of late where the graphs have no room."""
        if self._panel.display:
            return ""
        past = condensed(self.desk.source.trends.of(self.subject), 12, 5)
        return f"req/s {sparkline(past, 12, self.desk.glyphs)} "

    def _draw(self) -> None:
        points = self._past.answer["points"] if self._past.answer else []
        problem = self._past.problem or ("" if points else "nothing is known yet")
        self._rate.draw(problem, Series("", [point["requests_per_s"] for point in points], count))
        self._latency.draw(
            problem,
            Series("p99", [point["p99"] for point in points], milliseconds),
            Series("p50", [point["p50"] for point in points], milliseconds),
        )

    @property
    def facts(self) -> str:
        """The pool, and where the cursor is."""
        return f"pool {self.subject}  {super().facts}"
