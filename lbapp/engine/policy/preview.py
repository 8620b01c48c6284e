"""What a change of servers will do: who is left, who gets how much, and how many keys move.

Responsible for the prediction that guards a change and that a dry run shows. Knows nothing of states, cells or how a change is
made.

Invariant: shares add up to 1 where anybody is left. They are those that weights ask for: load and speed decide the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from lbapp.engine.policy.balance.base import NoLoad, ServerState
from lbapp.engine.policy.balance.factory import build_algorithm
from lbapp.engine.policy.eligibility import Candidate, eligible
from lbapp.model.entities import AlgorithmName, Pool

KEYS: Final = 4_096  # that are looked at for algorithms that hash
_BY_KEY: Final = frozenset((AlgorithmName.HASH, AlgorithmName.IP_HASH, AlgorithmName.RENDEZVOUS))
_ALIKE: Final = frozenset((AlgorithmName.ROUND_ROBIN, AlgorithmName.PREQUAL))


@dataclass(frozen=True, slots=True)
class Member:
    """One server of a pool, as it is or as it is going to be."""

    id: str
    candidate: Candidate
    weight: int


@dataclass(frozen=True, slots=True)
class Prediction:
    """Before and after, in the order of the members: shares of new clients; `keys_moved`: of all keys, None without hashing."""

    before: list[float]
    after: list[float]
    keys_moved: float | None

    @property
    def leaves_nobody(self) -> bool:
        """Say whether the change takes the last server away."""
        return any(self.before) and not any(self.after)


def predict(pool: Pool, before: Sequence[Member], after: Sequence[Member]) -> Prediction:
    """Compare a pool before and after. Both lists name the same servers in the same order."""
    if pool.algorithm not in _BY_KEY:
        return Prediction(_by_weight(pool, before), _by_weight(pool, after), None)
    owners = _owners(pool, before), _owners(pool, after)
    moved = sum(one != other for one, other in zip(*owners, strict=True)) / KEYS
    shares = [[own.count(place) / KEYS for place in range(len(before))] for own in owners]
    return Prediction(shares[0], shares[1], moved)


def part_of(pool: Pool, weight: int) -> int:
    """Return what the share of a server of this weight is counted by: the weight, or 1 where all get the same."""
    return 1 if pool.algorithm in _ALIKE else weight


def parts(pool: Pool, members: Sequence[Member]) -> list[int]:
    """Return the part of each server that may get new clients, 0 for the others; also where keys or speed decide."""
    chosen = _chosen(pool, members)
    return [part_of(pool, each.weight) if is_chosen else 0 for each, is_chosen in zip(members, chosen, strict=True)]


def _chosen(pool: Pool, members: Sequence[Member]) -> list[bool]:
    return eligible([member.candidate for member in members], pool.passive.panic_percent).chosen


def _by_weight(pool: Pool, members: Sequence[Member]) -> list[float]:
    chosen = _chosen(pool, members)
    if pool.algorithm is AlgorithmName.FIRST and any(chosen):
        return [float(place == chosen.index(True)) for place in range(len(members))]
    counted = parts(pool, members)
    total = sum(counted)
    return [part / total if total else 0.0 for part in counted]


def _owners(pool: Pool, members: Sequence[Member]) -> list[int | None]:
    chosen = _chosen(pool, members)
    states = [
        ServerState(place, member.id, member.weight, is_chosen)
        for place, (member, is_chosen) in enumerate(zip(members, chosen, strict=True))
    ]
    algorithm = build_algorithm(pool.algorithm, states, NoLoad(), Random(0))
    return [algorithm.choose_server(b"key %d" % number, 0.0) for number in range(KEYS)]
