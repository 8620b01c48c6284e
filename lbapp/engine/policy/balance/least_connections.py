"""Least connections: the lowest (in flight + 1) / weight, at random among equals.

Knows nothing of latency. Invariant: no rounding ever decides. Two different fractions whose denominators are weights lie at
least 1/256^2 apart, further than floats do below 2^36, and equal ones are rounded alike.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from operator import truediv
from random import Random
from typing import Self

from lbapp.engine.policy.balance.base import Algorithm, LoadReader, ServerState
from lbapp.engine.policy.balance.explanation import KeptLoad, Weighing, left_of, load_words


class LeastConnections(Algorithm):
    """The server that has the least to do for its weight."""

    def __init__(self, load: LoadReader, random: Random) -> None:
        super().__init__(load, random)
        self._servers: list[int] = []
        self._weights: list[float] = []
        self._is_even = True

    def update(self, servers: Sequence[ServerState], now_s: float) -> None:
        """See Algorithm."""
        eligible = [server for server in servers if server.is_eligible]
        self._servers = [server.index for server in eligible]
        self._weights = [server.effective_weight for server in eligible]
        self._is_even = len(set(self._weights)) <= 1

    def choose_server(self, client_key: bytes, now_s: float, excluded: Collection[int] = ()) -> int | None:
        """See Algorithm."""
        servers = self._servers
        if not servers:
            return None
        loads: Sequence[float] = self.load.in_flight(servers)
        if not self._is_even:
            loads = list(map(truediv, [load + 1 for load in loads], self._weights))
        if excluded:
            left = [at for at, index in enumerate(servers) if index not in excluded]
            if not left:
                return None
            servers, loads = [servers[at] for at in left], [loads[at] for at in left]
        return self.choose_lowest(servers, loads)

    def _weigh(
        self, client_key: bytes, now_s: float, excluded: Collection[int], twin: Self, load: KeptLoad
    ) -> Weighing:
        """See Algorithm."""
        weights = dict(zip(self._servers, self._weights, strict=True))
        counts = load.counts
        left = left_of(self._servers, excluded)
        return Weighing(
            {index: ((counts[index] + 1) / weights[index],) for index in left},
            lambda index: load_words(counts[index], weights[index]),
        )
