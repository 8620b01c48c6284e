"""Counting: the only place of a worker that writes counters.

Responsible for the worker's own cells of the scoreboard. Knows nothing of sockets or decisions. Offsets into the shared
memory are worked out once per listener, pool and server, so that counting is one addition to one cell.

Invariants: only the worker in the slot writes its cells; every exchange is recorded with exactly one outcome; what is
added to a gauge is taken off again by the same object; what was counted is in the cells when its batch of events ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import add

from lbapp.engine.policy.ending import phase_before_server
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.scoreboard.segment import Segment
from lbapp.model.admission import TurnedAway
from lbapp.model.histogram import bucket_of
from lbapp.model.outcomes import ENDED_BY, FailureKind, Outcome, Phase
from lbapp.model.persistence import PersistenceVerdict
from lbapp.model.tls import HandshakeEnd


class Book:
    """What is counted in common exchanges and not yet in the cells: written down once for each batch of events."""

    __slots__ = ("_open",)

    def __init__(self) -> None:
        self._open: list[EndingCells] = []

    def keep(self, cells: EndingCells) -> None:
        """Remember cells that something was counted for."""
        self._open.append(cells)

    def write(self) -> None:
        """Write down everything that was counted."""
        if self._open:
            for cells in self._open:
                cells.write()
            self._open.clear()


class EndingCells:
    """Where the ends of exchanges are counted, at a listener or at a server: their cells, by name."""

    __slots__ = (
        "_keep", "_new_bytes_in", "_new_bytes_out", "_new_exchanges", "base", "bytes_in", "bytes_out", "cells", "outcomes",
        "responses", "total",
    )  # fmt: skip

    def __init__(self, cells: memoryview[int], base: int, offsets: tuple[int, int, int, int, int], book: Book) -> None:
        bytes_in, bytes_out, responses, outcomes, total = offsets
        self._keep = book.keep
        self._new_exchanges = 0
        self._new_bytes_in = 0
        self._new_bytes_out = 0
        self.cells = cells
        self.base = base
        self.bytes_in = base + bytes_in
        self.bytes_out = base + bytes_out
        self.responses = base + responses - 1
        self.outcomes = base + outcomes
        self.total = base + total

    def common_exchange_ended(self, bytes_in: int, bytes_out: int, bucket: int) -> None:
        """Count an exchange that completed with a 2xx, as most do; all but its latency is written with the batch."""
        if not self._new_exchanges:
            self._keep(self)
        self._new_exchanges += 1
        self._new_bytes_in += bytes_in
        self._new_bytes_out += bytes_out
        self.cells[self.total + bucket] += 1

    def write(self) -> None:
        """Write down what `common_exchange_ended` counted."""
        cells = self.cells
        cells[self.outcomes + Outcome.COMPLETED] += self._new_exchanges
        cells[self.responses + 2] += self._new_exchanges
        cells[self.bytes_in] += self._new_bytes_in
        cells[self.bytes_out] += self._new_bytes_out
        self._new_exchanges = self._new_bytes_in = self._new_bytes_out = 0

    def exchange_ended(self, outcome: Outcome, status: int, bytes_in: int, bytes_out: int, bucket: int) -> None:
        """Count an exchange. `status` 0: no response; `bucket`: of the histogram of how long it took."""
        cells = self.cells
        cells[self.outcomes + outcome] += 1
        cells[self.bytes_in] += bytes_in
        cells[self.bytes_out] += bytes_out
        cells[self.total + bucket] += 1
        if status:
            cells[self.responses + status // 100] += 1

    def count_outcome(self, outcome: Outcome, status: int = 0) -> None:
        """Count an exchange that took no time and moved no bytes worth counting."""
        self.cells[self.outcomes + outcome] += 1
        if status:
            self.cells[self.responses + status // 100] += 1

    def count_bytes(self, bytes_in: int, bytes_out: int) -> None:
        """Count what a tunnel moved."""
        self.cells[self.bytes_in] += bytes_in
        self.cells[self.bytes_out] += bytes_out

    def count_latency(self, histogram: int, value_us: int) -> None:
        """Add one latency to the histogram that starts at cell `histogram`."""
        self.cells[histogram + bucket_of(value_us)] += 1

    def add(self, counter: int, amount: int) -> None:
        """Add to a counter or gauge named in scoreboard.layout."""
        self.cells[self.base + counter] += amount


class ListenerCells(EndingCells):
    """The cells of one listener in this worker's slot."""

    __slots__ = ("connect", "first_byte", "queue")

    def __init__(self, segment: Segment, slot: int, listener: int, book: Book) -> None:
        offsets = (
            at.LISTENER_BYTES_IN, at.LISTENER_BYTES_OUT, at.LISTENER_RESPONSES, at.LISTENER_OUTCOMES, at.LISTENER_TOTAL,
        )  # fmt: skip
        super().__init__(segment.cells, segment.layout.listener(slot, listener), offsets, book)
        self.queue = self.base + at.LISTENER_QUEUE
        self.connect = self.base + at.LISTENER_CONNECT
        self.first_byte = self.base + at.LISTENER_FIRST_BYTE

    def count_incomplete(self, outcome: Outcome, phase: Phase | None) -> None:
        """Count who ended an exchange, and when; `phase` None: it was complete."""
        if phase is not None:
            self.cells[self.base + at.LISTENER_INCOMPLETE + at.incomplete(ENDED_BY[outcome], phase)] += 1

    def turned_down(self, outcome: Outcome, status: int = 0) -> None:
        """Count what came to no pool, and took no time and moved no bytes worth counting."""
        self.count_outcome(outcome, status)
        self.count_incomplete(outcome, phase_before_server(outcome))

    def connection_opened(self) -> None:
        """Count a downstream connection as open."""
        self.add(at.LISTENER_CONNECTIONS, 1)
        self.add(at.LISTENER_CONNECTIONS_TOTAL, 1)

    def connection_closed(self) -> None:
        """Undo the gauge of `connection_opened`."""
        self.add(at.LISTENER_CONNECTIONS, -1)

    def handshake_ended(self, end: HandshakeEnd, is_resumed: bool) -> None:
        """Count a TLS handshake with a client."""
        self.add(at.LISTENER_HANDSHAKES + end, 1)
        if is_resumed:
            self.add(at.LISTENER_RESUMED, 1)

    def connections(self) -> int:
        """Return how many downstream connections are open."""
        return self.cells[self.base + at.LISTENER_CONNECTIONS]

    def count_turned_away(self, reason: TurnedAway) -> None:
        """Count a connection that was not let in."""
        self.add(at.LISTENER_TURNED_AWAY + reason, 1)

    def count_recycled(self) -> None:
        """Count an idle connection that was closed to make room."""
        self.add(at.LISTENER_RECYCLED, 1)

    def set_in_flight(self, count: int) -> None:
        """Say how many of the open connections have an exchange or a tunnel under way."""
        self.cells[self.base + at.LISTENER_IN_FLIGHT] = count


class PoolCells:
    """The cells of one pool in this worker's slot."""

    __slots__ = ("_heartbeats", "_others", "base", "cells", "connections_max", "version", "withheld")

    def __init__(self, segment: Segment, slot: int, pool: int) -> None:
        self.cells = segment.cells
        others = [other for other in range(segment.layout.slots) if other != slot]
        self._others = [segment.layout.pool(other, pool) for other in others]
        self._heartbeats = [segment.layout.worker(other) + at.WORKER_HEARTBEAT_NS for other in others]
        self.base = segment.layout.pool(slot, pool) + at.POOL_OUTCOMES
        self.version = segment.layout.pool_version(pool)
        self.withheld = segment.layout.pool_withheld(pool)
        self.connections_max = segment.layout.pool_connections_max(pool)

    def count_outcome(self, outcome: Outcome) -> None:
        """Count an exchange that reached none of the pool's servers."""
        self.cells[self.base + outcome] += 1

    def count_verdict(self, verdict: PersistenceVerdict) -> None:
        """Count what came of looking for a client's server, or of remembering it."""
        self.cells[self.base + at.POOL_VERDICTS + verdict] += 1

    def add(self, counter: int, amount: int) -> None:
        """Add to a counter or gauge named in scoreboard.layout."""
        self.cells[self.base + counter] += amount

    def put(self, gauge: int, value: int) -> None:
        """Set a gauge named in scoreboard.layout."""
        self.cells[self.base + gauge] = value

    def others(self, gauge: int) -> list[int]:
        """Return a gauge as the other workers of the node have it."""
        return [self.cells[base + gauge] for base in self._others]

    def of_the_living(self, gauge: int, after_ns: int) -> list[int]:
        """Return a gauge as those other workers have it whose last heartbeat came after a moment."""
        cells = self.cells
        pairs = zip(self._others, self._heartbeats, strict=True)
        return [cells[base + gauge] for base, beat in pairs if cells[beat] > after_ns]

    def total(self, gauge: int) -> int:
        """Return a gauge over all workers of the node."""
        return self.cells[self.base + gauge] + sum(self.others(gauge))


class ServerCells(EndingCells):
    """The cells of one server in this worker's slot, and its state as the supervisor wrote it."""

    __slots__ = ("connect", "failures", "first_byte", "in_flight", "index", "queue", "state")

    def __init__(self, segment: Segment, slot: int, server: int, book: Book) -> None:
        offsets = (at.SERVER_BYTES_IN, at.SERVER_BYTES_OUT, at.SERVER_RESPONSES, at.SERVER_OUTCOMES, at.SERVER_TOTAL)
        super().__init__(segment.cells, segment.layout.server(slot, server), offsets, book)
        self.index = server
        self.failures = self.base + at.SERVER_FAILURES
        self.queue = self.base + at.SERVER_QUEUE
        self.connect = self.base + at.SERVER_CONNECT
        self.first_byte = self.base + at.SERVER_FIRST_BYTE
        self.in_flight = segment.layout.in_flight(slot) + server
        self.state = segment.layout.state(server)

    def count_failure(self, kind: FailureKind) -> None:
        """Count a failed attempt."""
        self.cells[self.failures + kind] += 1

    def add_in_flight(self, amount: int) -> None:
        """Count an exchange or a tunnel in (1) or out (-1)."""
        self.cells[self.in_flight] += amount

    def tell_what_is_open(self, tunnels: int, oldest_ns: int) -> None:
        """Say what is in flight at a server that is on its way out."""
        self.cells[self.base + at.SERVER_TUNNELS] = tunnels
        self.cells[self.base + at.SERVER_OLDEST_NS] = oldest_ns

    def set_idle(self, count: int) -> None:
        """Say how many connections to the server are kept idle."""
        self.cells[self.base + at.SERVER_IDLE] = count


_FEW = 5  # servers that are read one by one


class InFlightReader:
    """What is in flight at each server, over all workers of the node."""

    def __init__(self, segment: Segment) -> None:
        layout = segment.layout
        self._cells = segment.cells
        self._rows = [layout.in_flight(slot) for slot in range(layout.slots)]

    def in_flight(self, indexes: Sequence[int]) -> list[int]:
        """Return the counts for the servers at `indexes` (ascending rows of the scoreboard), in the same order."""
        cells = self._cells
        if len(indexes) <= _FEW:
            return [sum([cells[row + index] for row in self._rows]) for index in indexes]
        first, last = (indexes[0], indexes[-1] + 1) if indexes else (0, 0)
        if last - first == len(indexes):  # a pool's servers lie side by side: add whole rows
            rows = [cells[row + first : row + last].tolist() for row in self._rows]
            total = rows[0]
            for row_counts in rows[1:]:
                total = list(map(add, total, row_counts))
            return total
        counts = [0] * (last - first)
        for row in self._rows:
            counts = list(map(add, counts, cells[row + first : row + last].tolist()))
        return [counts[index - first] for index in indexes]
