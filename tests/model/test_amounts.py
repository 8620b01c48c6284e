"""Amounts add up."""

from __future__ import annotations

from lbapp.model.amounts import NOTHING, Amounts, added


def test_amounts_of_times_that_follow_each_other_are_those_of_the_whole_time() -> None:
    first, second = Amounts(3, 1, (0, 1 << 64, 5, 7)), Amounts(4, 0, (1, 2 << 64, 6, 8))
    assert added([first, second]) == Amounts(7, 1, (1, 3 << 64, 11, 15))
    assert added([first]) == first == added([first, NOTHING])
    assert added([]) == NOTHING


def test_nothing_is_when_nothing_at_all_was_counted() -> None:
    assert NOTHING.is_nothing
    assert not Amounts(0, 0, (0, 0, 1, 0)).is_nothing
