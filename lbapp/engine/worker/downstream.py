"""A client's connection: read request by request, closed.

Responsible for the life of a downstream connection, and its requests. Knows nothing of servers but through the exchange.

Invariants: requests of one connection are answered in their order, one at a time; a connection is counted as open from its
accept to its close and at no other time; whatever ends a connection, its socket leaves the reactor.
"""

from __future__ import annotations

import re
import socket
import types
from collections.abc import Generator
from select import EPOLLIN
from typing import TYPE_CHECKING, Any

from lbapp.engine.policy.ending import phase_before_server
from lbapp.engine.wire.forwarding import Address, client_address, client_key, forwarding_lines, plain_address
from lbapp.engine.wire.heads import BadRequest, RequestHead
from lbapp.engine.wire.http1 import parse_request_head
from lbapp.engine.wire.proxy_protocol import InetEnd, ProxyHeader
from lbapp.engine.wire.replies import build_reply
from lbapp.engine.wire.upgrades import protocols_allowed
from lbapp.engine.wire.uri import has_long_uri, too_long_uri
from lbapp.engine.worker.body import RequestBody
from lbapp.engine.worker.exchange import Exchange
from lbapp.engine.worker.pools import UpstreamPool
from lbapp.engine.worker.reactor import READ, READ_AGAIN, Aborted, DeadlinePassed, Endpoint, PeerGone
from lbapp.engine.worker.relay import SinkGone, SourceEnded, receive, send_all
from lbapp.engine.worker.steering import OwnAnswer, refusal
from lbapp.engine.worker.tunnels import tunnel_after_upgrade
from lbapp.engine.worker.upstream import Upstream
from lbapp.model.limits import LINGER_S, RECEIVE_BYTES, Limits
from lbapp.model.outcomes import Outcome

if TYPE_CHECKING:
    from lbapp.engine.worker.accept import ListenerRuntime
    from lbapp.engine.worker.run import Worker


class Downstream(Endpoint):
    """One connection of a client."""

    __slots__ = (
        "accepted_at",
        "address",
        "answer_drop",
        "answer_lines",
        "buffer",
        "bytes_in",
        "client_address",
        "counted_as",
        "exchange",
        "forwarded",
        "has_old_rules",
        "is_idle",
        "is_in_preamble",
        "is_to_close",
        "key",
        "limits",
        "listener",
        "logged_as",
        "number",
        "own_answer",
        "own_scheme",
        "peer",
        "proxied",
        "scheme",
        "started",
        "tcp_pool",
        "upgraded",
        "worker",
    )

    def __init__(self, worker: Worker, listener: ListenerRuntime, sock: socket.socket, peer: object) -> None:
        super().__init__(worker.reactor, sock)
        self.worker = worker
        self.listener = listener
        self.limits: Limits = worker.limits
        self.buffer = b""
        self.bytes_in = 0
        self.is_idle = True
        self.is_in_preamble = False
        self.accepted_at = worker.reactor.now
        self.started = 0.0  # the exchange under way, or the last
        self.counted_as = b""  # by the door, where it counts
        self.is_to_close = worker.is_sending_away
        self.upgraded: Upstream | None = None  # what it has become a tunnel to
        self.exchange: Exchange | None = None  # under way
        self.has_old_rules = False  # what is under way was noted by the rules of a generation before
        worker.accepted += 1
        self.number = worker.accepted
        self.answer_lines = b""  # whole lines that the answers to the client get
        self.answer_drop: re.Pattern[bytes] | None = None  # lines of servers' answers that the client does not get
        self.own_answer: OwnAnswer | None = None  # to the request at hand, in place of a pool
        self.peer: Any = peer
        self.proxied: ProxyHeader | None = None
        self.tcp_pool = listener.pool  # of a connection that is relayed as it is
        self.know_client(client_address(peer), listener.scheme)
        listener.cells.connection_opened()
        worker.connections.add(self)

    def know_client(self, address: Address | None, scheme: str) -> None:
        """Take over who is at the other end, and by which scheme: known by the connection, until a trusted proxy says more."""
        self.address = self.client_address = address
        self.own_scheme = self.scheme = scheme
        self.logged_as = ""  # by `trail`, once there is something to log
        self.key = client_key(address)
        self.forwarded = forwarding_lines(address, scheme, self.listener.forwarding)

    def forget_rules(self) -> None:
        """Forget what was noted for the last request: its listener may have other rules by now, trust nobody, or have none.

        What is under way ends by the rules that it began with.
        """
        self.has_old_rules = not self.is_idle
        if self.has_old_rules:
            return
        self.answer_lines, self.answer_drop = b"", None
        self.know_client(self.address, self.own_scheme)

    @property
    def is_tls(self) -> bool:
        """Say whether the client speaks TLS with us."""
        return self.tls is not None

    def close(self) -> None:
        """Close the connection and take it off the counts."""
        if self.fd >= 0:
            if self.counted_as:
                self.worker.clients.connected(self.counted_as, -1)
            self.listener.cells.connection_closed()
            self.worker.connection_closed(self)
        super().close()

    def take_over(self, header: ProxyHeader) -> None:
        """Take the client to be who a trusted proxy says it is, where it says so."""
        source = header.source
        if source is not None:
            self.proxied = header
            self.know_client(plain_address(source.address) if isinstance(source, InetEnd) else None, self.own_scheme)

    # -- HTTP --------------------------------------------------------------------------------------------------------

    @types.coroutine
    def serve_http(self) -> Generator[Any, Any, None]:  # noqa: C901  # hot: see docs/decisions/common-exchange.md
        """Answer requests until either side ends the connection.

        A generator, because a common exchange needs no more than its two waits; what is not common goes on in coroutines.
        """
        reactor, listener, limits = self.reactor, self.listener, self.limits
        exchange: Exchange | None
        try:
            while True:
                if not self.buffer and not self.ready & READ:
                    self.read_deadline = reactor.now + limits.client_idle_timeout_s
                    self.reader = reactor.current
                    yield
                head = self._head_at_once() or (yield from self._next_head())
                if head is None:
                    break
                self.is_idle = False
                if head.upgrade:
                    head.upgrade = protocols_allowed(head.upgrade, listener.transport.upgrades)
                pool = listener.only_pool or self._pool_for(head)
                if pool is None or head.content_length or head.is_chunked:
                    is_to_go_on = yield from self._answer(head, pool)
                else:
                    exchange = self.exchange = Exchange(self, head, pool, None)
                    upstream = exchange.begin()
                    is_over = False
                    if upstream is not None:
                        try:
                            if not upstream.ready & READ:
                                upstream.read_deadline = reactor.now + limits.response_timeout_s
                                upstream.reader = reactor.current
                                yield
                            upstream.ready &= ~EPOLLIN
                            is_over = exchange.finish(upstream)
                        except Exception as error:  # noqa: BLE001  # a connection task: raised again where `run` waits
                            exchange.interruption = error
                    is_to_go_on = exchange.is_persistent if is_over else (yield from exchange.run())
                if self.upgraded is not None:
                    return
                if not is_to_go_on:
                    yield from self.linger()
                    break
                self.is_idle = True
                head = exchange = self.exchange = None  # an idle connection keeps nothing of its last request
                if self.has_old_rules:
                    self.forget_rules()
        except (SourceEnded, SinkGone, PeerGone, Aborted, DeadlinePassed, OSError):
            pass  # the client is gone, or was told to go
        finally:
            if self.upgraded is None:
                self.close()

    def _head_at_once(self) -> RequestHead | None:
        """Return the next request head if all of it has come and nothing is wrong with it."""
        limits, data = self.limits, self.buffer
        if not data:
            self.ready &= ~EPOLLIN
            try:
                data = self.recv(RECEIVE_BYTES)
            except BlockingIOError:
                return None
            if len(data) == RECEIVE_BYTES:
                self.ready |= READ_AGAIN
        try:
            parsed = parse_request_head(data, limits.head_bytes_max, limits.fields_max)
        except BadRequest:
            parsed = None  # `_next_head` says so
        if parsed is None:
            self.buffer = data
            return None
        head, end = parsed
        if end > limits.uri_bytes_max and len(head.target) > limits.uri_bytes_max:
            self.buffer = data
            return None  # `_next_head` says so
        self.buffer = data[end:]
        self.bytes_in = end
        return head

    async def _next_head(self) -> RequestHead | None:
        """Read the next request head, of which `buffer` holds the beginning; None when there is none to answer any more."""
        limits, reactor, data = self.limits, self.reactor, self.buffer
        deadline = reactor.now + (limits.request_head_timeout_s if data else limits.client_idle_timeout_s)
        try:
            while True:
                if data and (head := self._head_of(data)) is not None:
                    return head
                more = await receive(self, deadline)
                if not more:
                    return None
                if not data:
                    deadline = reactor.now + limits.request_head_timeout_s
                self.buffer = data = data + more
        except BadRequest as refused:
            self.worker.captures.request_head(self, refused.reason)
            self._turned_down(None, Outcome.CLIENT_BAD_REQUEST, refused.status)
            await self._refuse(refused.status, refused.reason)
        except DeadlinePassed:
            if data:
                self._turned_down(None, Outcome.CLIENT_TIMEOUT, 408)
                await self._refuse(408, "the request head did not arrive in time")
        return None

    def _head_of(self, data: bytes) -> RequestHead | None:
        """Take a head off the beginning of `data`, if all of it is there. Raises BadRequest."""
        limits, may_connect = self.limits, self.listener.transport.connect
        try:
            parsed = parse_request_head(data, limits.head_bytes_max, limits.fields_max, may_connect=may_connect)
        except BadRequest as refused:
            if refused.status == 431 and has_long_uri(data, limits.uri_bytes_max):
                raise too_long_uri(limits.uri_bytes_max) from refused
            raise
        if parsed is None:
            return None
        head, end = parsed
        if len(head.target) > limits.uri_bytes_max:
            raise too_long_uri(limits.uri_bytes_max)
        self.buffer = data[end:]
        self.bytes_in = end
        return head

    def _pool_for(self, head: RequestHead) -> UpstreamPool | None:
        """Return where a request goes; None when it is answered here, with `own_answer`."""
        listener = self.listener
        found: UpstreamPool | OwnAnswer
        if listener.steering is not None:
            found = listener.steering.steer(self, head)
        else:
            found = listener.pool or refusal(Outcome.NO_ROUTE, 404, "the listener has no pool")
        if listener.rate is not None:
            found = listener.rate.refusal(self) or found
        if isinstance(found, OwnAnswer):
            self.own_answer = found
            return None
        return found

    async def _answer(self, head: RequestHead, pool: UpstreamPool | None) -> bool:
        """Answer a request that has a body, or that goes to no pool."""
        if pool is None:
            return await self._answer_ourselves(head)
        limit = self.limits.request_body_bytes_max
        if limit and head.content_length > limit:
            self._turned_down(head, Outcome.BODY_TOO_LARGE, 413)
            await self._refuse(413, f"the request body is larger than {limit} bytes", head)
            return False
        self.exchange = Exchange(self, head, pool, RequestBody(self, head))
        return await self.exchange.run()

    async def _answer_ourselves(self, head: RequestHead) -> bool:
        answer, self.own_answer = self.own_answer, None
        assert answer is not None
        has_body = head.content_length > 0 or head.is_chunked
        is_to_go_on = head.is_persistent and not (answer.is_error or has_body or self.is_to_close)
        payload = answer.build(not is_to_go_on or head.version == 10, head.method == b"HEAD")
        await send_all(self, payload, self.limits.body_idle_timeout_s)
        self.listener.cells.exchange_ended(answer.outcome, answer.status, self.bytes_in, len(payload), 0)
        self.listener.cells.count_incomplete(answer.outcome, phase_before_server(answer.outcome))
        if self.listener.trail is not None:
            self.listener.trail.answered(self, head, answer.outcome, answer.status, len(payload))
        return is_to_go_on and head.version == 11

    def _turned_down(self, head: RequestHead | None, outcome: Outcome, status: int) -> None:
        self.listener.cells.turned_down(outcome, status)
        if self.listener.trail is not None:
            self.listener.trail.answered(self, head, outcome, status, 0)

    async def _refuse(self, status: int, reason: str, head: RequestHead | None = None) -> None:
        head_only = head is not None and head.method == b"HEAD"
        await send_all(
            self,
            build_reply(status, reason, close=True, head_only=head_only),
            self.limits.body_idle_timeout_s,
        )
        if head is None:
            await self.linger()

    async def linger(self) -> None:
        """Read on for a while after the last answer: closing on unread bytes would reset it away from the client."""
        try:
            self.end_writing()
            deadline = self.reactor.now + LINGER_S
            while self.reactor.now < deadline:
                try:
                    if not self.socket.recv(RECEIVE_BYTES):  # nobody looks at it: there is nothing to decrypt
                        return
                except BlockingIOError:
                    await self.readable(deadline)
                else:
                    await self.next_turn()  # who sends without end must not keep the others waiting
        except (OSError, DeadlinePassed, Aborted):
            return

    def finish(self) -> None:
        """End the connection as soon as its exchange allows: at once where it is idle and no request has come just now."""
        self.is_to_close = True
        if self.is_idle and self.is_silent():
            self.interrupt(Aborted())

    def is_silent(self) -> bool:
        """Say whether a client that carries nothing has not begun to ask in this very moment."""
        if self.buffer or self.is_in_preamble:
            return True
        if self.ready & READ:
            return False
        try:
            self.socket.recv(1, socket.MSG_PEEK)
        except OSError:  # nothing has come, or it is broken
            return True
        return False

    def upgrade(self, upstream: Upstream, first_bytes: bytes) -> None:
        """Turn the connection into a tunnel after a 101; `first_bytes` go to the client before all else."""
        self.upgraded = upstream
        early, self.buffer = self.buffer, b""
        self.reactor.start(tunnel_after_upgrade(self, upstream, first_bytes, early))
