"""A choice that is explained while it is made."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from lbapp.engine.policy.balance.explaining import Explaining
from lbapp.engine.policy.balance.explanation import Explanation
from lbapp.engine.policy.balance.factory import build_algorithm
from lbapp.model.entities import AlgorithmName
from tests.engine.policy.balance.support import CLIENT, Load, pool


class Restless(Load):
    """In-flight counts that are others each time, as other workers have theirs."""

    def in_flight(self, indexes: Sequence[int]) -> list[int]:
        draw = Random(sum(self.counts.values()))
        self.counts[0] = self.counts.get(0, 0) + 1
        return [draw.randrange(100) for _ in indexes]


def test_choice_is_made_by_the_counts_that_explain_it() -> None:
    for name in AlgorithmName:
        algorithm = build_algorithm(name, pool(100, 100, 100, 100), Restless(), Random(1))
        told: list[Explanation] = []
        explaining = Explaining(algorithm, told.append)
        chosen = [explaining.choose_server(CLIENT, 0.0) for _ in range(200)]
        assert [each.chosen for each in told] == chosen
        assert isinstance(algorithm.load, Restless)
