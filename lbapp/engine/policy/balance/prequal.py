"""Prequal: among servers that are not hot the fastest, and if all are hot the least loaded.

A few servers are drawn for each pick. One is hot if it has more in flight, for its weight, than most of those looked at lately;
of those that are not, the one with the lowest latency is chosen, so that slow servers are left aside before load builds up at
them. What others learn by asking servers is known here already: in-flight counts of the whole node, and the latency of the
answers. See docs/decisions/prequal.md. A failure counts as an answer several times slower. Knows nothing of health.

Source: Wydrowski et al., "Load is not what you should balance: Introducing Prequal", NSDI 2024 (the HCL rule).
Invariant: load decides wherever latency is unknown.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from copy import copy
from math import exp
from random import Random
from typing import ClassVar, Final, Self

from lbapp.engine.policy.balance.base import Algorithm, LoadReader, ServerState
from lbapp.engine.policy.balance.explanation import EXPLORATION_NOTE, Grade, KeptLoad, Weighing, left_of, milliseconds

DRAWN: Final = 5
# At 0.75 the p99 of ten servers, two of them 3 x slower, is 78 ms at 80 % of capacity and 115 at 90 %; at 0.6 it is 60 and 79.
HOT_QUANTILE: Final = 0.6
LOADS_KEPT: Final = 128  # of the servers looked at lately
TAU_S: Final = 5.0
FAILURE_FACTOR: Final = 8.0
FAILURE_US_MIN: Final = 20_000.0
FAILURE_US_MAX: Final = 5_000_000.0
EXPLORATION: Final = 0.01
_RECOUNT_EVERY: Final = 16  # picks between two looks at the quantile


class Prequal(Algorithm):
    """The hot-cold rule over a draw."""

    observes: ClassVar[bool] = True

    def __init__(self, load: LoadReader, random: Random) -> None:
        super().__init__(load, random)
        self._servers: list[int] = []
        self._weights: dict[int, float] = {}
        self._latencies: dict[int, tuple[float, float]] = {}  # index: (microseconds, when)
        self._loads: deque[float] = deque(maxlen=LOADS_KEPT)
        self._hot_above = 0.0
        self._picks = 0

    def update(self, servers: Sequence[ServerState], now_s: float) -> None:
        """See Algorithm. A server that comes back is a new one: what it was like before it went says little."""
        eligible = [server for server in servers if server.is_eligible]
        self._servers = [server.index for server in eligible]
        self._weights = {server.index: server.effective_weight / 100 for server in eligible}
        self._latencies = {index: each for index, each in self._latencies.items() if index in self._weights}

    def choose_server(self, client_key: bytes, now_s: float, excluded: Collection[int] = ()) -> int | None:
        """See Algorithm."""
        servers = [index for index in self._servers if index not in excluded] if excluded else self._servers
        if not servers:
            return None
        random = self._random
        if random.random() < EXPLORATION:
            return servers[int(random.random() * len(servers))]
        drawn = servers if len(servers) <= DRAWN else sorted(random.sample(servers, DRAWN))
        weights = self._weights
        counts = self.load.in_flight(drawn)
        loads = [(count + 1) / weights[index] for index, count in zip(drawn, counts, strict=True)]
        self._note(loads)
        cold = [(index, load) for index, load in zip(drawn, loads, strict=True) if load <= self._hot_above]
        if not cold:
            return self.choose_lowest(drawn, loads)
        # Equal latencies, as of servers never measured, leave it to the load.
        scores = [(self._latency_us(index, now_s), load) for index, load in cold]
        best = min(scores)
        equals = [index for (index, _), score in zip(cold, scores, strict=True) if score == best]
        return equals[int(random.random() * len(equals))] if len(equals) > 1 else equals[0]

    def _note(self, loads: Sequence[float]) -> None:
        self._loads.extend(loads)
        self._picks -= 1
        if self._picks < 0:
            self._picks = _RECOUNT_EVERY
            ordered = sorted(self._loads)
            self._hot_above = ordered[int((len(ordered) - 1) * HOT_QUANTILE)]

    def _latency_us(self, index: int, now_s: float) -> float:
        """Return what is expected: it fades while nothing is measured, so that a slow server is tried again."""
        known = self._latencies.get(index)
        return 0.0 if known is None else known[0] * exp((known[1] - now_s) / (4 * TAU_S))

    def observe(self, index: int, latency_us: int, is_failure: bool, now_s: float) -> None:
        """See Algorithm."""
        if index not in self._weights:
            return  # an answer that came after the server had gone
        expected_us = self._latency_us(index, now_s)
        sample_us = float(latency_us)
        if is_failure:
            sample_us = max(sample_us, min(max(expected_us * FAILURE_FACTOR, FAILURE_US_MIN), FAILURE_US_MAX))
        known = self._latencies.get(index)
        kept = 0.0 if known is None or is_failure else exp(-1 / 8) if now_s - known[1] < TAU_S else 0.0
        self._latencies[index] = expected_us * kept + sample_us * (1.0 - kept), now_s

    def _twin(self) -> Self:
        """See Algorithm."""
        twin = copy(self)
        twin._loads = self._loads.copy()
        return twin

    def _weigh(
        self, client_key: bytes, now_s: float, excluded: Collection[int], twin: Self, load: KeptLoad
    ) -> Weighing:
        """See Algorithm."""
        left = left_of(self._servers, excluded)
        if not load.counts:
            return Weighing(dict.fromkeys(left, (0.0,)), lambda _: "not looked at", EXPLORATION_NOTE)
        loads = {index: (count + 1) / self._weights[index] for index, count in load.counts.items()}
        hot_above = twin._hot_above  # it is counted anew within some of the picks

        def grade(index: int) -> Grade:
            if index not in loads:
                return (2.0,)
            is_hot = loads[index] > hot_above
            return (1.0, loads[index]) if is_hot else (0.0, self._latency_us(index, now_s), loads[index])

        def words(index: int) -> str:
            if index not in loads:
                return "not drawn"
            heat = "hot" if loads[index] > hot_above else "cold"
            latency_us = self._latency_us(index, now_s)
            latency = f"latency {milliseconds(latency_us)}" if latency_us else "not measured"
            weight = self._weights[index] * 100
            return f"{heat}, {latency}, ({load.counts[index]} + 1) in flight / weight {weight:g}"

        return Weighing({index: grade(index) for index in left}, words)
