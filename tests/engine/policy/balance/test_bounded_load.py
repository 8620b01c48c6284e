"""A balance factor: no server has more than its bound while another has room, and a key keeps its server otherwise."""

from __future__ import annotations

from collections import Counter
from math import ceil
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.engine.policy.balance.base import Algorithm
from lbapp.engine.policy.balance.factory import build_algorithm
from lbapp.model.entities import AlgorithmName
from tests.engine.policy.balance.support import Load, pool

HASHING = [AlgorithmName.HASH, AlgorithmName.RENDEZVOUS]


def bounded(name: AlgorithmName, load: Load, percent: int, *weights: int, down: tuple[int, ...] = ()) -> Algorithm:
    return build_algorithm(name, pool(*weights, down=down), load, Random(1), percent)


@pytest.mark.parametrize("name", HASHING)
@given(
    weights=st.lists(st.integers(1, 256), min_size=1, max_size=8),
    percent=st.integers(100, 300),
    keys=st.lists(st.integers(0, 20), max_size=60),
)
def test_nobody_is_over_the_bound_while_all_stay(
    name: AlgorithmName, weights: list[int], percent: int, keys: list[int]
) -> None:
    load = Load()
    algorithm = bounded(name, load, percent, *weights)
    for number, key in enumerate(keys, 1):
        chosen = algorithm.choose_server(b"%d" % key, 0.0)
        assert chosen is not None
        load.counts[chosen] = load.counts.get(chosen, 0) + 1
        assert load.counts[chosen] <= ceil(number * percent / 100 * weights[chosen] / sum(weights) - 1e-9)


@pytest.mark.parametrize("name", HASHING)
def test_key_keeps_its_server_while_it_has_room_and_has_a_second_of_its_own(name: AlgorithmName) -> None:
    load = Load()
    algorithm, free = bounded(name, load, 125, *[100] * 5), build_algorithm(name, pool(*[100] * 5), Load(), Random(1))
    first = {key: free.choose_server(b"%d" % key, 0.0) for key in range(200)}
    assert {key: algorithm.choose_server(b"%d" % key, 0.0) for key in first} == first
    load.counts = {0: 50}
    moved = {key: algorithm.choose_server(b"%d" % key, 0.0) for key in first}
    assert all(moved[key] == index for key, index in first.items() if index)
    seconds = {key: moved[key] for key, index in first.items() if index == 0}
    assert seconds == {key: free.choose_server(b"%d" % key, 0.0, (0,)) for key in seconds}
    assert len(set(seconds.values())) == 4


@pytest.mark.parametrize("name", HASHING)
def test_hot_key_is_spread_and_not_further_than_it_has_to(name: AlgorithmName) -> None:
    load = Load()
    algorithm = bounded(name, load, 150, *[100] * 10)
    chosen = Counter[int]()
    for _ in range(100):
        index = algorithm.choose_server(b"hot", 0.0)
        assert index is not None
        load.counts[index] = load.counts.get(index, 0) + 1
        chosen[index] += 1
    assert max(chosen.values()) <= 15
    assert len(chosen) >= 7


@pytest.mark.parametrize("name", HASHING)
def test_excluded_and_ineligible_servers_count_for_nothing(name: AlgorithmName) -> None:
    algorithm = bounded(name, Load({1: 9}), 100, 100, 100, 100, down=(2,))
    assert algorithm.choose_server(b"k", 0.0, (0,)) == 1  # over its bound, and all that is left
    assert algorithm.choose_server(b"k", 0.0, (0, 1)) is None
    assert bounded(name, Load(), 100, 100, down=(0,)).choose_server(b"k", 0.0) is None
