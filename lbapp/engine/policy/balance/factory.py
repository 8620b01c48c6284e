"""From an algorithm's name to the algorithm.

Responsible for the one list of what can be named in a configuration. Knows nothing of what they do.
Invariant: every AlgorithmName has an entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

from lbapp.engine.policy.balance.base import Algorithm, LoadReader, ServerState
from lbapp.engine.policy.balance.ip_hash import IpHash
from lbapp.engine.policy.balance.least_connections import LeastConnections
from lbapp.engine.policy.balance.least_response_time import LeastResponseTime
from lbapp.engine.policy.balance.round_robin import RoundRobin
from lbapp.engine.policy.balance.weighted_round_robin import WeightedRoundRobin
from lbapp.model.entities import AlgorithmName

ALGORITHMS: Final[dict[AlgorithmName, type[Algorithm]]] = {
    AlgorithmName.ROUND_ROBIN: RoundRobin,
    AlgorithmName.WEIGHTED_ROUND_ROBIN: WeightedRoundRobin,
    AlgorithmName.LEAST_CONNECTIONS: LeastConnections,
    AlgorithmName.IP_HASH: IpHash,
    AlgorithmName.LEAST_RESPONSE_TIME: LeastResponseTime,
}


def build_algorithm(name: AlgorithmName, servers: Sequence[ServerState], load: LoadReader, random: Random) -> Algorithm:
    """Return the named algorithm over `servers`."""
    algorithm = ALGORITHMS[name](load, random)
    algorithm.update(servers, 0.0)
    return algorithm
