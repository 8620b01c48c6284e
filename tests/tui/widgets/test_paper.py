"""What is drawn again of a line."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lbapp.tui.widgets.paper import GAP, KEPT_MAX, Line, Written, changes

WIDTHS = (3, 1, 2, 20, 4, 1, 5)
WIDTH = sum(WIDTHS)
cell = st.tuples(st.sampled_from("abc"), st.sampled_from(("plain", "bad")))
line = st.builds(
    lambda cells, is_current: Line(
        tuple((text * width, tone) for (text, tone), width in zip(cells, WIDTHS, strict=True)), is_current
    ),
    st.lists(cell, min_size=len(WIDTHS), max_size=len(WIDTHS)),
    st.booleans(),
)


def drawn(cells: Line) -> list[tuple[str, str, bool]]:
    """Return a line letter by letter."""
    return [(letter, tone, cells.is_current) for text, tone in cells.cells for letter in text]


@given(st.lists(st.lists(line, min_size=3, max_size=3), min_size=1, max_size=6))
def test_lines_of_which_only_the_changes_are_drawn_are_the_lines(pictures: list[list[Line]]) -> None:
    canvas, before = [drawn(each) for each in pictures[0]], pictures[0]
    for now in pictures[1:]:
        for y, first, cells in changes(before, now, WIDTH):
            whole = [(letter, tone, now[y].is_current) for text, tone in now[y].pieces() for letter in text]
            canvas[y][first : first + cells] = whole[first : first + cells]
        assert canvas == [drawn(each) for each in now]
        before = now


def test_nothing_is_drawn_again_of_what_stays_the_same() -> None:
    now = Line((("name", "plain"), (" 12", "plain")))
    assert changes([now], [Line((("name", "plain"), (" 12", "plain")))], 7) == []
    assert changes([now], [Line((("name", "plain"), (" 13", "plain")))], 7) == [(0, 4, 3)]


def test_changes_with_little_between_them_are_one() -> None:
    for gap, found in ((GAP - 1, 1), (GAP, 2)):
        before = Line((("a", "plain"), ("-" * gap, "plain"), ("a", "plain")))
        now = Line((("b", "plain"), ("-" * gap, "plain"), ("b", "plain")))
        assert len(changes([before], [now], gap + 2)) == found


def test_neighbours_of_one_tone_are_one_text() -> None:
    cells = (("a", "plain"), (" ", "plain"), ("DOWN", "bad"), (" ", "plain"), ("b", "plain"))
    assert list(Line(cells).pieces()) == [("a ", "plain"), ("DOWN", "bad"), (" b", "plain")]


def test_line_whose_texts_take_other_cells_or_that_the_cursor_comes_to_is_drawn_whole() -> None:
    cells = (("漢b", "plain"), ("c", "plain"))
    assert changes([Line(cells)], [Line((("漢", "plain"), ("bc", "plain")))], 4) == [(0, 0, 4)]
    assert changes([Line(cells)], [Line(cells, is_current=True)], 4) == [(0, 0, 4)]


def test_row_is_written_once_until_it_says_something_else_or_is_written_in_another_way() -> None:
    written, times = Written(), list[int]()

    def write() -> list[tuple[str, str]]:
        times.append(len(times))
        return [(str(len(times)), "plain")]

    written.write_as("narrow")
    assert written.row(3, write) is written.row(3, write)
    written.write_as("narrow")
    assert written.row(3, write) == (("1", "plain"),)
    written.write_as("wide")
    assert written.row(3, write) == (("2", "plain"),)
    written.forget()
    assert written.row(3, write) == (("3", "plain"),)


def test_rows_that_are_kept_do_not_grow_with_a_list_that_is_gone_through() -> None:
    written = Written()
    for number in range(3 * KEPT_MAX):
        written.write_as("narrow")
        assert written.row(number, lambda: [("x", "plain")])
    assert len(written._rows) <= KEPT_MAX + 1
