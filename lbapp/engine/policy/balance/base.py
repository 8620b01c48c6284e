"""What every balancing algorithm is given and has to answer.

Responsible for the interface between a pool and its algorithm. Knows nothing of health, persistence or retries: a server
is eligible or not when it gets here. Invariant: `choose_server` returns an eligible server that is not excluded, or None
when there is none; `explain` says whom it would return, and changes nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from copy import copy
from dataclasses import dataclass
from random import Random
from typing import ClassVar, Protocol, Self

from lbapp.engine.policy.balance.explanation import Explanation, KeptLoad, Weighing, explained


@dataclass(frozen=True, slots=True)
class ServerState:
    """One server as the scoreboard shows it. `index` is its row there; `weight` 0..256.

    `share_permille`: the part of its weight that it has during a slow start, 1..1000.
    """

    index: int
    id: str
    weight: int
    is_eligible: bool
    share_permille: int = 1000
    place: int = 0  # in the order of the file

    @property
    def effective_weight(self) -> float:
        """What algorithms by load or in turn weigh by; those that hash keep to `weight`, so that no key moves."""
        return self.weight * self.share_permille / 1000


class LoadReader(Protocol):
    """Knows what is in flight at each server, over all workers of the node."""

    def in_flight(self, indexes: Sequence[int]) -> list[int]:
        """Return the counts for ascending `indexes`, in the same order."""


class NoLoad:
    """Of servers at which nothing is in flight, for who asks where a key would go."""

    def in_flight(self, indexes: Sequence[int]) -> list[int]:
        """See LoadReader."""
        return [0] * len(indexes)


def room(weights: Sequence[int], loads: Sequence[int], balance_percent: int) -> list[float]:
    """Return how many more each server may have in flight, where `balance_percent` of the mean by weight is the most."""
    each = (sum(loads) + 1) * balance_percent / 100 / sum(weights)
    # Rounded up, or nobody would have room while nothing is in flight.
    return [-(-each * weight // 1) - load for weight, load in zip(weights, loads, strict=True)]


class Chooser(Protocol):
    """Knows which server is next."""

    def choose_server(self, client_key: bytes, now_s: float, excluded: Collection[int] = ()) -> int | None:
        """See Algorithm."""


class Algorithm(ABC):
    """Orders the eligible servers of one pool; for one pick, names the first."""

    observes: ClassVar[bool] = False

    def __init__(self, load: LoadReader, random: Random) -> None:
        self.load = load
        self._random = random

    @abstractmethod
    def update(self, servers: Sequence[ServerState], now_s: float) -> None:
        """Take over new states or weights, in force at the next pick. Servers come in ascending order of index."""

    @abstractmethod
    def choose_server(self, client_key: bytes, now_s: float, excluded: Collection[int] = ()) -> int | None:
        """Return the index of the server for a new exchange. `client_key`: the client's packed IP address."""

    def choose_lowest(self, servers: Sequence[int], scores: Sequence[float]) -> int:
        """Return the server with the lowest score, at random among equals. Both are as long, and not empty."""
        lowest = min(scores)
        equals = scores.count(lowest)
        if equals == 1:
            return servers[scores.index(lowest)]
        chosen = int(self._random.random() * equals)
        if equals == len(servers):
            return servers[chosen]
        return [index for index, score in zip(servers, scores, strict=True) if score == lowest][chosen]

    def explain(self, client_key: bytes, now_s: float, excluded: Collection[int] = ()) -> Explanation:
        """Say whom `choose_server`, called with the same, would choose now, and why. Changes nothing.

        It is a twin that chooses, with the same luck; what it looks at is what the grades are made of.
        """
        twin, load = self._twin(), KeptLoad(self.load)
        twin.load, twin._random = load, copy(self._random)
        chosen = twin.choose_server(client_key, now_s, excluded)
        if chosen is None:
            return Explanation(None)
        return explained(chosen, self._weigh(client_key, now_s, excluded, twin, load))

    def _twin(self) -> Self:
        """Return one that chooses alike and shares nothing that choosing changes, but load and luck: those are given to it."""
        return copy(self)

    @abstractmethod
    def _weigh(
        self, client_key: bytes, now_s: float, excluded: Collection[int], twin: Self, load: KeptLoad
    ) -> Weighing:
        """Grade the servers that may be chosen. `twin` has chosen, by `load`."""

    def observe(self, index: int, latency_us: int, is_failure: bool, now_s: float) -> None:
        """Learn from an attempt. Only algorithms with `observes` are told."""
