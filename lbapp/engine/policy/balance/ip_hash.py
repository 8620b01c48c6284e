"""IP hash: a client's address names its server, by a Maglev table over all servers of the pool.

Knows nothing of load. The table is built over every server with a weight, whatever its health; a key whose server is not
eligible probes on, in an order of its own, until it meets one that is. So a server that goes down moves its own clients
only, spreads them over all the others, and has them back when it returns.

Invariant: a change of health never rebuilds the table and never moves the key of an eligible server.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from random import Random
from typing import Final

from lbapp.engine.policy.balance.base import Algorithm, LoadReader, ServerState
from lbapp.engine.policy.balance.maglev import build_table, hash_key

_PROBES_MAX: Final = 64


class IpHash(Algorithm):
    """The server that a client's address falls to."""

    def __init__(self, load: LoadReader, random: Random) -> None:
        super().__init__(load, random)
        self._shape: list[tuple[str, int, int]] = []
        self._owners: list[int] = []  # for each slot the index of its server
        self._eligible: frozenset[int] = frozenset()

    def update(self, servers: Sequence[ServerState], now_s: float) -> None:
        """See Algorithm."""
        weighted = [server for server in servers if server.weight > 0]
        shape = [(server.id, server.weight, server.index) for server in weighted]
        if shape != self._shape:
            self._shape = shape
            table = build_table([(server.id, server.weight) for server in weighted])
            self._owners = [weighted[position].index for position in table]
        self._eligible = frozenset([server.index for server in weighted if server.is_eligible])

    def choose_server(self, client_key: bytes, now_s: float, excluded: Collection[int] = ()) -> int | None:
        """See Algorithm."""
        eligible, owners = self._eligible, self._owners
        if not eligible:
            return None
        key = hash_key(client_key)
        index = owners[key % len(owners)]
        if index in eligible and index not in excluded:
            return index
        return self._next_owner(key, excluded)

    def _next_owner(self, key: int, excluded: Collection[int]) -> int | None:
        eligible, owners = self._eligible, self._owners
        size = len(owners)
        step = (key >> 20) % (size - 1) + 1
        for probe in range(1, _PROBES_MAX):
            index = owners[(key + probe * step) % size]
            if index in eligible and index not in excluded:
                return index
        # Few are left: the highest hash of key and id wins, so that a server that goes moves nobody else's keys.
        prefix = key.to_bytes(8, "big")
        left = [(name, index) for name, _, index in self._shape if index in eligible and index not in excluded]
        return max(((hash_key(prefix + name.encode()), index) for name, index in left), default=(0, None))[1]
