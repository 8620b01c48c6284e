"""Two choices: of two servers drawn by weight, the one with less in flight for its weight.

Nearly as even as looking at all of them, at a cost that does not grow with the pool; and workers or nodes that look at the same
moment do not all rush at the one best. Knows nothing of latency. Source: Mitzenmacher, "The Power of Two Choices in Randomized
Load Balancing", 2001.

Invariant: the two are different servers wherever there are two.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence
from itertools import accumulate
from math import inf
from random import Random
from typing import Self

from lbapp.engine.policy.balance.base import Algorithm, LoadReader, ServerState
from lbapp.engine.policy.balance.explanation import KeptLoad, Weighing, left_of, load_words


class TwoChoices(Algorithm):
    """The better of two."""

    def __init__(self, load: LoadReader, random: Random) -> None:
        super().__init__(load, random)
        self._servers: list[int] = []
        self._weights: list[float] = []
        self._ends: list[float] = []  # sums of the weights up to each server

    def update(self, servers: Sequence[ServerState], now_s: float) -> None:
        """See Algorithm."""
        eligible = [server for server in servers if server.is_eligible]
        self._servers = [server.index for server in eligible]
        self._weights = [server.effective_weight for server in eligible]
        self._ends = list(accumulate(self._weights))

    def choose_server(self, client_key: bytes, now_s: float, excluded: Collection[int] = ()) -> int | None:
        """See Algorithm."""
        if not excluded:
            return self._choose_of(self._servers, self._weights, self._ends)
        left = [place for place, index in enumerate(self._servers) if index not in excluded]
        weights = [self._weights[place] for place in left]
        return self._choose_of([self._servers[place] for place in left], weights, list(accumulate(weights)))

    def _choose_of(self, servers: list[int], weights: list[float], ends: list[float]) -> int | None:
        if len(servers) < 2:
            return servers[0] if servers else None
        draw = self._random.random
        first = min(bisect_right(ends, draw() * ends[-1]), len(servers) - 1)
        # The second is drawn from what the first leaves.
        skipped = weights[first]
        point = draw() * (ends[-1] - skipped)
        before = ends[first] - skipped
        second = bisect_right(ends, point if point < before else point + skipped)
        if second == first or second >= len(servers):  # rounding
            second = first - 1 if first else 1
        low, high = (first, second) if first < second else (second, first)
        loads = self.load.in_flight((servers[low], servers[high]))
        at_low, at_high = (loads[0] + 1) / weights[low], (loads[1] + 1) / weights[high]
        if at_low == at_high:
            return servers[first]
        return servers[low] if at_low < at_high else servers[high]

    def _weigh(
        self, client_key: bytes, now_s: float, excluded: Collection[int], twin: Self, load: KeptLoad
    ) -> Weighing:
        """See Algorithm."""
        weights = dict(zip(self._servers, self._weights, strict=True))
        counts = load.counts
        left = left_of(self._servers, excluded)
        if len(left) == 1:
            return Weighing({left[0]: (0.0,)}, lambda _: "the only one")
        return Weighing(
            {index: ((counts[index] + 1) / weights[index] if index in counts else inf,) for index in left},
            lambda index: load_words(counts[index], weights[index]) if index in counts else "not drawn",
        )
