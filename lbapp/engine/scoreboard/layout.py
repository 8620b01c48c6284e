"""Where every cell of the scoreboard lies.

Responsible for the map from (slot, server, counter) to the index of an 8-byte cell. Knows nothing of memory, files or what
the figures mean. All indexes count cells, not bytes.

    header          magic, version, capacities                          written by the supervisor
    worker blocks   one per slot                                        written by the worker in that slot
    server states   one per server: admin, health, weight, limits       written by the supervisor
    pool versions   one per pool: grows when it or a server changes     written by the supervisor
    pools withheld  one per pool: 1 while it is unpublished             written by the supervisor
    pool limits     one per pool: in flight on this node                written by the supervisor
    listener limits one per listener: connections on this node          written by the supervisor
    in flight       one row of servers per slot, side by side           written by the worker in that slot
    listeners       one block per (slot, listener)                      written by the worker in that slot
    pools           one block per (slot, pool)                          written by the worker in that slot
    servers         one block per (slot, server) with four histograms   written by the worker in that slot
    clients         one row per slot: connections and requests, by hash  written by the worker in that slot

Invariants: every cell has exactly one writer; every block starts on a cell, so every cell is 8-byte aligned; the map
depends on the four capacities alone, so whoever has those four numbers agrees about all of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from lbapp.model.admission import TurnedAway
from lbapp.model.histogram import BUCKETS
from lbapp.model.limits import CLIENT_CELLS
from lbapp.model.outcomes import Ender, FailureKind, Outcome, Phase
from lbapp.model.persistence import PersistenceVerdict
from lbapp.model.tls import HandshakeEnd

MAGIC: Final = 0x6C62617070  # "lbapp"
VERSION: Final = 11

# header
HEADER_MAGIC: Final = 0
HEADER_VERSION: Final = 1
HEADER_SLOTS: Final = 2
HEADER_LISTENERS: Final = 3
HEADER_POOLS: Final = 4
HEADER_SERVERS: Final = 5
HEADER_SEED: Final = 6  # of the hash that clients are counted by
HEADER_CELLS: Final = 8

# one worker block per slot
WORKER_PID: Final = 0
WORKER_GENERATION: Final = 1
WORKER_PHASE: Final = 2
WORKER_HEARTBEAT_NS: Final = 3  # time.monotonic_ns, the same clock in every process of a machine
WORKER_CONNECTIONS: Final = 4  # downstream connections open now
WORKER_FAULTS: Final = 5  # connection tasks that ended with an error nobody foresaw
WORKER_SHORTAGES: Final = 6  # times that no file descriptor or memory was to be had
WORKER_LOG_LINES_DROPPED: Final = 7  # of the access log
WORKER_CELLS: Final = 8

# one state block per server
STATE_ADMIN: Final = 0
STATE_HEALTH: Final = 1
STATE_WEIGHT: Final = 2
STATE_CLOSE_COUNT: Final = 3  # grows when every connection to the server is to be closed by force
STATE_EJECTED: Final = 4  # 1 while outlier detection keeps it out
STATE_SHARE_PERMILLE: Final = 5  # of its weight, during a slow start; 1000 otherwise
STATE_NO_NEW_CLIENTS: Final = 6  # 1 while the server itself asks for none
STATE_CONNECTIONS_MAX: Final = 7  # in flight over all workers; 0: no limit
STATE_CELLS: Final = 8

# one block per (slot, listener)
LISTENER_CONNECTIONS: Final = 0  # open now
LISTENER_CONNECTIONS_TOTAL: Final = 1
LISTENER_IN_FLIGHT: Final = 2  # connections with an exchange or a tunnel under way, as of the worker's last look
LISTENER_BYTES_IN: Final = 3
LISTENER_BYTES_OUT: Final = 4
LISTENER_RETRIES: Final = 5
LISTENER_RESPONSES: Final = 6  # five cells: 1xx .. 5xx
LISTENER_OUTCOMES: Final = LISTENER_RESPONSES + 5  # their sum is the number of requests
LISTENER_HANDSHAKES: Final = LISTENER_OUTCOMES + len(Outcome)  # of TLS, by HandshakeEnd
LISTENER_RESUMED: Final = LISTENER_HANDSHAKES + len(HandshakeEnd)  # of those done, without a full handshake
LISTENER_INCOMPLETE: Final = LISTENER_RESUMED + 1  # exchanges that were not complete: see `incomplete`
LISTENER_TOTAL: Final = LISTENER_INCOMPLETE + len(Ender) * len(Phase)  # histogram
LISTENER_TURNED_AWAY: Final = LISTENER_TOTAL + BUCKETS  # connections not let in, by TurnedAway
LISTENER_RECYCLED: Final = LISTENER_TURNED_AWAY + len(TurnedAway)  # idle connections closed to make room for others
LISTENER_QUEUE: Final = LISTENER_RECYCLED + 1  # histogram
LISTENER_CONNECT: Final = LISTENER_QUEUE + BUCKETS  # histogram
LISTENER_FIRST_BYTE: Final = LISTENER_CONNECT + BUCKETS  # histogram
LISTENER_CELLS: Final = LISTENER_FIRST_BYTE + BUCKETS

# one block per (slot, pool): what can be said of no single server
POOL_OUTCOMES: Final = 0
POOL_VERDICTS: Final = POOL_OUTCOMES + len(Outcome)
POOL_NOT_REMEMBERED: Final = POOL_VERDICTS + len(PersistenceVerdict)  # clients that could not be written down
POOL_RETRIES_REFUSED: Final = POOL_NOT_REMEMBERED + 1  # attempts not made because the retry budget was spent
POOL_QUEUED: Final = POOL_RETRIES_REFUSED + 1  # requests that wait for room now
# Since when the first of them waits that any server would suit (time.monotonic_ns); 0: none does.
POOL_QUEUED_SINCE_NS: Final = POOL_QUEUED + 1
POOL_QUEUED_TOTAL: Final = POOL_QUEUED_SINCE_NS + 1
POOL_QUEUE_WAIT: Final = POOL_QUEUED_TOTAL + 1  # histogram
POOL_CELLS: Final = POOL_QUEUE_WAIT + BUCKETS

# one block per (slot, server)
SERVER_CONNECTIONS: Final = 0  # upstream connections open now, idle ones included
SERVER_CONNECTIONS_TOTAL: Final = 1
SERVER_IDLE: Final = 2  # as of the worker's last look
SERVER_BYTES_IN: Final = 3  # from clients to the server
SERVER_BYTES_OUT: Final = 4  # from the server to clients
SERVER_RETRIES: Final = 5  # attempts at this server that repeat an earlier one
SERVER_RESPONSES: Final = 6  # five cells: 1xx .. 5xx
SERVER_FAILURES: Final = SERVER_RESPONSES + 5
SERVER_OUTCOMES: Final = SERVER_FAILURES + len(FailureKind)  # their sum is the number of requests
SERVER_CONNECT: Final = SERVER_OUTCOMES + len(Outcome)  # histogram
SERVER_FIRST_BYTE: Final = SERVER_CONNECT + BUCKETS  # histogram
SERVER_TOTAL: Final = SERVER_FIRST_BYTE + BUCKETS  # histogram
# As of the worker's last look, and only while the server is not READY.
SERVER_TUNNELS: Final = SERVER_TOTAL + BUCKETS  # of what is in flight
SERVER_OLDEST_NS: Final = SERVER_TUNNELS + 1  # since when the oldest of it is (time.monotonic_ns); 0: there is none
SERVER_QUEUE: Final = SERVER_OLDEST_NS + 1  # histogram: of those who waited for room and got this server
SERVER_CELLS: Final = SERVER_QUEUE + BUCKETS


_ENDERS: Final = tuple(Ender)
_PHASES: Final = tuple(Phase)


def incomplete(ender: Ender, phase: Phase) -> int:
    """Return which cell of LISTENER_INCOMPLETE counts the exchanges that were ended so, from 0."""
    return _ENDERS.index(ender) * len(_PHASES) + _PHASES.index(phase)


@dataclass(frozen=True, slots=True)
class Layout:
    """The map of a segment with room for so many slots, listeners, pools and servers."""

    slots: int
    listeners: int
    pools: int
    servers: int
    # The first cell of each part, worked out once: with many servers they are asked for thousands of times a second.
    _states: int = field(init=False, repr=False, compare=False)
    _versions: int = field(init=False, repr=False, compare=False)
    _withheld: int = field(init=False, repr=False, compare=False)
    _pool_limits: int = field(init=False, repr=False, compare=False)
    _listener_limits: int = field(init=False, repr=False, compare=False)
    _in_flight: int = field(init=False, repr=False, compare=False)
    _listeners: int = field(init=False, repr=False, compare=False)
    _pools: int = field(init=False, repr=False, compare=False)
    _servers: int = field(init=False, repr=False, compare=False)
    _clients: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        begin = HEADER_CELLS
        for part, cells in (
            ("_states", self.slots * WORKER_CELLS),
            ("_versions", self.servers * STATE_CELLS),
            ("_withheld", self.pools),
            ("_pool_limits", self.pools),
            ("_listener_limits", self.pools),
            ("_in_flight", self.listeners),
            ("_listeners", self.slots * self.servers),
            ("_pools", self.slots * self.listeners * LISTENER_CELLS),
            ("_servers", self.slots * self.pools * POOL_CELLS),
            ("_clients", self.slots * self.servers * SERVER_CELLS),
        ):
            begin += cells
            object.__setattr__(self, part, begin)

    @property
    def cells(self) -> int:
        """The size of the whole segment in cells."""
        return self.clients(self.slots)

    def worker(self, slot: int) -> int:
        """Return the first cell of the worker block of `slot`."""
        return HEADER_CELLS + slot * WORKER_CELLS

    def state(self, server: int) -> int:
        """Return the first cell of a server's state block."""
        return self._states + server * STATE_CELLS

    def pool_version(self, pool: int) -> int:
        """Return the cell that grows whenever the pool or a server of it changes."""
        return self._versions + pool

    def pool_withheld(self, pool: int) -> int:
        """Return the cell that is 1 while the pool is unpublished."""
        return self._withheld + pool

    def pool_connections_max(self, pool: int) -> int:
        """Return the cell of what the pool may have in flight on this node; 0: no limit. Its version grows with it."""
        return self._pool_limits + pool

    def listener_connections_max(self, listener: int) -> int:
        """Return the cell of how many connections the listener may have on this node; 0: no limit of its own."""
        return self._listener_limits + listener

    def in_flight(self, slot: int) -> int:
        """Return the first cell of a slot's row of in-flight counts; server `i` is `i` cells further."""
        return self._in_flight + slot * self.servers

    def listener(self, slot: int, listener: int) -> int:
        """Return the first cell of the block of (slot, listener)."""
        return self._listeners + (slot * self.listeners + listener) * LISTENER_CELLS

    def pool(self, slot: int, pool: int) -> int:
        """Return the first cell of the block of (slot, pool)."""
        return self._pools + (slot * self.pools + pool) * POOL_CELLS

    def server(self, slot: int, server: int) -> int:
        """Return the first cell of the block of (slot, server)."""
        return self._servers + (slot * self.servers + server) * SERVER_CELLS

    def server_blocks(self, server: int) -> range:
        """Return the first cells of a server's blocks, slot by slot."""
        step = self.servers * SERVER_CELLS
        first = self._servers + server * SERVER_CELLS
        return range(first, first + self.slots * step, step)

    def clients(self, slot: int) -> int:
        """Return the first cell of a slot's row of clients' connections; that of their requests is CLIENT_CELLS further.

        Memory that nobody has touched takes none, so the row costs nothing where no client is limited.
        """
        return self._clients + slot * 2 * CLIENT_CELLS
