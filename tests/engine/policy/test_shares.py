from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lbapp.engine.policy.shares import ALONE, Place, place_of

NAMES = st.sets(st.text("abcdefgh-", min_size=1, max_size=6), min_size=1, max_size=40)


@given(NAMES, st.integers(1, 100_000))
def test_parts_differ_by_one_at_most_and_their_sum_is_the_total_but_nobody_has_none(
    names: set[str], total: int
) -> None:
    parts = [place_of(name, names).part_of(total) for name in sorted(names)]
    assert max(parts) - min(parts) <= 1
    assert sum(parts) == max(total, len(names))
    assert min(parts) >= 1
    assert parts == sorted(parts, reverse=True)  # first names first


@given(NAMES, st.integers(1, 100_000))
def test_every_node_says_the_same_whichever_order_it_hears_the_names_in(names: set[str], total: int) -> None:
    for name in names:
        assert place_of(name, sorted(names)) == place_of(name, sorted(names - {name}, reverse=True))


@given(st.integers(0, 1000), st.integers(0, 1000), NAMES)
def test_the_smaller_of_two_limits_holds(own: int, total: int, names: set[str]) -> None:
    place = place_of(min(names), names)
    limits = [limit for limit in (own, place.part_of(total)) if limit]
    assert place.limit(own, total) == (min(limits) if limits else 0)


def test_a_node_that_is_alone_has_all_of_it() -> None:
    assert place_of("lb1", ()) == ALONE
    assert (ALONE.part_of(7), ALONE.part_of(0)) == (7, 0)


def test_what_is_left_over_goes_to_the_first() -> None:
    assert [Place(index, 3).part_of(8) for index in range(3)] == [3, 3, 2]
