"""Smooth weighted round robin."""

from __future__ import annotations

from collections import Counter
from itertools import groupby, pairwise
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from lbapp.model.entities import AlgorithmName
from tests.engine.policy.balance.support import build, picks, pool, state

NAME = AlgorithmName.WEIGHTED_ROUND_ROBIN
weights_of_a_pool = st.lists(st.integers(1, 256), min_size=1, max_size=8)


@settings(max_examples=40)
@given(weights_of_a_pool, st.integers(0, 300), st.integers(0, 10))
def test_shares_are_exact_over_any_cycle(weights: list[int], skipped: int, seed: int) -> None:
    algorithm = build(NAME, pool(*weights), random=Random(seed))
    picks(algorithm, skipped)
    assert Counter(picks(algorithm, sum(weights))) == Counter(dict(enumerate(weights)))


@settings(max_examples=40)
@given(weights_of_a_pool, st.integers(0, 10))
def test_turns_of_a_server_come_at_even_distances(weights: list[int], seed: int) -> None:
    algorithm = build(NAME, pool(*weights), random=Random(seed))
    total = sum(weights)
    turns = picks(algorithm, 2 * total)
    for index, weight in enumerate(weights):
        places = [at for at, chosen in enumerate(turns) if chosen == index]
        gaps = [after - before for before, after in pairwise(places)]
        assert all(abs(gap - total / weight) < len(weights) for gap in gaps)


@settings(max_examples=40)
@given(st.lists(st.integers(1, 256), min_size=2, max_size=8), st.integers(0, 10))
def test_no_burst_is_longer_than_weights_make_it(weights: list[int], seed: int) -> None:
    """While a server of weight w has k turns in a row, (k - 1) / w of a cycle passes, in which nobody else is due."""
    turns = picks(build(NAME, pool(*weights), random=Random(seed)), 2 * sum(weights))
    for index, run in groupby(turns):
        assert index is not None
        heaviest_other = max(weight for other, weight in enumerate(weights) if other != index)
        assert (len(list(run)) - 1) * heaviest_other <= weights[index]


def test_heavy_servers_turns_lie_between_the_others_and_never_in_a_burst() -> None:
    for seed in range(20):
        turns = picks(build(NAME, pool(5, 1, 1, 1, 1, 1), random=Random(seed)), 100)
        assert max(len(list(run)) for _, run in groupby(turns)) == 1
        others = [index for index in turns if index != 0]
        assert others[:5] == others[5:10]


def test_workers_begin_at_different_places() -> None:
    first = {picks(build(NAME, pool(*[100] * 8), random=Random(seed)), 1)[0] for seed in range(80)}
    assert first == set(range(8))


def test_reweight_counts_from_the_next_pick_on() -> None:
    algorithm = build(NAME, pool(1, 100, 100))
    picks(algorithm, 50)
    algorithm.update(pool(200, 100, 100), 0.0)
    assert 198 <= Counter(picks(algorithm, 400))[0] <= 202
    assert 0 in picks(algorithm, 3)
    algorithm.update(pool(1, 100, 100), 0.0)
    assert Counter(picks(algorithm, 201))[0] == 1


def test_reweight_of_one_does_not_move_the_others() -> None:
    changed, steady = (build(NAME, pool(10, 7, 5, 3), random=Random(3)) for _ in range(2))
    for algorithm in (changed, steady):
        picks(algorithm, 13)
    changed.update(pool(10, 7, 5, 90), 0.0)
    others = [[index for index in picks(algorithm, 300) if index != 3] for algorithm in (changed, steady)]
    assert len(others[0]) > 50
    assert others[0] == others[1][: len(others[0])]


def test_update_without_a_change_changes_nothing() -> None:
    one, other = (build(NAME, pool(10, 7, 5, 3), random=Random(3)) for _ in range(2))
    picks(one, 8), picks(other, 8)
    one.update(pool(10, 7, 5, 3), 0.0)
    assert picks(one, 60) == picks(other, 60)


def test_server_that_comes_back_takes_the_turns_it_would_have_had() -> None:
    one, other = (build(NAME, pool(10, 7, 5, 3), random=Random(3)) for _ in range(2))
    one.update(pool(10, 7, 5, 3, down=[1]), 0.0)
    for index in picks(one, 36):
        turn = picks(other, 1)[0]
        if turn == 1:
            turn = picks(other, 1)[0]
        assert index == turn
    one.update(pool(10, 7, 5, 3), 0.0)
    assert picks(one, 50) == picks(other, 50)


def test_weight_that_changes_while_a_server_is_away_holds_when_it_returns() -> None:
    algorithm = build(NAME, pool(10, 10))
    algorithm.update(pool(10, 0), 0.0)
    picks(algorithm, 25)
    algorithm.update(pool(10, 30, down=[1]), 0.0)
    assert set(picks(algorithm, 15)) == {0}
    algorithm.update(pool(10, 30), 0.0)
    assert 29 <= Counter(picks(algorithm, 40))[1] <= 31


def test_server_first_seen_with_weight_zero_joins_when_it_gets_one() -> None:
    algorithm = build(NAME, pool(10, 0))
    assert set(picks(algorithm, 20)) == {0}
    algorithm.update(pool(10, 10), 0.0)
    assert Counter(picks(algorithm, 20)) == Counter({0: 10, 1: 10})


def test_removed_server_is_forgotten() -> None:
    algorithm = build(NAME, pool(10, 10))
    algorithm.update([state(0, 10)], 0.0)
    assert set(picks(algorithm, 20)) == {0}


def test_excluded_servers_keep_their_turns_and_the_one_chosen_uses_its_own() -> None:
    algorithm = build(NAME, pool(100, 100, 100))
    assert set(picks(algorithm, 8, [0, 1])) == {2}
    assert Counter(picks(algorithm, 16)) == Counter({0: 8, 1: 8})
