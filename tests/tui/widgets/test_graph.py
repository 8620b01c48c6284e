from __future__ import annotations

import pytest
from textual.app import App, ComposeResult

from lbapp.tui.format import count
from lbapp.tui.glyphs import FULL, LINUX_CONSOLE
from lbapp.tui.widgets.graph import Graph, Series, plot

pytestmark = pytest.mark.anyio


def test_bars_stand_on_a_scale_from_zero_and_its_top_is_written() -> None:
    assert plot([Series("rate", [0.0, 4.0, 8.0, None, 16.0], count)], 13, 2, FULL) == [
        "     16     █",
        "   rate ▁▅█ █",
    ]


def test_linux_console_draws_bars_with_what_its_font_has() -> None:
    lines = plot([Series("", [float(each) for each in range(9)], count)], 17, 2, LINUX_CONSOLE)
    assert lines == ["      8      ░░▒█", "        ·░▒▒█████"]
    assert set("".join(lines)) <= set("8 ·░▒█")


def test_two_figures_share_the_lines_and_each_has_its_own_scale() -> None:
    lines = plot([Series("p99", [100.0, 200.0], count), Series("p50", [1.0, 2.0], count)], 12, 3, FULL)
    assert lines == ["    200    █", "    p99   ██", "  p50 2   ▅█"]


def test_nothing_known_and_no_room_draw_no_bars() -> None:
    assert plot([Series("", [], count)], 12, 2, FULL) == ["      0     ", "            "]
    assert plot([Series("", [0.0, 0.0], count)], 12, 1, FULL) == ["      0   ▁▁"]
    assert plot([], 12, 2, FULL) == []
    assert len(plot([Series("", [1.0], count)], 2, 1, FULL)) == 1


class OneGraph(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.graph = Graph(LINUX_CONSOLE, "req/s, 10 min")

    def compose(self) -> ComposeResult:
        yield self.graph


async def test_graph_has_a_title_and_says_why_it_is_empty() -> None:
    app = OneGraph()
    async with app.run_test(size=(24, 6)):
        app.graph.draw("", Series("", [1.0, 2.0], count))
        assert app.graph.render_line(0).text == "─ req/s, 10 min ────────"
        assert app.graph.render_line(4).text.endswith("██")
        app.graph.draw("nothing is known yet")
        assert app.graph.render_line(1).text == " nothing is known yet   "
        assert app.graph.render_line(2).text == " " * 24
