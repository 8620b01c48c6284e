"""Least response time: the lowest (in flight + 1) x latency / weight.

The latency is a peak EWMA: it jumps up to a slower sample at once and comes down towards faster ones over TAU_S. It comes
down while nothing is measured, too, until it is about as good as the best server's, so that a server that was slow is tried
again but not rushed at; one that was never measured is taken for that good from the start. A failure counts as an answer
several times slower than expected: one alone costs little, a row of them all. A small share of picks is random, so that
every server is measured now and then. Knows nothing of health. Source: the peak EWMA of Finagle's load balancer.

Invariant: a bare average never decides: it is always multiplied by what is in flight.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from copy import copy
from math import exp
from random import Random
from typing import ClassVar, Final, Self

from lbapp.engine.policy.balance.base import Algorithm, LoadReader, ServerState
from lbapp.engine.policy.balance.explanation import EXPLORATION_NOTE, KeptLoad, Weighing, left_of, milliseconds

TAU_S: Final = 10.0
FAILURE_FACTOR: Final = 8.0
FAILURE_US_MIN: Final = 20_000.0
FAILURE_US_MAX: Final = 5_000_000.0
EXPLORATION: Final = 0.01
LATENCY_US_MIN: Final = 50.0  # what is faster is measured no finer
ALIKE_FACTOR: Final = 1.5  # latencies this close to the best differ by chance, and load alone should decide
# The same where nothing is in flight: while most servers are idle the latency alone would decide, and one long answer would
# leave a server without requests until it fades. Five equal servers have 14 to 25 % each of 1,500 requests, instead of 8 to 29.
ALIKE_FACTOR_IDLE: Final = 2.5
_EPOCH_S_MAX: Final = 10 * TAU_S


class _Estimate:
    """One server's latency. `peak_us` as it was at `at_s`; `grown_us` as it would have been at the epoch."""

    __slots__ = ("at_s", "grown_us", "peak_us")

    def __init__(self, peak_us: float, grown_us: float, at_s: float) -> None:
        self.peak_us = peak_us
        self.grown_us = grown_us
        self.at_s = at_s


class LeastResponseTime(Algorithm):
    """The server that is likely to answer first.

    All latencies decay at one rate, so they are kept as they would have been at a common epoch: a pick compares them
    without working out a single exponential per server.
    """

    observes: ClassVar[bool] = True

    def __init__(self, load: LoadReader, random: Random) -> None:
        super().__init__(load, random)
        self._servers: list[int] = []
        self._weights: list[float] = []
        self._is_even = True
        self._places: dict[int, int] = {}  # index: place in the lists
        self._estimates: dict[int, _Estimate] = {}
        self._grown: list[float] = []  # `grown_us` of each server, 0 where nothing is known
        self._best_us = LATENCY_US_MIN  # the lowest peak
        self._epoch_s = 0.0

    def update(self, servers: Sequence[ServerState], now_s: float) -> None:
        """See Algorithm. A server that comes back is a new one: what it was like before it went says little."""
        eligible = [server for server in servers if server.is_eligible]
        self._servers = [server.index for server in eligible]
        self._weights = [server.effective_weight for server in eligible]
        self._is_even = len(set(self._weights)) <= 1
        self._places = {index: place for place, index in enumerate(self._servers)}
        self._estimates = {index: each for index, each in self._estimates.items() if index in self._places}
        self._list_estimates()

    def _list_estimates(self) -> None:
        known = self._estimates
        self._grown = [known[index].grown_us if index in known else 0.0 for index in self._servers]
        self._best_us = min((each.peak_us for each in known.values()), default=LATENCY_US_MIN)

    def _growth(self, now_s: float) -> float:
        """Return how many times larger what is measured now would have been at the epoch."""
        age_s = now_s - self._epoch_s
        if age_s <= _EPOCH_S_MAX:
            return exp(age_s / TAU_S)
        shrink = exp(-age_s / TAU_S)
        for estimate in self._estimates.values():
            estimate.grown_us *= shrink
        self._epoch_s = now_s
        self._list_estimates()
        return 1.0

    def choose_server(self, client_key: bytes, now_s: float, excluded: Collection[int] = ()) -> int | None:
        """See Algorithm."""
        servers = self._servers
        left = [index for index in servers if index not in excluded] if excluded else servers
        if not left:
            return None
        if self._random.random() < EXPLORATION:
            return left[int(self._random.random() * len(left))]
        scores = self._scores(now_s)
        if excluded:
            scores = [scores[self._places[index]] for index in left]
        return self.choose_lowest(left, scores)

    def _scores(self, now_s: float) -> list[float]:
        best = self._growth(now_s) * self._best_us
        floor, floor_idle = best * ALIKE_FACTOR, best * ALIKE_FACTOR_IDLE
        loads = zip(self.load.in_flight(self._servers), self._grown, self._weights, strict=True)
        if self._is_even:
            return [
                (count + 1) * (cost if cost > (floor if count else floor_idle) else floor) for count, cost, _ in loads
            ]
        return [
            (count + 1) * (cost if cost > (floor if count else floor_idle) else floor) / weight
            for count, cost, weight in loads
        ]

    def observe(self, index: int, latency_us: int, is_failure: bool, now_s: float) -> None:
        """See Algorithm."""
        place = self._places.get(index)
        if place is None:
            return  # an answer that came after the server had gone
        growth = self._growth(now_s)
        decayed_us = max(self._grown[place] / growth, self._best_us)
        sample_us = max(float(latency_us), LATENCY_US_MIN)
        if is_failure:
            penalty_us = min(max(decayed_us * FAILURE_FACTOR, FAILURE_US_MIN), FAILURE_US_MAX)
            sample_us = max(sample_us, penalty_us)
        estimate = self._estimates.get(index)
        if estimate is None or sample_us >= decayed_us:
            peak_us = sample_us
        else:
            kept = exp((estimate.at_s - now_s) / TAU_S)
            peak_us = estimate.peak_us * kept + sample_us * (1.0 - kept)
        self._estimates[index] = _Estimate(peak_us, peak_us * growth, now_s)
        self._grown[place] = peak_us * growth
        self._note_best(None if estimate is None else estimate.peak_us, peak_us)

    def _note_best(self, before_us: float | None, peak_us: float) -> None:
        if before_us == self._best_us or len(self._estimates) == 1:
            self._best_us = min(each.peak_us for each in self._estimates.values())
        elif peak_us < self._best_us:
            self._best_us = peak_us

    def _twin(self) -> Self:
        """See Algorithm."""
        twin = copy(self)
        twin._estimates = {
            index: _Estimate(each.peak_us, each.grown_us, each.at_s) for index, each in self._estimates.items()
        }
        return twin

    def _weigh(
        self, client_key: bytes, now_s: float, excluded: Collection[int], twin: Self, load: KeptLoad
    ) -> Weighing:
        """See Algorithm."""
        left = left_of(self._servers, excluded)
        if not load.counts:
            return Weighing(dict.fromkeys(left, (0.0,)), lambda _: "not looked at", EXPLORATION_NOTE)
        growth, scores, places = twin._growth(now_s), twin._scores(now_s), self._places

        def words(index: int) -> str:
            count, weight = load.counts[index], self._weights[places[index]]
            score_us = scores[places[index]] / growth
            if self._is_even:
                score_us /= weight  # left out where it is the same for all
            latency_us = score_us / (count + 1) * weight
            is_own = latency_us <= twin._grown[places[index]] / growth
            kind = "" if is_own else " (as the best)" if index in self._estimates else " (not measured yet)"
            product = f"{milliseconds(latency_us)}{kind} x ({count} + 1) in flight / weight {weight:g}"
            return f"latency {product} = {score_us / 1000:.3g}"

        return Weighing({index: (scores[places[index]],) for index in left}, words)
