"""Beginnings and ends of episodes of a counter."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lbapp.engine.policy.overload import Began, Ended, Episodes


def test_counter_that_stands_still_says_nothing() -> None:
    episodes = Episodes(7, 5.0)
    assert [episodes.look(7, now_s) for now_s in (0.0, 5.0, 100.0)] == [None, None, None]
    assert not episodes.is_under_way


def test_episode_ends_when_it_was_quiet_for_long_enough_and_says_how_many_it_were() -> None:
    episodes = Episodes(7, 5.0)
    assert episodes.look(10, 1.0) == Began()
    assert episodes.look(12, 3.0) is None
    assert episodes.look(12, 7.9) is None
    assert episodes.look(12, 8.0) == Ended(5, 2.0)
    assert episodes.look(13, 9.0) == Began()


def test_episode_is_under_way_from_its_beginning_to_its_end() -> None:
    episodes = Episodes(0, 5.0)
    said = [(episodes.look(total, now_s), episodes.is_under_way) for total, now_s in ((1, 0.0), (1, 4.9), (1, 5.0))]
    assert [is_under_way for _, is_under_way in said] == [True, True, False]


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0.1, 10.0)), max_size=100))
def test_beginnings_and_ends_alternate_and_the_counts_add_up(steps: list[tuple[int, float]]) -> None:
    total, now_s, said = 5, 0.0, []
    episodes = Episodes(total, 5.0)
    for growth, gap in [*steps, (0, 5.0), (0, 5.0)]:
        total, now_s = total + growth, now_s + gap
        found = episodes.look(total, now_s)
        if found is not None:
            said.append(found)
    assert all(isinstance(each, Began) for each in said[::2])
    assert all(isinstance(each, Ended) for each in said[1::2])
    assert len(said) % 2 == 0
    assert sum(each.count for each in said if isinstance(each, Ended)) == total - 5
