"""First: the first server that has room, so that as few as possible are in use and the others can be switched off.

Knows nothing of limits: who is full is excluded when it gets here. Invariant: no server is chosen while one before it could be.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from random import Random

from lbapp.engine.policy.balance.base import Algorithm, LoadReader, ServerState


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
