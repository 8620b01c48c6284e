"""Hash: what a request is known by names its server, by a Maglev table over all servers of the pool.

What that is (the client's address, a field, a cookie, the path, a value of the query) is the caller's business. The table is
built over every server with a weight, whatever its health; a key whose server is not eligible probes on, in an order of its
own, until it meets one that is. So a server that goes down moves its own keys only, spreads them over all the others, and has
them back when it returns. With a balance factor a server that has more in flight than so many percent of the mean is passed
over in the same way.

A table takes milliseconds to build (of 10, 1,000 and 2,000 servers: 8, 14 and 60 ms), so `build` may do it elsewhere;
until it is there the table before serves, and the order of probes keeps out whoever is no longer eligible.

Invariant: a change of health never rebuilds the table and never moves the key of an eligible server.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from random import Random
from typing import Final, Self

from lbapp.engine.policy.balance.base import Algorithm, LoadReader, ServerState, room
from lbapp.engine.policy.balance.explanation import KeptLoad, Weighing, bound_words, in_order
from lbapp.engine.policy.balance.maglev import build_table, hash_key

_PROBES_MAX: Final = 64
Shape = list[tuple[str, int, int]]  # id, weight and index of each server with a weight
Done = Callable[[list[int]], None]


def build_at_once(build: Callable[[], list[int]], done: Done) -> None:
    """Build a table where it is wanted."""
    done(build())


class KeyHash(Algorithm):
    """The server that a key falls to. `balance_percent`: of the mean that a server may have in flight; 0: any number."""

    def __init__(self, load: LoadReader, random: Random, balance_percent: int = 0) -> None:
        super().__init__(load, random)
        self.build: Callable[[Callable[[], list[int]], Done], None] = build_at_once
        self._balance_percent = balance_percent
        self._shape: Shape = []
        self._owners: list[int] = []  # for each slot the index of its server
        self._eligible: frozenset[int] = frozenset()
        self._weights: dict[int, int] = {}  # of those that are eligible

    def update(self, servers: Sequence[ServerState], now_s: float) -> None:
        """See Algorithm."""
        weighted = [server for server in servers if server.weight > 0]
        shape = [(server.id, server.weight, server.index) for server in weighted]
        if shape != self._shape:
            self._shape = shape
            self.build(lambda: _owners_of(shape), lambda owners: self._take(shape, owners))
        self._weights = {server.index: server.weight for server in weighted if server.is_eligible}
        self._eligible = frozenset(self._weights)

    def _take(self, shape: Shape, owners: list[int]) -> None:
        if shape == self._shape:  # else another change came before it was built, and has its own
            self._owners = owners

    def choose_server(self, client_key: bytes, now_s: float, excluded: Collection[int] = ()) -> int | None:
        """See Algorithm."""
        eligible, owners = self._eligible, self._owners
        if not eligible:
            return None
        key = hash_key(client_key)
        if self._balance_percent:
            return self._least_full(key, excluded)
        index = owners[key % len(owners)] if owners else -1
        if index in eligible and index not in excluded:
            return index
        return next(self._order(key, excluded), None)

    def _order(self, key: int, excluded: Collection[int]) -> Iterator[int]:
        """Yield the servers that a key may go to, in its own order; one may come more than once."""
        eligible, owners = self._eligible, self._owners
        size = len(owners)
        if size:
            step = (key >> 20) % (size - 1) + 1
            for probe in range(_PROBES_MAX):
                index = owners[(key + probe * step) % size]
                if index in eligible and index not in excluded:
                    yield index
        # Few are left: the highest hash of key and id comes first, so that a server that goes moves nobody else's keys.
        prefix = key.to_bytes(8, "big")
        left = [(name, index) for name, _, index in self._shape if index in eligible and index not in excluded]
        # By name where two hash alike: rows are numbered otherwise on another node.
        yield from [
            index
            for *_, index in sorted(
                ((hash_key(prefix + name.encode()), name, index) for name, index in left), reverse=True
            )
        ]

    def _least_full(self, key: int, excluded: Collection[int]) -> int | None:
        """Choose the first in the key's order that has room below its share of what is in flight."""
        first = None
        limits: dict[int, float] | None = None
        for index in self._order(key, excluded):
            if limits is None:
                first, limits = index, self._room()
            if limits[index] >= 1:
                return index
        return first

    def _room(self) -> dict[int, float]:
        """Return how many more each server may have, by the weights of those that are eligible."""
        indexes = sorted(self._weights)
        weights = [self._weights[index] for index in indexes]
        return dict(zip(indexes, room(weights, self.load.in_flight(indexes), self._balance_percent), strict=True))

    def _weigh(
        self, client_key: bytes, now_s: float, excluded: Collection[int], twin: Self, load: KeptLoad
    ) -> Weighing:
        """See Algorithm."""
        key, owners = hash_key(client_key), self._owners
        places = {index: place for place, index in enumerate(dict.fromkeys(self._order(key, excluded)))}
        rooms = twin._room() if self._balance_percent else {}
        own = owners[key % len(owners)] if owners else None
        # Where the key's own server is not among them: who that is.
        note = "" if own is None or own in places else f"the key is of {self._name(own)}, which it cannot have now"

        def words(index: int) -> str:
            bound = bound_words(load.counts[index], rooms[index]) if rooms else ""
            return f"{in_order(places[index] + 1)} of the key{bound}"

        grades = {index: (bool(rooms) and rooms[index] < 1, place) for index, place in places.items()}
        return Weighing(grades, words, note)

    def _name(self, wanted: int) -> str:
        return next((name for name, _, index in self._shape if index == wanted), "a server that is gone")


def _owners_of(shape: Shape) -> list[int]:
    table = build_table([(name, weight) for name, weight, _ in shape])
    return [shape[position][2] for position in table]
