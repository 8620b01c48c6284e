from __future__ import annotations

import pytest

from lbapp.tui.bars import bar, waterfall
from lbapp.tui.glyphs import FULL


@pytest.mark.parametrize(
    ("share", "drawn"),
    [(0.0, "    "), (None, "    "), (0.001, "░   "), (0.5, "██  "), (0.65, "██▒ "), (1.0, "████"), (7.0, "████")],
)
def test_bar_is_as_long_as_its_share_and_never_nothing_for_something(share: float | None, drawn: str) -> None:
    assert bar(share, 4, FULL) == drawn


def test_bar_without_room_is_nothing() -> None:
    assert bar(0.5, 0, FULL) == ""


def test_parts_of_a_time_begin_where_the_one_before_ended() -> None:
    assert waterfall([5.0, 0.0, 10.0, 5.0], 8, FULL) == ["██", "", "  ████", "      ██"]


def test_part_that_is_too_short_for_a_cell_is_still_drawn_and_inside_its_room() -> None:
    lines = waterfall([100.0, None, 0.1], 8, FULL)
    assert lines == ["████████", "", "       ░"]


def test_time_that_is_not_known_has_no_bar() -> None:
    assert waterfall([None, None], 8, FULL) == ["", ""]
