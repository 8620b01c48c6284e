"""The common exchange: a request without a body, on an idle connection, whose answer comes in one piece and goes on as it came.

Responsible for the state of an exchange, and for carrying it through as long as it waits for nothing but that answer: two
plain functions, so that no coroutine is made for it. Whatever turns out to be different is left as it stands to `exchange`,
which goes on from there and knows every case.

Invariants: while `server` is set and the exchange is not recorded, it is counted as in flight there, once; `finish` either
completes and records an exchange or leaves it unrecorded; nothing goes on as it came that `exchange` would change.
"""

from __future__ import annotations

import re
from time import monotonic
from typing import TYPE_CHECKING, Final

from lbapp.engine.policy.ending import phase_of
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.wire.heads import BadRequest, RequestHead
from lbapp.engine.wire.http1 import build_request_head, plain_response_status
from lbapp.engine.worker.body import RequestBody
from lbapp.engine.worker.decisions import Asking
from lbapp.engine.worker.ended import ended_by_client
from lbapp.engine.worker.pools import UpstreamPool
from lbapp.engine.worker.reactor import READ_AGAIN
from lbapp.engine.worker.upstream import Upstream, UpstreamServer
from lbapp.model.histogram import bucket_of
from lbapp.model.limits import RECEIVE_BYTES
from lbapp.model.outcomes import Outcome, Phase

if TYPE_CHECKING:
    from lbapp.engine.worker.downstream import Downstream
    from lbapp.engine.worker.persistence import Visit


_UNREPEATABLE: Final = frozenset((b"POST", b"PATCH", b"CONNECT"))


class CommonExchange:
    """The state of one exchange, for as long as it lasts."""

    __slots__ = (
        "answer_drop", "answer_lines", "body", "bytes_out", "client", "connect_us", "first_byte_us", "has_answered", "head",
        "interruption", "is_persistent", "pool", "queue_us", "received", "retries", "sent_at", "server", "started", "status",
        "tried", "unsent", "unsent_answer", "upstream", "visit",
    )  # fmt: skip

    def __init__(self, client: Downstream, head: RequestHead, pool: UpstreamPool, body: RequestBody | None) -> None:
        self.client = client
        self.head = head
        self.pool = pool
        self.body = body
        self.started = client.started = client.reactor.now
        self.server: UpstreamServer | None = (
            None  # of the last attempt; while it lasts, the exchange is in flight there
        )
        self.upstream: Upstream | None = None  # of the attempt under way
        self.tried: tuple[int, ...] = ()  # servers at which an attempt failed
        self.sent_at = 0.0  # when its request was sent, 0 before
        self.unsent = b""  # what the server did not take of the request at once
        self.received = b""  # what came of the answer at once
        self.interruption: Exception | None = None  # what came instead
        self.unsent_answer = b""  # what the client did not take at once of an answer that came at once
        self.answer_lines = client.answer_lines  # whole lines that the answer to the client gets
        # Lines of the server's answer that the client does not get.
        self.answer_drop: re.Pattern[bytes] | None = client.answer_drop
        self.visit: Visit | None = None  # what the pool's persistence keeps of the request
        self.bytes_out = 0
        self.queue_us = self.connect_us = 0  # waiting for room, and for a connection to the last server
        self.first_byte_us = -1  # from the request sent to the head of the answer; -1: there was none
        self.status = 0
        self.retries = 0
        self.has_answered = False
        self.is_persistent = head.is_persistent

    def begin(self) -> Upstream | None:
        """Send the request on an idle connection. Returns what the answer will come on; None: see `run`."""
        server = self._choose(())
        upstream = self.upstream
        if upstream is None or server is None:
            return None
        self.unsent = self._send(server, upstream)
        return None if self.unsent else upstream

    def finish(self, upstream: Upstream) -> bool:  # noqa: C901  # hot: see docs/decisions/common-exchange.md
        """Pass the answer on if it can go as it came. Returns whether that was all; if not, `run` goes on from there."""
        client, server, head = self.client, self.server, self.head
        limits = client.limits
        try:
            self.received = data = upstream.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return False
        if len(data) == RECEIVE_BYTES:
            upstream.ready |= READ_AGAIN  # more may be there: `run` reads on
            return False
        status = plain_response_status(data, limits.head_bytes_max, limits.fields_max)
        if not status or server is None or head.version != 11 or head.method == b"HEAD":
            return False
        if status >= 500 and status in self.pool.repeat_statuses:
            return False
        if client.is_to_close or not self.is_persistent:
            return False
        if self.answer_drop is not None and self.answer_drop.search(data, 0, data.index(b"\r\n\r\n") + 2):
            return False
        if self.answer_lines:
            behind_status = data.index(b"\n") + 1
            data = data[:behind_status] + self.answer_lines + data[behind_status:]
        now = self._answered(server, status)
        self.has_answered = True
        try:
            sent = client.send(data)
        except OSError:
            sent = 0  # whether it is full or gone shows when the rest is sent
        self.bytes_out = sent
        if sent != len(data):
            self.unsent_answer = data[sent:]
            return False
        client.partner = None
        cells = server.cells
        cells.cells[cells.in_flight] -= 1
        server.give_back(upstream)
        bucket = bucket_of(int((now - self.started) * 1e6))
        if status < 300:
            client.listener.cells.common_exchange_ended(client.bytes_in, sent, bucket)
            cells.common_exchange_ended(client.bytes_in, sent, bucket)
        else:
            client.listener.cells.exchange_ended(Outcome.COMPLETED, status, client.bytes_in, sent, bucket)
            cells.exchange_ended(Outcome.COMPLETED, status, client.bytes_in, sent, bucket)
        if client.listener.trail is not None:
            client.listener.trail.common_exchange_ended(self, server, now)
        return True

    def _choose(self, tried: tuple[int, ...]) -> UpstreamServer | None:
        """Choose the server of the next attempt, in flight at which it then is, and take a connection that is idle there."""
        if tried or self.pool.is_to_be_recorded:
            server = self.client.worker.decisions.decide(Asking(self.client, self.pool, tried, self), self._server_for)
        else:
            server = self._server_for(tried)
            if server is None:
                self.client.worker.decisions.found_none(Asking(self.client, self.pool, tried, self))
        if server is not None:
            self.server = server
            is_unsafe = self.body is not None or self.head.method in _UNREPEATABLE
            self.upstream = server.take_idle(self.client, is_to_be_checked=is_unsafe)
        return server

    def _server_for(self, tried: tuple[int, ...]) -> UpstreamServer | None:
        pool = self.pool
        if pool.persistence is not None:
            return pool.persistence.choose(self, tried)
        key = self.client.key if pool.find_key is None else pool.key_of(self.client.key, self.head)
        return pool.choose(key, self.client.reactor.now, tried)

    def _send(self, server: UpstreamServer, upstream: Upstream) -> bytes:
        """Send the request, with what has come of its body; return what the server did not take at once."""
        client = self.client
        client.partner = upstream
        payload = build_request_head(self.head, client.forwarded, server.address)
        if self.body is not None:
            payload += self._first_of(self.body)
        self.sent_at = monotonic()
        try:
            sent = upstream.send(payload)
        except BlockingIOError:
            return payload
        except OSError:
            return b""  # the server may have answered before it closed: what it said decides
        return payload[sent:] if sent != len(payload) else b""

    def _answered(self, server: UpstreamServer, status: int) -> float:
        """Note how long the server took to answer, and what with; return the time."""
        self.status = status
        cells, listener = server.cells, self.client.listener.cells
        now = monotonic()
        self.first_byte_us = latency_us = int((now - self.sent_at) * 1e6)
        bucket = bucket_of(latency_us)
        cells.cells[cells.first_byte + bucket] += 1
        cells.cells[listener.first_byte + bucket] += 1
        if self.pool.observe is not None:
            self.pool.observe(cells.index, latency_us, status >= 500, now)
        return now

    def _first_of(self, body: RequestBody) -> bytes:
        try:
            return body.take_buffered()
        except BadRequest as error:
            raise ended_by_client(error) from error

    def _phase(self, outcome: Outcome) -> Phase | None:
        return phase_of(
            outcome,
            has_answered=self.first_byte_us >= 0,
            was_sent=self.sent_at > 0,
            has_server=self.server is not None,
            has_waited=self.queue_us > 0,
        )

    def _record(self, outcome: Outcome) -> None:
        client, server, status = self.client, self.server, self.status
        listener = client.listener.cells
        bucket = bucket_of(int((monotonic() - self.started) * 1e6))
        bytes_in = client.bytes_in + self.body.bytes_relayed if self.body is not None else client.bytes_in
        bytes_out = self.bytes_out
        listener.exchange_ended(outcome, status, bytes_in, bytes_out, bucket)
        phase = None if outcome is Outcome.COMPLETED else self._phase(outcome)
        listener.count_incomplete(outcome, phase)
        if self.retries:
            listener.add(at.LISTENER_RETRIES, self.retries)
        if server is None:
            self.pool.cells.count_outcome(outcome)
        else:
            server.cells.exchange_ended(outcome, status, bytes_in, bytes_out, bucket)
        if client.listener.trail is not None:
            client.listener.trail.exchange_ended(self, outcome, phase, bytes_in, bytes_out)
