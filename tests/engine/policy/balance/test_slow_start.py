"""A server on a slow start gets its share under every algorithm that has turns or loads, and no herd."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random

import pytest

from lbapp.engine.policy.balance.base import ServerState
from lbapp.engine.policy.balance.factory import build_algorithm
from lbapp.engine.policy.slow_start import share_permille
from lbapp.model.entities import AlgorithmName
from lbapp.model.passive import SlowStart

SERVERS = 5


class Load:
    """What is in flight, as a simulation has it."""

    def __init__(self) -> None:
        self.counts = [0] * SERVERS

    def in_flight(self, indexes: Sequence[int]) -> list[int]:
        return [self.counts[index] for index in indexes]


def states(share: int) -> list[ServerState]:
    return [ServerState(at, f"app/s{at}", 100, True, share if at == 0 else 1000) for at in range(SERVERS)]


@pytest.mark.parametrize("name", [AlgorithmName.ROUND_ROBIN, AlgorithmName.WEIGHTED_ROUND_ROBIN])
@pytest.mark.parametrize("share", [1, 50, 100, 333, 500, 900])
def test_turns_are_in_proportion_to_the_share(name: AlgorithmName, share: int) -> None:
    algorithm = build_algorithm(name, states(share), Load(), Random(1))
    chosen = Counter(algorithm.choose_server(b"", 0.0) for _ in range(40_000))
    fair = 40_000 / (SERVERS - 1 + share / 1000)
    assert abs(chosen[0] - fair * share / 1000) <= 2 + fair * share / 1000 * 0.02
    assert all(abs(chosen[at] - fair) <= fair * 0.01 for at in range(1, SERVERS))


def test_round_robin_serves_even_if_all_begin_slowly() -> None:
    every = [ServerState(at, f"app/s{at}", 100, True, 100) for at in range(3)]
    algorithm = build_algorithm(AlgorithmName.ROUND_ROBIN, every, Load(), Random(1))
    chosen = Counter(algorithm.choose_server(b"", 0.0) for _ in range(3000))
    assert set(chosen) == {0, 1, 2}
    assert max(chosen.values()) < 1.2 * min(chosen.values())
    assert algorithm.choose_server(b"", 0.0, (0, 1)) == 2
    assert algorithm.choose_server(b"", 0.0, (0, 1, 2)) is None


@pytest.mark.parametrize(
    "name",
    [
        AlgorithmName.ROUND_ROBIN,
        AlgorithmName.WEIGHTED_ROUND_ROBIN,
        AlgorithmName.LEAST_CONNECTIONS,
        AlgorithmName.LEAST_RESPONSE_TIME,
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_rate_of_a_server_that_comes_back_follows_the_curve(name: AlgorithmName, seed: int) -> None:
    """Open loop at 60 % of capacity: 4 slots a server, exponential service; the rate is held against share x fair."""
    random, load = Random(seed), Load()
    settings = SlowStart(30.0)
    algorithm = build_algorithm(name, states(100), load, random)
    ends: list[tuple[float, int, float]] = []
    now_s, rate, mean_s = 0.0, 1200.0, 0.01
    next_step_s, share = 0.0, 100
    wanted, got, total = 0.0, 0, 0
    while now_s < 30.0:
        now_s += random.expovariate(rate)
        while ends and ends[0][0] <= now_s:
            ended_s, index, began_s = ends.pop(0)
            load.counts[index] -= 1
            algorithm.observe(index, int((ended_s - began_s) * 1e6), False, ended_s)
        if now_s >= next_step_s:
            next_step_s += 0.25
            share = share_permille(settings, now_s)
            algorithm.update(states(share), now_s)
        chosen = algorithm.choose_server(b"", now_s)
        assert chosen is not None
        load.counts[chosen] += 1
        ends.append((now_s + random.expovariate(1 / mean_s), chosen, now_s))
        ends.sort()
        wanted += share / 1000 / (SERVERS - 1 + share / 1000)
        got += chosen == 0
        total += 1
    assert total > 30_000
    tolerance = 0.1 if "round_robin" in name.value else 0.35
    assert abs(got - wanted) <= tolerance * wanted, (got, wanted)
