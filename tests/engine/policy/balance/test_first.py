"""First: one after the other, in the order of the file."""

from __future__ import annotations

from random import Random

from lbapp.engine.policy.balance.first import First
from tests.engine.policy.balance.support import Load, picks, pool


def test_first_that_is_eligible_and_not_full_is_chosen() -> None:
    algorithm = First(Load(), Random(1))
    algorithm.update(pool(100, 1, 256, down=[0]), 0.0)
    assert picks(algorithm, 3) == [1, 1, 1]
    assert picks(algorithm, 1, (1,)) == [2]
    assert picks(algorithm, 1, (1, 2)) == [None]
    algorithm.update(pool(100, 1, 256), 0.0)
    assert picks(algorithm, 1) == [0]
