"""From an algorithm's name to the algorithm.

Responsible for the one list of what can be named in a configuration. Knows nothing of what they do.
Invariant: every AlgorithmName has an entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

from lbapp.engine.policy.balance.base import Algorithm, LoadReader, ServerState
from lbapp.engine.policy.balance.first import First
from lbapp.engine.policy.balance.key_hash import KeyHash
from lbapp.engine.policy.balance.least_connections import LeastConnections
from lbapp.engine.policy.balance.least_response_time import LeastResponseTime
from lbapp.engine.policy.balance.prequal import Prequal
from lbapp.engine.policy.balance.rendezvous import Rendezvous
from lbapp.engine.policy.balance.round_robin import RoundRobin
from lbapp.engine.policy.balance.two_choices import TwoChoices
from lbapp.engine.policy.balance.weighted_round_robin import WeightedRoundRobin
from lbapp.model.entities import AlgorithmName

ALGORITHMS: Final[dict[AlgorithmName, type[Algorithm]]] = {
    AlgorithmName.ROUND_ROBIN: RoundRobin,
    AlgorithmName.WEIGHTED_ROUND_ROBIN: WeightedRoundRobin,
    AlgorithmName.LEAST_CONNECTIONS: LeastConnections,
    AlgorithmName.IP_HASH: KeyHash,
    AlgorithmName.LEAST_RESPONSE_TIME: LeastResponseTime,
    AlgorithmName.TWO_CHOICES: TwoChoices,
    AlgorithmName.HASH: KeyHash,
    AlgorithmName.RENDEZVOUS: Rendezvous,
    AlgorithmName.FIRST: First,
    AlgorithmName.PREQUAL: Prequal,
}


def build_algorithm(
    name: AlgorithmName, servers: Sequence[ServerState], load: LoadReader, random: Random, balance_percent: int = 0
) -> Algorithm:
    """Return the named algorithm over `servers`. `balance_percent` is for those that hash."""
    kind = ALGORITHMS[name]
    is_hashing = kind is KeyHash or kind is Rendezvous
    algorithm = kind(load, random, balance_percent) if is_hashing else kind(load, random)  # type: ignore[call-arg]
    algorithm.update(servers, 0.0)
    return algorithm
