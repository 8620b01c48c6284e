"""What all workers counted, added up.

Responsible for reading the rows of every slot and adding them: counters, gauges and histograms. Knows nothing of rates,
windows or names. Invariant: a total is the exact sum over the slots, those of dead workers included, so it never goes back;
gauges are the sum over the slots of living workers, as each worker clears its own on taking a slot.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import add

from lbapp.engine.scoreboard import layout as at
from lbapp.engine.scoreboard.segment import Segment
from lbapp.model import histogram
from lbapp.model.admission import TurnedAway
from lbapp.model.outcomes import Ender, FailureKind, Outcome, Phase
from lbapp.model.persistence import PersistenceVerdict
from lbapp.model.tls import HandshakeEnd


@dataclass(frozen=True, slots=True)
class ListenerTotals:
    """One listener over all slots. `queue` and what stands behind are histogram sums (see `histogram.percentiles`)."""

    connections: int
    connections_total: int
    in_flight: int
    requests: int
    bytes_in: int
    bytes_out: int
    retries: int
    responses: tuple[int, ...]
    outcomes: tuple[int, ...]
    handshakes: tuple[int, ...]  # of TLS, by HandshakeEnd
    resumed: int
    incomplete: tuple[int, ...]  # by `layout.incomplete`
    queue: int
    connect: int
    first_byte: int
    total: int


@dataclass(frozen=True, slots=True)
class ServerTotals:
    """One server over all slots. `queue` and what stands behind are histogram sums."""

    connections: int
    connections_total: int
    idle: int
    in_flight: int
    requests: int
    bytes_in: int
    bytes_out: int
    retries: int
    responses: tuple[int, ...]
    failures: tuple[int, ...]
    outcomes: tuple[int, ...]
    queue: int
    connect: int
    first_byte: int
    total: int


def listener_totals(segment: Segment, listener: int) -> ListenerTotals:
    """Add up the blocks of one listener."""
    layout = segment.layout
    bases = [layout.listener(slot, listener) for slot in range(layout.slots)]
    row = _added(segment, bases, at.LISTENER_TOTAL)
    outcomes = tuple(row[at.LISTENER_OUTCOMES : at.LISTENER_OUTCOMES + len(Outcome)])

    def added_histogram(offset: int) -> int:
        return histogram.add(segment.histogram(base + offset) for base in bases)

    return ListenerTotals(
        connections=row[at.LISTENER_CONNECTIONS],
        connections_total=row[at.LISTENER_CONNECTIONS_TOTAL],
        in_flight=row[at.LISTENER_IN_FLIGHT],
        requests=sum(outcomes),
        bytes_in=row[at.LISTENER_BYTES_IN],
        bytes_out=row[at.LISTENER_BYTES_OUT],
        retries=row[at.LISTENER_RETRIES],
        responses=tuple(row[at.LISTENER_RESPONSES : at.LISTENER_RESPONSES + 5]),
        outcomes=outcomes,
        handshakes=tuple(row[at.LISTENER_HANDSHAKES : at.LISTENER_HANDSHAKES + len(HandshakeEnd)]),
        resumed=row[at.LISTENER_RESUMED],
        incomplete=tuple(row[at.LISTENER_INCOMPLETE : at.LISTENER_INCOMPLETE + len(Ender) * len(Phase)]),
        queue=added_histogram(at.LISTENER_QUEUE),
        connect=added_histogram(at.LISTENER_CONNECT),
        first_byte=added_histogram(at.LISTENER_FIRST_BYTE),
        total=added_histogram(at.LISTENER_TOTAL),
    )


@dataclass(frozen=True, slots=True)
class AdmissionTotals:
    """Whom a listener did not let in, over all slots: connections by TurnedAway, requests, idle connections given up."""

    turned_away: tuple[int, ...]
    recycled: int
    rate_limited: int


def admission_totals(segment: Segment, listener: int) -> AdmissionTotals:
    """Add up what the workers counted of clients that one listener did not let in."""
    layout = segment.layout
    bases = [layout.listener(slot, listener) for slot in range(layout.slots)]
    width = at.LISTENER_CELLS - at.LISTENER_TURNED_AWAY
    row = _added(segment, [base + at.LISTENER_TURNED_AWAY for base in bases], width)
    limited = at.LISTENER_OUTCOMES + Outcome.RATE_LIMITED
    return AdmissionTotals(
        turned_away=tuple(row[: len(TurnedAway)]),
        recycled=row[at.LISTENER_RECYCLED - at.LISTENER_TURNED_AWAY],
        rate_limited=sum(segment.cells[base + limited] for base in bases),
    )


def shortages(segment: Segment) -> int:
    """Return how often a worker found no file descriptor or memory, over all slots."""
    layout = segment.layout
    return sum(segment.cells[layout.worker(slot) + at.WORKER_SHORTAGES] for slot in range(layout.slots))


def log_lines_dropped(segment: Segment) -> int:
    """Return how many lines of the access log were dropped, over all slots."""
    layout = segment.layout
    return sum(segment.cells[layout.worker(slot) + at.WORKER_LOG_LINES_DROPPED] for slot in range(layout.slots))


def pool_outcomes(segment: Segment, pool: int) -> tuple[int, ...]:
    """Add up how exchanges of a pool ended that reached no server of it."""
    layout = segment.layout
    bases = [layout.pool(slot, pool) for slot in range(layout.slots)]
    return tuple(
        _added(segment, bases, len(Outcome) + at.POOL_OUTCOMES)[at.POOL_OUTCOMES : at.POOL_OUTCOMES + len(Outcome)]
    )


@dataclass(frozen=True, slots=True)
class PoolTotals:
    """What a pool counts of persistence, retries and its queue, over all slots.

    `verdicts` by PersistenceVerdict; `queue_wait` is a histogram sum (see `histogram.percentiles`).
    """

    verdicts: tuple[int, ...]
    not_remembered: int
    retries_refused: int
    queued: int
    queued_total: int
    queue_wait: int


def pool_totals(segment: Segment, pool: int) -> PoolTotals:
    """Add up what the workers counted of a pool's persistence, retries and queue."""
    layout = segment.layout
    bases = [layout.pool(slot, pool) for slot in range(layout.slots)]
    row = _added(segment, bases, at.POOL_QUEUE_WAIT)
    return PoolTotals(
        verdicts=tuple(row[at.POOL_VERDICTS : at.POOL_VERDICTS + len(PersistenceVerdict)]),
        not_remembered=row[at.POOL_NOT_REMEMBERED],
        retries_refused=row[at.POOL_RETRIES_REFUSED],
        queued=row[at.POOL_QUEUED],
        queued_total=row[at.POOL_QUEUED_TOTAL],
        queue_wait=histogram.add(segment.histogram(base + at.POOL_QUEUE_WAIT) for base in bases),
    )


def server_totals(segment: Segment, server: int) -> ServerTotals:
    """Add up the blocks of one server."""
    layout = segment.layout
    # A worker counts a connection before all else, so the histograms of a slot that has counted nothing are empty.
    used = [base for base in layout.server_blocks(server) if any(segment.cells[base : base + at.SERVER_CONNECT])]
    row = _added(segment, used, at.SERVER_CONNECT)
    outcomes = tuple(row[at.SERVER_OUTCOMES : at.SERVER_OUTCOMES + len(Outcome)])

    def added_histogram(offset: int) -> int:
        return histogram.add([segment.histogram(base + offset) for base in used])

    return ServerTotals(
        connections=row[at.SERVER_CONNECTIONS],
        connections_total=row[at.SERVER_CONNECTIONS_TOTAL],
        idle=row[at.SERVER_IDLE],
        in_flight=in_flight(segment, server),
        requests=sum(outcomes),
        bytes_in=row[at.SERVER_BYTES_IN],
        bytes_out=row[at.SERVER_BYTES_OUT],
        retries=row[at.SERVER_RETRIES],
        responses=tuple(row[at.SERVER_RESPONSES : at.SERVER_RESPONSES + 5]),
        failures=tuple(row[at.SERVER_FAILURES : at.SERVER_FAILURES + len(FailureKind)]),
        outcomes=outcomes,
        queue=added_histogram(at.SERVER_QUEUE),
        connect=added_histogram(at.SERVER_CONNECT),
        first_byte=added_histogram(at.SERVER_FIRST_BYTE),
        total=added_histogram(at.SERVER_TOTAL),
    )


def in_flight(segment: Segment, server: int) -> int:
    """Return what is in flight at a server over all slots."""
    layout = segment.layout
    return sum(segment.cells[layout.in_flight(slot) + server] for slot in range(layout.slots))


@dataclass(frozen=True, slots=True)
class Open:
    """What is still open at a server that is on its way out. `oldest_ns`: time.monotonic_ns at its beginning; 0: nothing is."""

    in_flight: int
    tunnels: int
    oldest_ns: int


def still_open(segment: Segment, server: int) -> Open:
    """Return what the workers have told of a server that is not READY."""
    cells, bases = segment.cells, [segment.layout.server(slot, server) for slot in range(segment.layout.slots)]
    oldest = [cells[base + at.SERVER_OLDEST_NS] for base in bases]
    tunnels = sum(cells[base + at.SERVER_TUNNELS] for base in bases)
    return Open(in_flight(segment, server), tunnels, min(filter(None, oldest), default=0))


def clear_gauges(segment: Segment, slot: int) -> None:
    """Set the gauges of a slot to zero: what its new worker does first, as the one before may have died with work open."""
    layout, cells = segment.layout, segment.cells
    cells[layout.worker(slot) + at.WORKER_CONNECTIONS] = 0
    for listener in range(layout.listeners):
        cells[layout.listener(slot, listener) + at.LISTENER_CONNECTIONS] = 0
        cells[layout.listener(slot, listener) + at.LISTENER_IN_FLIGHT] = 0
    for pool in range(layout.pools):
        cells[layout.pool(slot, pool) + at.POOL_QUEUED] = 0
        cells[layout.pool(slot, pool) + at.POOL_QUEUED_SINCE_NS] = 0
    for server in range(layout.servers):
        if not cells[layout.state(server) + at.STATE_SHARE_PERMILLE]:
            continue  # a row that was never anybody's: its memory, which nobody has touched, takes none
        cells[layout.in_flight(slot) + server] = 0
        cells[layout.server(slot, server) + at.SERVER_CONNECTIONS] = 0
        for gauge in (at.SERVER_IDLE, at.SERVER_TUNNELS, at.SERVER_OLDEST_NS):
            cells[layout.server(slot, server) + gauge] = 0


def _added(segment: Segment, bases: list[int], width: int) -> list[int]:
    total = [0] * width
    for base in bases:
        row = segment.cells[base : base + width].tolist()
        if any(row):  # many slots have no worker
            total = list(map(add, total, row))
    return total
