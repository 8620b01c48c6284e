"""Prequal: the hot-cold rule."""

from __future__ import annotations

from random import Random

import pytest

from lbapp.engine.policy.balance.prequal import LOADS_KEPT, Prequal
from lbapp.model.entities import AlgorithmName
from tests.engine.policy.balance.support import CLIENT, Farm, Load, pool, simulate


class Certain(Random):
    """Never explores."""

    def random(self) -> float:
        return 0.5


def made(load: Load, count: int) -> Prequal:
    algorithm = Prequal(load, Certain(1))
    algorithm.update(pool(*[100] * count), 0.0)
    return algorithm


def test_of_the_cold_ones_the_fastest_is_chosen_whatever_its_load() -> None:
    algorithm = made(Load({0: 2, 1: 0, 2: 5, 3: 9}), 4)
    for index, latency_us in enumerate((1_000, 2_000, 1_500, 100)):
        algorithm.observe(index, latency_us, False, 0.0)
    for _ in range(LOADS_KEPT):
        chosen = algorithm.choose_server(CLIENT, 0.0)
    assert chosen == 0


def test_if_all_are_hot_the_least_loaded_is_chosen() -> None:
    load = Load()
    algorithm = made(load, 3)
    for _ in range(LOADS_KEPT):
        algorithm.choose_server(CLIENT, 0.0)
    load.counts = {0: 7, 1: 5, 2: 6}
    algorithm.observe(0, 10, False, 0.0)
    assert algorithm.choose_server(CLIENT, 0.0) == 1


def test_server_that_was_slow_is_tried_again_in_time() -> None:
    algorithm = made(Load(), 2)
    algorithm.observe(0, 1_000, False, 0.0)
    algorithm.observe(1, 3_000, False, 0.0)
    assert algorithm.choose_server(CLIENT, 0.0) == 0
    algorithm.observe(0, 1_000, False, 60.0)
    assert algorithm.choose_server(CLIENT, 60.0) == 1


def test_excluded_servers_and_answers_of_those_gone_count_for_nothing() -> None:
    algorithm = made(Load(), 2)
    algorithm.observe(7, 10, False, 0.0)
    assert algorithm.choose_server(CLIENT, 0.0, (0,)) == 1
    assert algorithm.choose_server(CLIENT, 0.0, (0, 1)) is None


@pytest.mark.parametrize("failing", [1.0, 0.5])
def test_server_that_fails_fast_attracts_little(failing: float) -> None:
    farm = Farm([0.01] * 10, slots=4, requests_per_s=2000, requests=20_000, failing={3: failing})
    assert simulate(AlgorithmName.PREQUAL, farm).shares[3] < 4


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("requests_per_s", [2_400, 2_770])  # 70 and 80 % of capacity
def test_slow_servers_are_left_aside_and_the_tail_is_below_that_of_two_choices(seed: int, requests_per_s: int) -> None:
    farm = Farm([0.01] * 8 + [0.03] * 2, slots=4, requests_per_s=requests_per_s, requests=20_000, seed=seed)
    found, two = (simulate(name, farm) for name in (AlgorithmName.PREQUAL, AlgorithmName.TWO_CHOICES))
    assert sum(found.shares[8:]) < 8
    assert found.p99_s < 0.85 * two.p99_s


def test_tail_is_far_below_that_of_turns_when_there_is_more_than_the_servers_can_do() -> None:
    farm = Farm([0.01] * 7 + [0.025] * 3, slots=4, requests_per_s=3_400, requests=10_000)  # 103 % of capacity
    found, turns = (simulate(name, farm) for name in (AlgorithmName.PREQUAL, AlgorithmName.ROUND_ROBIN))
    assert found.p99_s < 0.8 * turns.p99_s


def test_identical_servers_get_shares_of_the_same_order() -> None:
    """Which of equals is fastest at a moment is chance, and load alone does not decide."""
    farm = Farm([0.01] * 5, slots=4, requests_per_s=1000, requests=20_000)
    assert all(abs(share - 20) < 4 for share in simulate(AlgorithmName.PREQUAL, farm).shares)
