"""What all algorithms share."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbapp.model.entities import AlgorithmName
from tests.engine.policy.balance.support import CLIENT, build, picks, pool, state

BY_KEY_OR_ORDER = {AlgorithmName.IP_HASH, AlgorithmName.HASH, AlgorithmName.RENDEZVOUS, AlgorithmName.FIRST}
each_algorithm = pytest.mark.parametrize("name", list(AlgorithmName))


@each_algorithm
def test_pool_without_servers_or_without_eligible_ones_yields_none(name: AlgorithmName) -> None:
    for servers in ([], pool(0, 0), pool(100, 100, down=[0, 1])):
        assert build(name, servers).choose_server(CLIENT, 0.0) is None
        assert build(name, servers).choose_server(CLIENT, 0.0, (0,)) is None


@each_algorithm
@settings(max_examples=60)
@given(
    st.lists(st.sampled_from((0, 1, 7, 100, 256)), min_size=1, max_size=8),
    st.sets(st.integers(0, 7)),
    st.sets(st.integers(0, 7)),
    st.binary(min_size=4, max_size=4),
)
def test_choice_is_eligible_and_not_excluded_and_none_only_when_nothing_is_left(
    name: AlgorithmName, weights: list[int], down: set[int], excluded: set[int], key: bytes
) -> None:
    algorithm = build(name, pool(*weights, down=list(down)))
    left = {index for index, weight in enumerate(weights) if weight and index not in down and index not in excluded}
    for _ in range(12):
        index = algorithm.choose_server(key, 0.0, tuple(excluded))
        assert index in left if left else index is None


@each_algorithm
def test_server_of_weight_zero_and_server_that_went_down_get_nothing_from_the_next_pick_on(name: AlgorithmName) -> None:
    algorithm = build(name, pool(100, 100, 100))
    picks(algorithm, 10)
    algorithm.update(pool(100, 0, 100, down=[2]), 1.0)
    assert set(picks(algorithm, 50)) == {0}
    algorithm.update(pool(100, 100, 100), 2.0)
    if name not in BY_KEY_OR_ORDER:
        assert set(picks(algorithm, 400)) == {0, 1, 2}


@each_algorithm
def test_indexes_are_rows_of_the_scoreboard_and_need_not_begin_at_zero(name: AlgorithmName) -> None:
    algorithm = build(name, [state(17), state(40), state(41, is_eligible=False)])
    assert set(picks(algorithm, 300)) <= {17, 40}
    assert set(picks(algorithm, 300, (17,))) == {40}


@pytest.mark.parametrize("name", sorted(set(AlgorithmName) - BY_KEY_OR_ORDER))
def test_idle_pool_of_equals_is_shared_evenly(name: AlgorithmName) -> None:
    counts = Counter(picks(build(name, pool(100, 100, 100, 100)), 4_000))
    assert all(850 < counts[index] < 1_150 for index in range(4))


@each_algorithm
def test_only_those_that_go_by_latency_learn_from_answers(name: AlgorithmName) -> None:
    algorithm = build(name, pool(100, 100))
    assert algorithm.observes == name.learns == (name in (AlgorithmName.LEAST_RESPONSE_TIME, AlgorithmName.PREQUAL))
    algorithm.observe(0, 1_000, False, 0.0)
