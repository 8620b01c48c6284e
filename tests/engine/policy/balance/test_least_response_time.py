"""Least response time: single steps, then whole pools in simulation (seeded, simulated time)."""

from __future__ import annotations

from collections import Counter
from math import e
from random import Random

import pytest

from lbapp.engine.policy.balance.base import Algorithm
from lbapp.engine.policy.balance.least_response_time import FAILURE_US_MAX, FAILURE_US_MIN, TAU_S
from lbapp.model.entities import AlgorithmName
from tests.engine.policy.balance.support import CLIENT, Farm, Load, build, pool, simulate

NAME = AlgorithmName.LEAST_RESPONSE_TIME
MS = 1_000


class Never(Random):
    """A random source that never explores; among equals it takes the last."""

    def random(self) -> float:
        return 0.999


def made(*latencies_ms: int, load: Load | None = None) -> Algorithm:
    """A pool whose servers have each been measured once, at 0 s."""
    algorithm = build(NAME, pool(*[100] * len(latencies_ms)), load, Never())
    for index, latency_ms in enumerate(latencies_ms):
        algorithm.observe(index, latency_ms * MS, False, 0.0)
    return algorithm


def chosen(algorithm: Algorithm, now_s: float = 0.0) -> int | None:
    return algorithm.choose_server(CLIENT, now_s)


def holds_until(algorithm: Algorithm, load: Load, index: int, now_s: float = 0.0) -> int:
    """Return how many can be in flight at server `index` before another one is chosen: its price beside the others'."""
    load.counts.clear()
    while chosen(algorithm, now_s) == index:
        load.counts[index] = load.counts.get(index, 0) + 1
    return load.counts.get(index, 0)


def test_lowest_product_of_load_and_latency_wins() -> None:
    load = Load()
    algorithm = made(10, 40, load=load)
    assert holds_until(algorithm, load, 0) == 2  # 15 (alike with the best) x 3 > 40
    load.counts = {0: 2, 1: 0}
    assert chosen(algorithm) == 1


def test_weight_divides_the_price() -> None:
    algorithm = made(10, 40)
    algorithm.update(pool(10, 100), 0.0)
    assert chosen(algorithm) == 1


def test_latency_close_to_the_best_does_not_decide() -> None:
    load = Load({0: 1, 1: 0})
    assert chosen(made(10, 14, load=load)) == 1


def test_idle_server_is_taken_for_as_good_as_the_best_a_little_longer() -> None:
    load = Load({0: 1})
    algorithm = made(10, 24, load=load)
    assert chosen(algorithm) == 1  # 15 x 1, as it is idle, and not 24 x 1; 30 x 1 for the other
    load.counts = {0: 2, 1: 1}
    assert chosen(algorithm) == 0  # 15 x 3 < 24 x 2


def test_estimate_jumps_up_at_once() -> None:
    algorithm = made(10, 20)
    algorithm.observe(0, 80 * MS, False, 0.001)
    assert chosen(algorithm, 0.001) == 1


def test_estimate_comes_down_slowly_under_faster_answers() -> None:
    algorithm = made(10, 100)
    algorithm.observe(1, 10 * MS, False, 0.1)
    assert chosen(algorithm, 0.1) == 0
    for step in range(2, 400):
        algorithm.observe(1, 5 * MS, False, step * 0.1)
        algorithm.observe(0, 10 * MS, False, step * 0.1)
    assert chosen(algorithm, 40.0) == 1


def test_slow_server_is_tried_again_after_a_while_without_answers() -> None:
    algorithm = made(10, 100)
    until_s = TAU_S * 2  # 100 / e^2 = 13.5 ms, below 10 x 1.5
    algorithm.observe(0, 10 * MS, False, until_s)
    assert chosen(algorithm, until_s - 7) == 0  # 27 ms, above 10 x 2.5
    assert chosen(algorithm, until_s) == 1


def test_server_tried_again_is_not_rushed_at() -> None:
    load = Load()
    algorithm = made(10, 100, load=load)
    algorithm.observe(0, 10 * MS, False, 3_600.0)
    load.counts = {0: 1, 1: 1}
    assert chosen(algorithm, 3_600.0) == 1
    load.counts = {0: 0, 1: 1}
    assert chosen(algorithm, 3_600.0) == 0


def test_estimates_survive_any_length_of_silence() -> None:
    algorithm = made(10, 100)
    assert chosen(algorithm, 1e9) in (0, 1)
    algorithm.observe(0, 10 * MS, False, 1e9)
    algorithm.observe(1, 100 * MS, False, 1e9)
    assert chosen(algorithm, 1e9) == 0


def test_new_server_is_tried_like_the_best_and_not_more() -> None:
    load = Load({0: 1})
    algorithm = made(10, 60, load=load)
    algorithm.update(pool(100, 100, 100), 0.0)
    assert chosen(algorithm) == 2
    load.counts = {0: 1, 2: 2}
    assert chosen(algorithm) == 0


def test_one_failure_costs_a_few_times_the_latency_and_a_row_of_them_everything() -> None:
    load = Load()
    algorithm = made(10, 10, load=load)
    algorithm.observe(1, 0, True, 0.0)
    one = holds_until(algorithm, load, 0)
    assert 4 <= one <= 8
    for _ in range(10):
        algorithm.observe(1, 0, True, 0.0)
    assert holds_until(algorithm, load, 0) == pytest.approx(FAILURE_US_MAX / (15 * MS), abs=1.0)


def test_failure_of_a_server_never_measured_is_no_recommendation() -> None:
    load = Load()
    algorithm = build(NAME, pool(100, 100), load, Never())
    algorithm.observe(1, 0, True, 0.0)
    algorithm.observe(0, MS, False, 0.0)
    assert holds_until(algorithm, load, 0) == int(FAILURE_US_MIN / (1.5 * MS))


def test_failure_that_took_long_counts_as_long() -> None:
    load = Load()
    algorithm = made(10, 10, load=load)
    algorithm.observe(1, 30_000 * MS, True, 0.0)
    assert holds_until(algorithm, load, 0) == pytest.approx(2_000, abs=1.0)


def test_failures_are_forgiven_in_time() -> None:
    algorithm = made(10, 10)
    for _ in range(10):
        algorithm.observe(1, 0, True, 0.0)
    assert chosen(algorithm, 50.0) == 0
    assert chosen(algorithm, TAU_S * 6) == 1


def test_server_that_went_and_came_back_is_a_new_one() -> None:
    algorithm = made(10, 500)
    algorithm.update(pool(100, 100, down=[1]), 1.0)
    algorithm.observe(1, 9_000 * MS, False, 2.0)  # a late answer, of no interest any more
    assert chosen(algorithm, 2.0) == 0
    algorithm.update(pool(100, 100), 3.0)
    assert chosen(algorithm, 3.0) == 1


def test_best_latency_follows_the_best_server_up() -> None:
    load = Load()
    algorithm = made(1, 40, 40, load=load)
    algorithm.observe(0, 40 * MS, False, 0.1)
    load.counts = {0: 2, 1: 1, 2: 0}
    assert chosen(algorithm, 0.1) == 2


def test_excluded_server_is_left_out_of_exploration_and_of_the_comparison() -> None:
    algorithm = build(NAME, pool(100, 100, 100), None, Random(1))
    for index in range(3):
        algorithm.observe(index, (index + 1) * 10 * MS, False, 0.0)
    counts = Counter(algorithm.choose_server(CLIENT, 0.0, (0,)) for _ in range(2_000))
    assert set(counts) == {1, 2}
    assert 0 < counts[2] < 50


def test_every_server_is_explored_now_and_then() -> None:
    algorithm = build(NAME, pool(*[100] * 5), None, Random(1))
    for index in range(5):
        algorithm.observe(index, 10 * MS if index == 0 else 900 * MS, False, 0.0)
    counts = Counter(algorithm.choose_server(CLIENT, 0.0) for _ in range(20_000))
    assert all(20 <= counts[index] <= 70 for index in range(1, 5))


def test_decay_is_by_e_in_every_tau() -> None:
    load = Load()
    algorithm = made(10, 10 * 60, load=load)
    algorithm.observe(0, 10 * MS, False, TAU_S)
    assert holds_until(algorithm, load, 0, TAU_S) == int(600 / e / 15)


@pytest.mark.parametrize("seed", [1, 2])
def test_tail_on_servers_of_different_speed_comes_near_the_oracle_and_below_least_connections(seed: int) -> None:
    farm = Farm([0.004] * 6 + [0.020] * 2, slots=2, requests_per_s=1_600, requests=16_000, seed=seed)
    found = simulate(NAME, farm)
    assert found.p99_s < 0.026  # an oracle that knows the true speeds: 0.0186
    assert found.p99_s < 0.65 * simulate(AlgorithmName.LEAST_CONNECTIONS, farm).p99_s


@pytest.mark.parametrize("requests_per_s", [30, 60, 150, 400])
def test_identical_servers_get_even_shares(requests_per_s: int) -> None:
    for seed in range(1, 13):
        farm = Farm([0.020] * 5, slots=4, requests_per_s=requests_per_s, requests=1_500, seed=seed)
        assert all(15 <= share <= 25 for share in simulate(NAME, farm).shares)


@pytest.mark.parametrize("workers", [2, 8])
def test_workers_that_share_only_what_is_in_flight_spread_evenly_too(workers: int) -> None:
    for seed in range(1, 7):
        farm = Farm([0.020] * 5, slots=4, requests_per_s=400, requests=1_500, seed=seed, workers=workers)
        assert all(15 <= share <= 25 for share in simulate(NAME, farm).shares)


@pytest.mark.parametrize("failing", [1.0, 0.2])
@pytest.mark.parametrize("requests_per_s", [100, 600])
def test_server_that_fails_fast_attracts_next_to_nothing(failing: float, requests_per_s: int) -> None:
    for seed in range(1, 4):
        farm = Farm([0.040] * 10, 4, requests_per_s, requests=6_000, failing={2: failing}, seed=seed)
        assert simulate(NAME, farm).shares[2] < 2.0


def test_rare_failures_everywhere_do_not_drive_the_load_together() -> None:
    healthy = Farm([0.004] * 8, slots=2, requests_per_s=2_000, requests=10_000)
    rare = Farm([0.004] * 8, 2, 2_000, 10_000, failing=dict.fromkeys(range(8), 0.0005))
    assert simulate(NAME, rare).p99_s < 2 * simulate(NAME, healthy).p99_s


@pytest.mark.parametrize("seed", range(1, 5))
@pytest.mark.parametrize("workers", [1, 4])
def test_two_slow_servers_of_ten_get_little_and_the_tail_shrinks(seed: int, workers: int) -> None:
    farm = Farm([0.040] * 8 + [0.120] * 2, 4, 600, requests=10_000, seed=seed, workers=workers)
    found = simulate(NAME, farm)
    assert sum(found.shares[8:]) < 8.0
    assert found.p99_s < 0.95 * simulate(AlgorithmName.LEAST_CONNECTIONS, farm).p99_s


@pytest.mark.parametrize("seed", range(1, 4))
def test_two_slow_servers_get_little_at_low_load_too(seed: int) -> None:
    farm = Farm([0.040] * 8 + [0.120] * 2, 4, 100, requests=10_000, seed=seed)
    assert sum(simulate(NAME, farm).shares[8:]) < 8.0
