"""Least connections."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from lbapp.model.entities import AlgorithmName
from tests.engine.policy.balance.support import CLIENT, Load, build, picks, pool

NAME = AlgorithmName.LEAST_CONNECTIONS
servers_with_loads = st.lists(
    st.tuples(st.integers(1, 256), st.integers(0, 40) | st.integers(2**31, 2**31 + 40)), min_size=1, max_size=6
)


@settings(max_examples=150)
@given(servers_with_loads, st.sets(st.integers(0, 5)))
def test_choice_has_exactly_the_lowest_load_for_its_weight(servers: list[tuple[int, int]], excluded: set[int]) -> None:
    load = Load(dict(enumerate(count for _, count in servers)))
    algorithm = build(NAME, pool(*(weight for weight, _ in servers)), load)
    loads = {
        index: Fraction(count + 1, weight) for index, (weight, count) in enumerate(servers) if index not in excluded
    }
    lowest = {index for index, value in loads.items() if value == min(loads.values())}
    seen = {algorithm.choose_server(CLIENT, 0.0, tuple(excluded)) for _ in range(10)}
    assert seen <= lowest if lowest else seen == {None}


def test_loads_that_floats_could_confuse_are_told_apart_and_equal_ones_are_not() -> None:
    # 1/3 of 255 and of 171: (84 + 1) / 255 == (56 + 1) / 171.
    assert set(picks(build(NAME, pool(255, 171), Load({0: 84, 1: 56})), 60)) == {0, 1}
    near = 2**31
    assert set(picks(build(NAME, pool(255, 256), Load({0: near * 255, 1: near * 256})), 60)) == {1}


def test_equals_are_chosen_at_random_and_evenly() -> None:
    counts = Counter(picks(build(NAME, pool(*[100] * 5), Load({0: 3, 4: 1})), 3_000))
    assert set(counts) == {1, 2, 3}
    assert all(850 < count < 1_150 for count in counts.values())


def test_load_is_read_anew_at_every_pick() -> None:
    load = Load({0: 0, 1: 5})
    algorithm = build(NAME, pool(100, 100), load)
    assert picks(algorithm, 1) == [0]
    load.counts[0] = 9
    assert picks(algorithm, 1) == [1]


def test_reweight_counts_at_the_next_pick() -> None:
    algorithm = build(NAME, pool(100, 100), Load({0: 3, 1: 4}))
    assert picks(algorithm, 1) == [0]
    algorithm.update(pool(100, 200), 0.0)
    assert picks(algorithm, 1) == [1]
