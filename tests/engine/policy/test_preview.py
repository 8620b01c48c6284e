"""Predicted shares."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.engine.policy.eligibility import Candidate
from lbapp.engine.policy.preview import Member, predict
from lbapp.model.entities import AlgorithmName, Pool
from lbapp.model.passive import Passive


def members(*weights: int, gone: tuple[int, ...] = (), backups: tuple[int, ...] = ()) -> list[Member]:
    return [
        Member(f"app/s{place}", Candidate(weight > 0 and place not in gone, True, place in backups), weight)
        for place, weight in enumerate(weights)
    ]


def pool(algorithm: AlgorithmName, panic: int = 0) -> Pool:
    return Pool("app", (), algorithm, passive=Passive(panic_percent=panic))


@pytest.mark.parametrize("algorithm", list(AlgorithmName))
@given(st.lists(st.integers(0, 256), min_size=1, max_size=5), st.sets(st.integers(0, 4)))
def test_shares_add_up_and_who_is_gone_has_none(algorithm: AlgorithmName, weights: list[int], gone: set[int]) -> None:
    found = predict(pool(algorithm), members(*weights), members(*weights, gone=tuple(gone)))
    for shares in (found.before, found.after):
        assert sum(shares) == pytest.approx(1.0 if any(shares) else 0.0)
    assert all(not share for place, share in enumerate(found.after) if place in gone)
    assert found.leaves_nobody is (any(weights) and all(not weight or at in gone for at, weight in enumerate(weights)))


def test_shares_follow_weights_where_the_algorithm_does() -> None:
    before, after = members(100, 100), members(100, 300)
    assert predict(pool(AlgorithmName.LEAST_CONNECTIONS), before, after).after == [0.25, 0.75]
    assert predict(pool(AlgorithmName.ROUND_ROBIN), before, after).after == [0.5, 0.5]
    assert predict(pool(AlgorithmName.FIRST), before, after).after == [1.0, 0.0]


def test_keys_that_move_are_those_of_the_server_that_goes() -> None:
    found = predict(pool(AlgorithmName.RENDEZVOUS), members(*[100] * 5), members(*[100] * 5, gone=(2,)))
    assert found.keys_moved == pytest.approx(found.before[2])
    assert 0.15 < found.before[2] < 0.25
    assert predict(pool(AlgorithmName.ROUND_ROBIN), members(1), members(1)).keys_moved is None


def test_backup_is_somebody_and_so_is_everybody_in_a_panic() -> None:
    assert predict(
        pool(AlgorithmName.ROUND_ROBIN), members(1, 1, backups=(1,)), members(1, 1, gone=(0,), backups=(1,))
    ).after == [0, 1]
    sick = [replace(each, candidate=replace(each.candidate, is_healthy=False)) for each in members(1, 1)]
    assert not predict(pool(AlgorithmName.ROUND_ROBIN, panic=50), sick, sick).leaves_nobody
