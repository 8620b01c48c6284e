"""Round robin: every eligible server in turn, whatever its weight.

Knows nothing of load. Invariant: between two changes of state, no server is a whole round ahead of another; a change of
state does not start the round anew.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from random import Random

from lbapp.engine.policy.balance.base import Algorithm, LoadReader, ServerState


class RoundRobin(Algorithm):
    """In turn. Workers begin at different places, so that together they do not favour the first server."""

    def __init__(self, load: LoadReader, random: Random) -> None:
        super().__init__(load, random)
        self._servers: list[int] = []
        self._next = -1

    def update(self, servers: Sequence[ServerState], now_s: float) -> None:
        """See Algorithm."""
        previous = self._servers[self._next - 1] if self._servers and self._next >= 0 else -1
        self._servers = [server.index for server in servers if server.is_eligible]
        count = len(self._servers)
        if self._next < 0 or not count:
            self._next = self._random.randrange(count) if count else -1
        else:
            # Go on behind the server that had the last turn, even if it is no longer there itself.
            self._next = next((at for at, index in enumerate(self._servers) if index > previous), 0)

    def choose_server(self, client_key: bytes, now_s: float, excluded: Collection[int] = ()) -> int | None:
        """See Algorithm."""
        servers = self._servers
        for _ in servers:
            at = self._next
            if at >= len(servers):
                at = 0
            self._next = at + 1
            index = servers[at]
            if not excluded or index not in excluded:
                return index
        return None
