"""How many connections and requests each client has, over all workers of the node.

Responsible for counting by client, and for letting the other workers know through the scoreboard. Knows nothing of what the
limits are. What a worker counts itself is exact. What the others count is read from two cells each, chosen by a keyed hash of
the client: the lesser of the two is right unless other clients share both, which is rare, and then it is too high, never too low.

Invariants: a worker writes only its own row; what was counted in is counted out by the same key.
"""

from __future__ import annotations

from hashlib import blake2b

from lbapp.engine.scoreboard import layout as at
from lbapp.engine.scoreboard.segment import Segment
from lbapp.model.limits import CLIENT_CELLS

Places = tuple[int, int]


class Clients:
    """The clients of one worker, and what the other workers know of them."""

    def __init__(self, segment: Segment, slot: int) -> None:
        layout = segment.layout
        self._cells = cells = segment.cells
        self._own = layout.clients(slot)
        self._others = tuple(layout.clients(each) for each in range(layout.slots) if each != slot)
        self._seed = cells[at.HEADER_SEED].to_bytes(8, "little")
        self._connections: dict[bytes, int] = {}

    def clear(self) -> None:
        """Begin with no connections: a worker that had the slot before may have died with some open."""
        self._cells[self._own : self._own + CLIENT_CELLS] = memoryview(bytes(8 * CLIENT_CELLS)).cast("q")

    def places(self, client: bytes) -> Places:
        """Return where a client is counted; the same in every worker of the node."""
        digest = blake2b(client, digest_size=8, key=self._seed).digest()
        return int.from_bytes(digest[:4], "little") % CLIENT_CELLS, int.from_bytes(digest[4:], "little") % CLIENT_CELLS

    def connections(self, client: bytes) -> int:
        """Return how many connections a client has open."""
        own = self._connections.get(client, 0)
        return own + self._elsewhere(self.places(client), 0) if self._others else own

    def requests_elsewhere(self, client: bytes) -> int:
        """Return how many requests of a client the other workers have let through since they started."""
        return self._elsewhere(self.places(client), CLIENT_CELLS) if self._others else 0

    def connected(self, client: bytes, change: int) -> None:
        """Count a connection in (1) or out (-1)."""
        count = self._connections.get(client, 0) + change
        if count:
            self._connections[client] = count
        else:
            del self._connections[client]
        self._tell(client, 0, change)

    def requested(self, client: bytes) -> None:
        """Count a request that was let through."""
        self._tell(client, CLIENT_CELLS, 1)

    def _tell(self, client: bytes, row: int, change: int) -> None:
        if self._others:
            for place in set(self.places(client)):
                self._cells[self._own + row + place] += change

    def _elsewhere(self, places: Places, row: int) -> int:
        cells, first, second = self._cells, places[0] + row, places[1] + row
        return min(
            sum([cells[each + first] for each in self._others]), sum([cells[each + second] for each in self._others])
        )
