"""Round robin."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from lbapp.model.entities import AlgorithmName
from tests.engine.policy.balance.support import build, picks, pool

NAME = AlgorithmName.ROUND_ROBIN


def test_servers_take_turns_whatever_their_weight() -> None:
    rotation = picks(build(NAME, pool(1, 256, 100)), 9)
    assert rotation[:3] == rotation[3:6] == rotation[6:]
    assert sorted(index for index in rotation[:3] if index is not None) == [0, 1, 2]


def test_workers_begin_at_different_places() -> None:
    first = Counter(picks(build(NAME, pool(*[100] * 8), random=Random(seed)), 1)[0] for seed in range(80))
    assert set(first) == set(range(8))


@given(st.integers(0, 11), st.lists(st.sets(st.integers(0, 4), max_size=4), max_size=5))
def test_change_of_state_goes_on_behind_the_last_one_chosen(turns: int, changes: list[set[int]]) -> None:
    algorithm = build(NAME, pool(*[100] * 5))
    last = picks(algorithm, turns + 1)[-1]
    for down in changes:
        algorithm.update(pool(*[100] * 5, down=sorted(down)), 0.0)
        here = [index for index in range(5) if index not in down]
        assert last is not None
        expected = next((index for index in here if index > last), here[0])
        last = picks(algorithm, 1)[0]
        assert last == expected


def test_pool_that_was_wholly_down_starts_again() -> None:
    algorithm = build(NAME, pool(100, 100))
    algorithm.update(pool(100, 100, down=[0, 1]), 0.0)
    assert picks(algorithm, 2) == [None, None]
    algorithm.update(pool(100, 100), 0.0)
    assert set(picks(algorithm, 2)) == {0, 1}


def test_excluded_server_is_passed_over_and_its_neighbour_not_chosen_twice() -> None:
    algorithm = build(NAME, pool(100, 100, 100))
    (first,) = picks(algorithm, 1)
    assert first is not None
    assert picks(algorithm, 1, [(first + 1) % 3]) == [(first + 2) % 3]
    assert picks(algorithm, 1) == [first]
