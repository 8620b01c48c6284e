from __future__ import annotations

from lbapp.tui.format import clock
from lbapp.tui.staging import scene_of
from lbapp.tui.widgets.status_line import describe
from tests.tui.engine_double import server, status


def test_top_line_fits_and_says_how_fresh_the_figures_are() -> None:
    one = scene_of(status([server("app", "s1")]))
    for width in (80, 120):
        line = describe(one, "node-a", ("STALE 4s", "RO"), width)
        assert len(line) == width
        assert "node-a  STALE 4s  RO  serving" in line


def test_top_line_before_the_first_status() -> None:
    assert describe(None, "", ("WAITING", "RW"), 80).split() == ["lbapp", "WAITING"]


def test_time_stays_on_the_top_line_however_long_the_name_is() -> None:
    one = scene_of(status([server("app", "s1")]))
    for length in (8, 20, 30):
        line = describe(one, "n" * length, ("LIVE", "RW"), 80)
        assert len(line) == 80
        assert line.rstrip().endswith(clock(one.at))
