from __future__ import annotations

from lbapp.control.looking import Sessions
from lbapp.tui.glyphs import FULL
from lbapp.tui.requests_head import Ages, Head, ages_of, head_lines, views_line
from lbapp.tui.sample import Group
from lbapp.tui.tones import Line, plain
from tests.tui.looks_double import session


def text(lines: list[Line]) -> list[str]:
    return [plain(line) for line in lines]


def test_ages_are_of_connections_that_carry_something() -> None:
    aged = [session(1, 0.05), session(2, 0.5), session(3, 5), session(4, 50)]
    others = [session(5, 0, state="idle"), session(6, 900, state="tunnel")]
    found: Sessions = {"connections": 6, "sessions": [*aged, *others]}
    assert ages_of(found) == Ages([1, 1, 1, 1])
    found["connections"], found["sessions"] = 2_000, aged
    assert ages_of(found).is_cut


def test_head_fits_80_cells_however_large_its_figures_are() -> None:
    head = Head(
        43_472, 1 / 200, False, 60, {"2xx": 0.961, "3xx": 0.019, "4xx": 0.016, "5xx": 0.004}, Ages([1_640, 211, 52, 9])
    )
    lines = text(head_lines(head, FULL, is_wide=False))
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith(" 43472 req/s  1 in 200 + failed + slow  ")
    assert lines[1] == " in flight 1,912:   <100ms 1,640  <1s 211  <10s 52  >10s !9"


def test_wide_head_has_bars_and_the_largest_groups_in_120_cells() -> None:
    top = [Group("GET /a/very/long/route/that/does/not/fit/*", 9, 9_410.0, 0.0, 1.0, 61.0)]
    head = Head(1.0, 1.0, False, 60, {"2xx": 1.0}, Ages([99_999, 0, 0, 1], is_cut=True), "route", top)
    lines = text(head_lines(head, FULL, is_wide=True))
    assert max(map(len, lines)) <= 120
    assert "looked at: all of them" in lines[0]
    assert "in flight 100,000+" in lines[1]
    assert "9410/s   61ms    0%  GET /a/very/long" in lines[2]
    assert "2xx ██████████████████" in lines[2]
    assert "99,999+" in lines[2]


def test_what_is_not_known_is_a_dash_and_why_stands_below() -> None:
    lines = text(head_lines(Head(problem="no engine answers"), FULL, is_wide=False))
    assert lines == [
        " - req/s  nothing seen yet   2xx - 4xx - 5xx -",
        " in flight -:   <100ms -  <1s -  <10s -  >10s -",
        " ! no engine answers",
    ]


def test_head_of_a_filter_says_that_it_is_of_what_was_filtered() -> None:
    lines = text(head_lines(Head(9.0, 0.5, True, 60, {"2xx": 1.0}), FULL, is_wide=False))
    assert lines[0].startswith(" 9 req/s  1 in 2 of the filtered  ")
    lines = text(head_lines(Head(9.0, 0.97, False, 60, {"2xx": 1.0}), FULL, is_wide=False))
    assert lines[0].startswith(" 9 req/s  97.0% + failed + slow  ")


def test_view_that_is_looked_at_stands_in_brackets() -> None:
    assert text([views_line(["a", "b"], "b", "said")]) == ["  a [b]  said"]
