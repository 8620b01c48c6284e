"""From an algorithm's name to the algorithm."""

from __future__ import annotations

from random import Random

from lbapp.engine.policy.balance.factory import ALGORITHMS, build_algorithm
from lbapp.model.entities import AlgorithmName
from tests.engine.policy.balance.support import CLIENT, Load, pool


def test_every_name_has_an_algorithm_of_its_own() -> None:
    assert set(ALGORITHMS) == set(AlgorithmName)
    assert len(set(ALGORITHMS.values())) == len(AlgorithmName) - 1  # ip_hash is hash by the address


def test_built_algorithm_is_of_that_name_and_ready_to_choose() -> None:
    for name, kind in ALGORITHMS.items():
        algorithm = build_algorithm(name, pool(100), Load(), Random(1))
        assert type(algorithm) is kind
        assert algorithm.choose_server(CLIENT, 0.0) == 0
