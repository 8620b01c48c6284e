"""Letting clients in: whether there is room for one more, and what happens to who is not let in.

Responsible for the limits of the node, of listeners and of clients, as far as they are about connections; for making room by
closing connections that carry nothing; for short answers to those turned away; and for what to do when file descriptors run
out. Knows nothing of requests but that a client between two of them can be spared.

Invariants: no more connections are served than the shares of this worker allow; nobody waits for a place that cannot become
free; answers to those turned away are bounded in number and time; everybody turned away is counted.
"""

from __future__ import annotations

import socket
from collections import deque
from resource import RLIMIT_NOFILE, getrlimit
from typing import TYPE_CHECKING, Final

from lbapp.engine.policy.admission import Address, Gate, client_network
from lbapp.engine.policy.rate import TokenBuckets, share_of
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.wire.forwarding import client_address
from lbapp.engine.wire.replies import build_reply
from lbapp.engine.worker.clients import Clients
from lbapp.engine.worker.reactor import Aborted, DeadlinePassed, Endpoint, PeerGone
from lbapp.engine.worker.relay import SinkGone, SourceEnded, send_all
from lbapp.engine.worker.steering import OwnAnswer
from lbapp.model.admission import Admission, TurnedAway
from lbapp.model.descriptors import room_for_clients
from lbapp.model.entities import Configuration
from lbapp.model.limits import (
    CLIENTS_KNOWN_MAX,
    FAREWELL_S,
    FAREWELLS_MAX,
    RECEIVE_BYTES,
    RECYCLE_AGE_MIN_S,
    RECYCLE_LOOK_INTERVAL_S,
    RECYCLED_PER_LOOK_MAX,
)
from lbapp.model.outcomes import Outcome

if TYPE_CHECKING:
    from lbapp.engine.scoreboard.segment import Segment
    from lbapp.engine.worker.accept import ListenerRuntime
    from lbapp.engine.worker.downstream import Downstream
    from lbapp.engine.worker.run import Worker

_REPLIES: Final = {
    TurnedAway.NODE_FULL: build_reply(503, "too many connections", close=True),
    TurnedAway.LISTENER_FULL: build_reply(503, "too many connections", close=True),
    TurnedAway.CLIENT_FULL: build_reply(429, "too many connections of one client", close=True),
    TurnedAway.NETWORK: build_reply(403, "clients of your network are not served here", close=True),
}


class ConnectionLimit:
    """How many connections a listener may have in one worker, as the scoreboard stands. `place`: of the worker among all."""

    __slots__ = ("_cell", "_cells", "_place")

    def __init__(self, segment: Segment, row: int, place: tuple[int, int]) -> None:
        self._cells = segment.cells
        self._cell = segment.layout.listener_connections_max(row)
        self._place = place

    @property
    def share(self) -> int:
        """The worker's share; 0: there is no limit."""
        limit = self._cells[self._cell]
        return share_of(limit, *self._place) if limit else 0


class Door:
    """What one listener asks of its clients."""

    def __init__(self, row: int, admission: Admission, clients: Clients, limit: ConnectionLimit) -> None:
        self._limit = limit
        self.has_lists = bool(admission.allow or admission.deny)
        self._gate = Gate(admission.allow, admission.deny)
        self._client_max = admission.client_connections_max
        self._clients = clients
        self._prefix = row.to_bytes(2, "little")  # a client is counted at each listener apart

    @property
    def share(self) -> int:
        """How many connections the listener may have in this worker now; 0: no limit of its own."""
        return self._limit.share

    @property
    def asks_who(self) -> bool:
        """Say whether it matters who a client is."""
        return self.has_lists or self._client_max > 0

    def refusal(self, address: Address | None) -> TurnedAway | None:
        """Say why a client is not let in; None: it is. `address` None: it came over a Unix socket."""
        if address is None:
            return None
        if self.has_lists and not self._gate.is_open_to(address):
            return TurnedAway.NETWORK
        if self._client_max and self._clients.connections(self._key(address)) >= self._client_max:
            return TurnedAway.CLIENT_FULL
        return None

    def enter(self, client: Downstream) -> None:
        """Count a client that is let in, until it is closed."""
        address = client.address
        if self._client_max and address is not None:
            client.counted_as = self._key(address)
            self._clients.connected(client.counted_as, 1)

    def _key(self, address: Address) -> bytes:
        return self._prefix + client_network(address)


class RequestRate:
    """How often one client of a listener may ask."""

    def __init__(self, row: int, admission: Admission, clients: Clients) -> None:
        self.admission = admission
        self._buckets = TokenBuckets(admission.client_request_rate, admission.client_burst, CLIENTS_KNOWN_MAX)
        self._clients = clients
        self._prefix = row.to_bytes(2, "little")

    def refusal(self, client: Downstream) -> OwnAnswer | None:
        """Take a request of a client into account; return the answer if it is one too many."""
        address = client.client_address
        if address is None:
            return None
        key = self._prefix + client_network(address)
        wait_s = self._buckets.wait_s(key, client.reactor.now, self._clients.requests_elsewhere(key))
        if not wait_s:
            self._clients.requested(key)
            return None
        retry_after_s = int(wait_s) + 1

        def build(close: bool, head_only: bool) -> bytes:
            reason = "too many requests of one client"
            return build_reply(429, reason, close=close, head_only=head_only, retry_after_s=retry_after_s)

        return OwnAnswer(Outcome.RATE_LIMITED, 429, build, False)  # a connection kept costs less than a new one


class ClientPreamble:
    """Asks who the client is where only a PROXY header tells."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def __call__(self, client: Downstream) -> None:
        """Let the client in. Raises SourceEnded for who is not to be served."""
        reason = self._door.refusal(client.address)
        if reason is None:
            self._door.enter(client)
            return
        client.listener.cells.count_turned_away(reason)
        if client.listener.may_answer_at_once:
            try:
                await send_all(client, _REPLIES[reason], FAREWELL_S)
                await client.linger()
            except (SinkGone, DeadlinePassed):
                pass
        raise SourceEnded


class Doorkeeper:
    """Room for clients in one worker."""

    def __init__(self, worker: Worker) -> None:
        self.share = 0
        self._worker = worker
        self._farewells = 0
        self._spare: deque[tuple[Downstream, float]] = deque()  # who could go, and since when it carries nothing
        self._look_again_s = 0.0

    def has_room(self) -> bool:
        """Say whether one more client can be served without any other being closed."""
        return len(self._worker.connections) < self.share

    def lets_in(self, listener: ListenerRuntime, sock: socket.socket, peer: object) -> bool:
        """Say whether an accepted connection is to be served. If not, it has been seen off."""
        reason = self._refusal(listener, peer)
        if reason is None:
            return True
        listener.cells.count_turned_away(reason)
        self._see_off(sock, _REPLIES[reason] if listener.may_answer_at_once else b"")
        return False

    def _refusal(self, listener: ListenerRuntime, peer: object) -> TurnedAway | None:
        door = listener.door
        if door is not None:
            if not listener.knows_client_late and door.asks_who:
                reason = door.refusal(client_address(peer))
                if reason is not None:
                    return reason
            share = door.share
            if share and listener.cells.connections() >= share and not self._make_room(listener):
                return TurnedAway.LISTENER_FULL
        if not self.has_room() and not self._make_room(None):
            return TurnedAway.NODE_FULL
        return None

    # -- those turned away -------------------------------------------------------------------------------------------

    def _see_off(self, sock: socket.socket, answer: bytes) -> None:
        if not answer or self._farewells >= FAREWELLS_MAX:
            sock.close()
            return
        try:
            sock.send(answer)
            sock.shutdown(socket.SHUT_WR)
            endpoint = Endpoint(self._worker.reactor, sock)
        except OSError:
            sock.close()
            return
        self._farewells += 1
        self._worker.reactor.start(self._farewell(endpoint))

    async def _farewell(self, endpoint: Endpoint) -> None:
        # Closing on bytes that nobody read would reset the answer away from the client.
        deadline = endpoint.reactor.now + FAREWELL_S
        try:
            while True:
                await endpoint.readable(deadline)
                try:
                    if not endpoint.recv(RECEIVE_BYTES):
                        return
                except BlockingIOError:
                    continue
        except (OSError, DeadlinePassed, PeerGone, Aborted):
            return
        finally:
            endpoint.close()
            self._farewells -= 1

    # -- those who can be spared -------------------------------------------------------------------------------------

    def _make_room(self, listener: ListenerRuntime | None) -> bool:
        """Close the connection that has carried nothing for longest; say whether there was one."""
        if self._spare_one(listener):
            return True
        now = self._worker.reactor.now
        if now < self._look_again_s:
            return False
        self._look(listener, now)
        if self._spare_one(listener):
            return True
        self._look_again_s = now + RECYCLE_LOOK_INTERVAL_S
        return False

    def _spare_one(self, listener: ListenerRuntime | None) -> bool:
        while self._spare:
            client, since = self._spare.popleft()
            if listener is not None and client.listener is not listener:
                continue
            if client.fd >= 0 and client.is_idle and _idle_since(client) == since and client.is_silent():
                client.listener.cells.count_recycled()
                client.finish()
                return True
        return False

    def _look(self, listener: ListenerRuntime | None, now: float) -> None:
        """Note who can be spared: first those between two requests, then those whose first is long in coming."""
        found = [
            (_has_begun(client), _idle_since(client), client)
            for client in self._worker.connections
            if client.is_idle and (listener is None or client.listener is listener)
        ]
        found = [each for each in found if not each[0] or now - each[1] >= RECYCLE_AGE_MIN_S]
        found.sort(key=lambda each: each[:2])
        self._spare.extend((client, since) for _, since, client in found[:RECYCLED_PER_LOOK_MAX])

    # -- descriptors -------------------------------------------------------------------------------------------------

    def ran_short(self) -> bool:
        """Take in that no file descriptor or memory is left; say whether there soon will be, as one connection was spared.

        Its descriptor is free after this batch of events.
        """
        worker = self._worker
        worker.segment.cells[worker.block + at.WORKER_SHORTAGES] += 1
        return self._make_room(None)


def _has_begun(client: Downstream) -> bool:
    """Say whether something of a request, or of what comes before one, is on its way."""
    return bool(client.buffer) or client.is_in_preamble


def _idle_since(client: Downstream) -> float:
    """Return since when a client that is idle has completed nothing."""
    if not client.bytes_in:
        return client.accepted_at
    limits = client.limits
    return client.read_deadline - (limits.request_head_timeout_s if client.buffer else limits.client_idle_timeout_s)


def set_up(worker: Worker, configuration: Configuration, slot: int, rows: dict[str, int]) -> None:
    """Have every listener of a worker ask of its clients what the configuration says; who is counted stays counted."""
    share = share_of(configuration.limits.connections_max, slot, configuration.engine.workers)
    descriptors, _ = getrlimit(RLIMIT_NOFILE)
    worker.doorkeeper.share = min(share, room_for_clients(descriptors))
    place = (slot, configuration.engine.workers)
    for listener, runtime in zip(configuration.listeners, worker.listeners, strict=True):
        wanted, row = listener.admission, rows[listener.name]
        door = rate = None
        has_limit = wanted.connections_max or wanted.fleet_connections_max
        if has_limit or wanted.client_connections_max or wanted.allow or wanted.deny:
            door = Door(row, wanted, worker.clients, ConnectionLimit(worker.segment, row, place))
        if wanted.client_request_rate.count:
            rate = RequestRate(row, wanted, worker.clients)
        runtime.admit_through(door)
        runtime.limit_requests(rate)
