"""What is drawn again of a line."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lbapp.tui.widgets.paper import GAP, Line, Paper

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
    paper = Paper()
    canvas = [[("?", "", False)] * WIDTH for _ in range(3)]
    for lines in pictures:
        changes = paper.changes(lines, WIDTH)
        for y in {y for y, _, _ in changes}:
            whole = [(letter, tone, lines[y].is_current) for text, tone in paper.draw(y, lines[y]) for letter in text]
            for at, first, cells in changes:
                if at == y:
                    canvas[y][first : first + cells] = whole[first : first + cells]
        assert canvas == [drawn(each) for each in lines]


def test_nothing_is_drawn_again_of_what_stays_the_same() -> None:
    paper, now = Paper(), Line((("name", "plain"), (" 12", "plain")))
    assert paper.changes([now], 7) == [(0, 0, 7)]
    assert list(paper.draw(0, now)) == [("name 12", "plain")]
    assert paper.changes([now], 7) == []
    later = Line((("name", "plain"), (" 13", "plain")))
    assert paper.changes([later], 7) == [(0, 4, 3)]


def test_changes_with_little_between_them_are_one() -> None:
    for gap, found in ((GAP - 1, 1), (GAP, 2)):
        paper = Paper()
        before = Line((("a", "plain"), ("-" * gap, "plain"), ("a", "plain")))
        assert len(list(paper.draw(0, before))) == 1
        now = Line((("b", "plain"), ("-" * gap, "plain"), ("b", "plain")))
        assert len(paper.changes([now], gap + 2)) == found


def test_neighbours_of_one_tone_are_one_text() -> None:
    cells = (("a", "plain"), (" ", "plain"), ("DOWN", "bad"), (" ", "plain"), ("b", "plain"))
    assert list(Paper().draw(0, Line(cells))) == [("a ", "plain"), ("DOWN", "bad"), (" b", "plain")]


def test_line_whose_texts_take_other_cells_or_that_the_cursor_comes_to_is_drawn_whole() -> None:
    paper, cells = Paper(), (("漢b", "plain"), ("c", "plain"))
    assert list(paper.draw(0, Line(cells)))
    assert paper.changes([Line((("漢", "plain"), ("bc", "plain")))], 4) == [(0, 0, 4)]
    assert paper.changes([Line(cells, is_current=True)], 4) == [(0, 0, 4)]
