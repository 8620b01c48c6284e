"""Two choices: the better of two, drawn by weight."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.engine.policy.balance.two_choices import TwoChoices
from lbapp.model.entities import AlgorithmName
from tests.engine.policy.balance.support import CLIENT, Farm, Load, pool, simulate


def made(load: Load, *weights: int, down: tuple[int, ...] = ()) -> TwoChoices:
    algorithm = TwoChoices(load, Random(3))
    algorithm.update(pool(*weights, down=down), 0.0)
    return algorithm


@given(st.lists(st.integers(1, 256), min_size=2, max_size=9), st.data())
def test_busiest_server_is_never_chosen_where_all_weigh_the_same_and_one_is_free(
    weights: list[int], data: st.DataObject
) -> None:
    busy = data.draw(st.integers(0, len(weights) - 1))
    algorithm = made(Load({busy: 9}), *[100] * len(weights))
    assert busy not in {algorithm.choose_server(CLIENT, 0.0) for _ in range(50)}


def test_draws_follow_weights_where_loads_are_alike() -> None:
    algorithm = made(Load(), 100, 100, 100, 100)
    counts = Counter(algorithm.choose_server(CLIENT, 0.0) for _ in range(20_000))
    assert all(abs(count - 5000) < 350 for count in counts.values())


def test_weights_divide_the_load() -> None:
    algorithm = made(Load({0: 3, 1: 1}), 200, 100)  # 4 / 200 against 2 / 100
    assert {algorithm.choose_server(CLIENT, 0.0) for _ in range(100)} == {0, 1}
    algorithm = made(Load({0: 3, 1: 2}), 200, 100)
    assert {algorithm.choose_server(CLIENT, 0.0) for _ in range(100)} == {0}


def test_few_servers() -> None:
    assert made(Load(), 100, down=(0,)).choose_server(CLIENT, 0.0) is None
    assert made(Load(), 100).choose_server(CLIENT, 0.0) == 0
    two = made(Load({0: 5}), 100, 100)
    assert two.choose_server(CLIENT, 0.0) == 1
    assert two.choose_server(CLIENT, 0.0, (1,)) == 0
    assert two.choose_server(CLIENT, 0.0, (0, 1)) is None


@pytest.mark.parametrize("seed", [1, 2])
def test_tail_is_far_below_that_of_turns(seed: int) -> None:
    farm = Farm([0.01] * 20, slots=2, requests_per_s=3200, requests=30_000, seed=seed)
    turns, better = (simulate(name, farm) for name in (AlgorithmName.ROUND_ROBIN, AlgorithmName.TWO_CHOICES))
    assert better.p99_s < 0.8 * turns.p99_s
