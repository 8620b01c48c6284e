from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from lbapp.tui.listing import Column, Kind, View, shown_columns
from lbapp.tui.widgets.cells import fit, head_text, row_cells

KIND: Kind[str] = Kind(
    [
        Column("name", 6, str, str, is_right=False),
        Column("length", 6, lambda text: str(len(text)), len, tone=lambda _: "bad"),
    ],
    str,
    lambda _: False,
    str,
    has_marks=True,
)
COLUMNS = shown_columns(KIND, View(), 20)


@given(st.text("ab漢é ", max_size=12), st.integers(1, 10), st.booleans())
def test_text_takes_exactly_its_cells(text: str, cells: int, is_right: bool) -> None:
    assert cell_len(fit(text, cells, is_right=is_right)) == cells


def test_what_was_cut_on_the_left_side_says_so_and_figures_stand_on_the_right() -> None:
    assert fit("thirteen-chars", 8, is_right=False) == "thirtee>"
    assert fit("12", 5, is_right=True) == "   12"


def test_sign_of_the_sort_costs_no_letter_of_a_title() -> None:
    assert head_text(KIND, View(), COLUMNS) == "  NAME   LENGTH"
    assert head_text(KIND, View(sort=1), COLUMNS) == "  NAME  ^LENGTH"
    assert head_text(KIND, View(sort=1, is_reversed=True), COLUMNS) == "  NAME  vLENGTH"


def test_cells_of_an_item_have_their_tones_and_marks_stand_before_them() -> None:
    assert list(row_cells("abc", KIND, COLUMNS, "")) == [
        ("  ", "plain"),
        ("abc   ", "plain"),
        (" ", "plain"),
        ("     3", "bad"),
    ]
    assert next(row_cells("abc", KIND, COLUMNS, "*")) == ("* ", "warn")
