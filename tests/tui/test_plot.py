from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from lbapp.tui.glyphs import FULL, LINUX_CONSOLE
from lbapp.tui.plot import area, curve, squeezed

values = some.lists(some.one_of(some.none(), some.floats(0, 1e9)), max_size=400)


@given(values, some.integers(1, 120))
def test_squeezing_keeps_the_peak_and_invents_nothing(series: list[float | None], width: int) -> None:
    found = squeezed(series, width)
    known = [value for value in series if value is not None]
    assert len(found) == min(width, len(series))
    assert max((value for value in found if value is not None), default=None) == max(known, default=None)
    assert all(value is None or value in known for value in found)


@given(values, some.integers(1, 120), some.integers(1, 8))
def test_area_fills_its_cells_with_its_own_symbols(series: list[float | None], width: int, height: int) -> None:
    for glyphs in (FULL, LINUX_CONSOLE):
        lines = area(series, width, height, glyphs)
        assert [len(line) for line in lines] == [width] * height
        assert set("".join(lines)) <= {" ", *glyphs.spark}


def test_highest_reaches_the_top_and_what_is_unknown_is_a_gap() -> None:
    assert curve([0.0, None, 5.0, 10.0], 6, FULL) == "  ▁ ▅█"
    assert area([1.0, 100.0], 2, 2, FULL) == [" █", "▂█"]
    assert area([100.0, 50.0], 2, 2, FULL) == ["█ ", "██"]


def test_what_is_above_nothing_is_seen() -> None:
    assert curve([0.001, 1000.0], 2, FULL) == "▂█"
    assert squeezed([1.0], 0) == []
