"""First: the first server that has room, so that as few as possible are in use and the others can be switched off.

Knows nothing of limits: who is full is excluded when it gets here. Invariant: no server is chosen while one before it could be.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from random import Random
from typing import Self

from lbapp.engine.policy.balance.base import Algorithm, LoadReader, ServerState
from lbapp.engine.policy.balance.explanation import KeptLoad, Weighing, in_order, left_of


class First(Algorithm):
    """The servers in the order of the file, each until it is full."""

    def __init__(self, load: LoadReader, random: Random) -> None:
        super().__init__(load, random)
        self._servers: list[int] = []

    def update(self, servers: Sequence[ServerState], now_s: float) -> None:
        """See Algorithm."""
        in_order = sorted(servers, key=lambda server: server.place)
        self._servers = [server.index for server in in_order if server.is_eligible]

    def choose_server(self, client_key: bytes, now_s: float, excluded: Collection[int] = ()) -> int | None:
        """See Algorithm."""
        for index in self._servers:
            if index not in excluded:
                return index
        return None

    def _weigh(
        self, client_key: bytes, now_s: float, excluded: Collection[int], twin: Self, load: KeptLoad
    ) -> Weighing:
        """See Algorithm."""
        left = left_of(self._servers, excluded)
        return Weighing(
            {index: (place,) for place, index in enumerate(left)},
            lambda index: f"{in_order(left.index(index) + 1)} in the file of those with room",
        )
