from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from lbapp.tui.listing import Column, Kind, View, arrange, filter_of, margin_of, shown_columns

Pair = tuple[str, float | None]
KIND: Kind[Pair] = Kind(
    [
        Column("name", 0, lambda pair: pair[0], lambda pair: pair[0]),
        Column("figure", 5, lambda pair: str(pair[1]), lambda pair: pair[1]),
        Column("extra", 5, lambda pair: "", lambda pair: None, screen_width_min=100),
    ],
    lambda pair: pair[0],
    lambda pair: (pair[1] or 0) > 8,
    lambda pair: pair[0],
)
ITEMS: list[Pair] = [("Alpha", None), ("beta", 9.0), ("gamma", 1.0)]


def names(view: View, held: tuple[str, ...] = ()) -> list[str]:
    return [name for name, _ in arrange(ITEMS, KIND, view, filter_of(view.text, KIND), held)]


def test_unsorted_keeps_the_given_order() -> None:
    assert names(View()) == ["Alpha", "beta", "gamma"]
    assert names(View(is_reversed=True)) == ["gamma", "beta", "Alpha"]


def test_unknown_figures_stand_last_either_way() -> None:
    assert names(View(sort=1)) == ["gamma", "beta", "Alpha"]
    assert names(View(sort=1, is_reversed=True)) == ["beta", "gamma", "Alpha"]


def test_filter_ignores_case_and_problems_only_hides_the_rest() -> None:
    assert names(View(text="ALP")) == ["Alpha"]
    assert names(View(problems_only=True)) == ["beta"]


def test_held_order_stays_and_what_is_new_follows() -> None:
    assert names(View(sort=1), ("beta", "gamma")) == ["beta", "gamma", "Alpha"]


def test_held_item_stays_even_when_it_is_not_wanted_any_more() -> None:
    assert names(View(sort=1, problems_only=True), ("Alpha", "gone")) == ["Alpha", "beta"]
    assert names(View(sort=1, text="gamma"), ("Alpha",)) == ["Alpha", "gamma"]


def test_columns_are_chosen_by_the_width_of_the_screen() -> None:
    assert shown_columns(KIND, View(), 80) == [(0, 74), (1, 5)]
    assert shown_columns(KIND, View(), 100) == [(0, 88), (1, 5), (2, 5)]


def test_columns_are_chosen_by_the_set_and_marks_have_room_on_the_left() -> None:
    columns: list[Column[Pair]] = [
        Column("a", 3, lambda pair: "", lambda pair: None),
        Column("b", 3, lambda pair: "", lambda pair: None, sets=("one",)),
        Column("c", 0, lambda pair: "", lambda pair: None, sets=("two",)),
        Column("d", 0, lambda pair: "", lambda pair: None, sets=("two", "one")),
    ]
    kind = replace(KIND, columns=columns, sets=("one", "two"), has_marks=True)
    assert margin_of(kind) == 2
    assert shown_columns(kind, View(), 40) == [(0, 3), (1, 3), (3, 30)]
    assert shown_columns(kind, View(columns=1), 40) == [(0, 3), (2, 16), (3, 17)]


def test_lower_ranks_stand_first_until_something_is_sorted_by() -> None:
    kind = replace(KIND, rank=lambda pair: 0 if pair[1] == 1.0 else 1)
    for view, expected in (
        (View(), ["gamma", "Alpha", "beta"]),
        (View(is_reversed=True), ["Alpha", "beta", "gamma"]),
        (View(sort=0), ["Alpha", "beta", "gamma"]),
    ):
        assert [name for name, _ in arrange(ITEMS, kind, view, filter_of("", kind))] == expected
    assert (kind.sort_title(View()), kind.sort_title(View(sort=1)), KIND.sort_title(View())) == ("status", "figure", "")


@given(st.lists(st.tuples(st.text(max_size=3), st.none() | st.integers(0, 3).map(float)), max_size=12), st.booleans())
def test_sorting_keeps_every_item_the_unknown_last_and_equal_ones_as_they_came(
    items: list[Pair], is_reversed: bool
) -> None:
    view = View(sort=1, is_reversed=is_reversed)
    shown = arrange(items, KIND, view, filter_of("", KIND))
    figures = [figure for _, figure in shown if figure is not None]
    assert figures == sorted(figures, reverse=is_reversed)
    assert shown[len(figures) :] == [item for item in items if item[1] is None]
    for wanted in set(figures):
        assert [item for item in shown if item[1] == wanted] == [item for item in items if item[1] == wanted]
