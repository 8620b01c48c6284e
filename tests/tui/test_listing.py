from __future__ import annotations

from lbapp.tui.listing import Column, Kind, View, arrange, shown_columns

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
    return [name for name, _ in arrange(ITEMS, KIND, view, held)]


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


def test_columns_are_chosen_by_the_width_of_the_screen() -> None:
    assert shown_columns(KIND.columns, 80) == [(0, 74), (1, 5)]
    assert shown_columns(KIND.columns, 100) == [(0, 88), (1, 5), (2, 5)]
