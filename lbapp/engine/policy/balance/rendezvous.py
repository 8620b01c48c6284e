"""Rendezvous: of all servers the one that a key and its name hash highest to, in proportion to weight.

There is no table: a server that comes or goes moves the keys that fall to it and no others, and a change of weight no more than
it has to. A pick looks at every server, so it is for pools of some tens. With a balance factor whoever has too much in flight
is passed over. Knows nothing of what a key is. Source: Thaler and Ravishankar, "A name-based mapping scheme for rendezvous",
1996; weights by -weight / ln(hash).

Invariant: the order of the servers for a key depends on the key, their ids and their weights alone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import log
from operator import itemgetter
from random import Random
from typing import Final, Self

from lbapp.engine.policy.balance.base import Algorithm, LoadReader, ServerState, room
from lbapp.engine.policy.balance.explanation import KeptLoad, Weighing, bound_words, in_order
from lbapp.engine.policy.balance.maglev import hash_key, mix

_ONE: Final = 1 << 64
_SCORE: Final = itemgetter(0)


class Rendezvous(Algorithm):
    """The server with the highest score for a key. `balance_percent`: see KeyHash."""

    def __init__(self, load: LoadReader, random: Random, balance_percent: int = 0) -> None:
        super().__init__(load, random)
        self._balance_percent = balance_percent
        self._servers: list[tuple[int, int, int]] = []  # index, hash of the id, weight
        self._indexes: list[int] = []
        self._weights: list[int] = []

    def update(self, servers: Sequence[ServerState], now_s: float) -> None:
        """See Algorithm."""
        eligible = [server for server in servers if server.is_eligible]
        # The first of equal scores is chosen, so they stand by name: rows are numbered otherwise on another node.
        by_name = sorted(eligible, key=lambda server: server.id)
        self._servers = [(server.index, hash_key(server.id.encode()), server.weight) for server in by_name]
        self._indexes = [server.index for server in eligible]
        self._weights = [server.weight for server in eligible]

    def choose_server(self, client_key: bytes, now_s: float, excluded: Collection[int] = ()) -> int | None:
        """See Algorithm."""
        scores = self._scores(client_key, excluded)
        if not scores:
            return None
        best = max(scores, key=_SCORE)[1]
        return self._least_full(scores, best) if self._balance_percent else best

    def _scores(self, client_key: bytes, excluded: Collection[int]) -> list[tuple[float, int]]:
        key = hash_key(client_key)
        return [
            (-weight / log((mix(key ^ seed) + 1) / (_ONE + 1)), index)
            for index, seed, weight in self._servers
            if not excluded or index not in excluded
        ]

    def _least_full(self, scores: list[tuple[float, int]], best: int) -> int:
        left = self._room()
        return max((each for each in scores if left[each[1]] >= 1), key=_SCORE, default=(0.0, best))[1]

    def _room(self) -> dict[int, float]:
        """Return how many more each server may have."""
        found = room(self._weights, self.load.in_flight(self._indexes), self._balance_percent)
        return dict(zip(self._indexes, found, strict=True))

    def _weigh(
        self, client_key: bytes, now_s: float, excluded: Collection[int], twin: Self, load: KeptLoad
    ) -> Weighing:
        """See Algorithm."""
        scores = sorted(self._scores(client_key, excluded), key=_SCORE, reverse=True)
        weights = dict(zip(self._indexes, self._weights, strict=True))
        rooms = twin._room() if self._balance_percent else {}
        places = {index: place for place, (_, index) in enumerate(scores)}

        def words(index: int) -> str:
            bound = bound_words(load.counts[index], rooms[index]) if rooms else ""
            return f"{in_order(places[index] + 1)} of the key, weight {weights[index]}{bound}"

        return Weighing({index: (bool(rooms) and rooms[index] < 1, place) for index, place in places.items()}, words)
