"""One exchange: from a request head to the last byte of its response.

Responsible for the attempts at servers, for passing on the request and the response, and for answering in the server's
place when there is none. What is decided comes from `policy`; bytes are moved by `relay`; counts go to `record`.

Invariants: every exchange is recorded with exactly one outcome; what is in flight at a server is taken off again on every
way out; a request is sent a second time only if it is safe to repeat and the server said nothing; an upstream connection is
kept only when both request and response were complete on it.
"""

from __future__ import annotations

from random import random
from time import monotonic

from lbapp.engine.policy.retry import CONNECT_FAILURES, backoff_s, is_safe_to_repeat, may_repeat_on_new_connection
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.wire.chunked import ChunkError
from lbapp.engine.wire.heads import BadResponse, BodyKind, ResponseHead
from lbapp.engine.wire.http1 import (
    build_response_head,
    parse_response_head,
    response_body_kind,
)
from lbapp.engine.wire.replies import build_reply
from lbapp.engine.wire.upgrades import is_one_of
from lbapp.engine.worker.common import CommonExchange
from lbapp.engine.worker.download import relay_chunked, relay_until_close
from lbapp.engine.worker.ended import ExchangeEnded, ended_by, ended_by_client
from lbapp.engine.worker.limited import ServerWish
from lbapp.engine.worker.pause import pause
from lbapp.engine.worker.reactor import GONE, NEVER, READ_AGAIN, Aborted, DeadlinePassed, PeerGone
from lbapp.engine.worker.relay import IdleTimeouts, SinkGone, SourceEnded, receive, relay_exactly, send_all
from lbapp.engine.worker.upstream import AttemptFailed, Upstream, UpstreamServer
from lbapp.model.limits import INTERIM_RESPONSES_MAX, RECEIVE_BYTES
from lbapp.model.outcomes import FailureKind, Outcome


class Exchange(CommonExchange):
    """An exchange, whatever it needs."""

    __slots__ = ()

    async def run(self) -> bool:
        """Carry the exchange out from where it is, and record it. Returns whether the client's connection may go on."""
        outcome = Outcome.ABORTED
        try:
            await self._attempts()
            outcome = Outcome.COMPLETED
        except ExchangeEnded as ended:
            outcome = ended.outcome
            self.is_persistent = await self._answer(ended)
        except PeerGone:
            outcome = Outcome.CLIENT_GONE
            self.is_persistent = False
        except SinkGone:
            outcome = Outcome.CLIENT_GONE
            self.is_persistent = False
        except Aborted:
            cut = self._cut_by()
            outcome = cut.outcome
            self.is_persistent = await self._answer(cut)
        finally:
            self._record(outcome)
        return self.is_persistent and self.client.upgraded is None

    def _cut_by(self) -> ExchangeEnded:
        timeout_s, now = self.client.limits.exchange_timeout_s, self.client.reactor.now
        if timeout_s and now - self.started >= timeout_s:
            return ExchangeEnded(Outcome.EXCHANGE_TIMEOUT, "the exchange took longer than one may")
        return ExchangeEnded(Outcome.ABORTED, "the exchange was ended by the operator")

    # -- attempts ----------------------------------------------------------------------------------------------------

    async def _attempts(self) -> None:
        server = self.server  # chosen by `begin`, or not yet
        failure: AttemptFailed | None = None
        while True:
            server = server or self._choose(self.tried) or await self._next_server(failure)
            if failure is not None:
                self.retries += 1
                server.cells.add(at.SERVER_RETRIES, 1)
            was_reused = self.upstream is not None
            try:
                if self.upstream is None:
                    dialled = monotonic()
                    self.upstream = await server.dial(self.client)
                    self.connect_us = int((monotonic() - dialled) * 1e6)
                await self._attempt(server, self.upstream)
                return
            except AttemptFailed as failed:
                failure = failed
            finally:
                if self.client.upgraded is None:  # a tunnel stays in flight
                    server.cells.add_in_flight(-1)
            if not await self._is_to_go_on(server, failure, was_reused):
                server = None

    async def _next_server(self, failure: AttemptFailed | None) -> UpstreamServer:
        """Find a server where none could be had at once: wait for room, or ask the pool that takes over. Raises ExchangeEnded."""
        while True:
            pool = self.pool
            if pool.queue is not None and (pool.has_eligible_beside(self.tried) or pool.wanted is not None):
                began = monotonic()
                try:
                    server = await pool.queue.wait(self.client, ServerWish(pool, self.tried, self._choose))
                finally:
                    self.queue_us += int((monotonic() - began) * 1e6)
            elif failure is not None:
                raise ended_by(failure.kind, pool.name)
            elif pool.failover is None:
                raise ExchangeEnded(Outcome.NO_SERVER, pool.shortage)
            else:
                self.pool, self.visit = pool.failover, None
                server = self._choose(self.tried)
            if server is not None:
                return server

    async def _is_to_go_on(self, server: UpstreamServer, failure: AttemptFailed, was_reused: bool) -> bool:
        """Say where the next attempt goes: to the same server (True) or another. Raises ExchangeEnded when there is none."""
        kind, body = failure.kind, self.body
        server.cells.count_failure(kind)
        self.upstream = self.interruption = None
        self.sent_at, self.received = 0.0, b""
        is_body_kept = body is None or body.is_repeatable
        if may_repeat_on_new_connection(kind, self.head.method, was_reused=was_reused, is_body_kept=is_body_kept):
            is_same = self.pool.take(server)
        else:
            is_same = False
            if self.pool.observe is not None:
                self.pool.observe(server.cells.index, 0, True, monotonic())
            self.tried += (server.cells.index,)
            if kind is not FailureKind.RESPONSE_STATUS and not self._may_try_another(kind, len(self.tried)):
                raise ended_by(kind, self.pool.name) from failure
            if (delay_s := backoff_s(len(self.tried), random())) > 0:
                await pause(self.client.reactor, delay_s)
        if body is not None:
            body.rewind()
        return is_same

    def _may_try_another(self, kind: FailureKind, servers_tried: int) -> bool:
        is_body_kept = self.body is None or self.body.is_repeatable
        if not is_safe_to_repeat(kind, self.head.method, is_body_kept=is_body_kept):
            return False
        return self.pool.may_try_another(servers_tried, self.started, was_sent=kind not in CONNECT_FAILURES)

    def _is_for_another(self, server: UpstreamServer, status: int) -> bool:
        """Say whether an answer of such a status is not to go on, as another server is there and may be asked."""
        if status not in self.pool.repeat_statuses:
            return False
        tried = (*self.tried, server.cells.index)
        if not self.pool.has_eligible_beside(tried):
            return False
        return self._may_try_another(FailureKind.RESPONSE_STATUS, len(tried))

    async def _attempt(self, server: UpstreamServer, upstream: Upstream) -> None:
        """Send the request and relay the response. Raises AttemptFailed while nothing was sent to the client."""
        is_reusable = False
        try:
            if not self.sent_at:
                self.unsent = self._send(server, upstream)
            if self.unsent:
                await self._send_slowly(upstream)
            upstream.cut = self._cut
            if self.unsent_answer:
                await self._to_client(self.unsent_answer)
                is_reusable = True
            else:
                is_reusable = await self._relay_answer(server, upstream)
        except BadResponse as error:
            raise AttemptFailed(FailureKind.RESPONSE_BROKEN) from error
        finally:
            self._leave(server, upstream, is_reusable)

    def _leave(self, server: UpstreamServer, upstream: Upstream, is_reusable: bool) -> None:
        """Let go of the connection of an attempt that is over: kept where both messages were complete on it."""
        body = self.body
        self.client.partner = None
        if body is not None:
            body.stop()
            if not body.is_done:
                is_reusable = self.is_persistent = False
        if self.client.upgraded is not None:
            return  # it belongs to the tunnel
        upstream.cut = None
        if is_reusable and not self.unsent:
            server.give_back(upstream)
        else:
            upstream.close()

    async def _relay_answer(self, server: UpstreamServer, upstream: Upstream) -> bool:
        """Relay the rest of the request's body and the response; return whether the connection may be used again."""
        body = self.body
        if body is not None and not body.is_done:
            self.client.reactor.start(body.pump(upstream))
        if not self.received:
            self.received = await (self._first(upstream) if body is None else self._more(upstream, False))
        response, rest = await self._response_head(upstream, self.received)
        if self._is_for_another(server, response.status):
            raise AttemptFailed(FailureKind.RESPONSE_STATUS)
        self._answered(server, response.status)
        if response.status == 101 or (self.head.method == b"CONNECT" and response.status < 300):
            self._upgrade(response, rest, upstream)
            return False
        kind = response_body_kind(self.head.method, response)
        is_exact = await self._body(upstream, kind, response, self._framed(response, kind), rest)
        if self.head.method == b"CONNECT":
            return False  # a server that thinks otherwise about what is a tunnel must not get another client's request
        return is_exact and response.is_persistent and kind is not BodyKind.UNTIL_CLOSE

    async def _send_slowly(self, upstream: Upstream) -> None:
        try:
            await send_all(upstream, self.unsent, self.client.limits.server_idle_timeout_s)
        except (SinkGone, DeadlinePassed):
            return  # the answer decides, but the connection is of no further use
        self.unsent = b""

    def _cut(self) -> None:
        """End the attempt under way, whatever it waits for: its connection is closed by force."""
        upstream, client = self.upstream, self.client
        if upstream is not None and upstream.reader is not None:
            upstream.interrupt(Aborted())
        elif upstream is not None and upstream.writer is not None and client.writer is None:
            upstream.interrupt_writer(Aborted())
        else:
            client.interrupt_writer(Aborted())

    async def _first(self, upstream: Upstream) -> bytes:
        """Return the first bytes of the answer to a request without a body."""
        deadline = upstream.reactor.now + self.client.limits.response_timeout_s
        try:
            if self.interruption is not None:
                raise self.interruption
            if self.client.ready & GONE:
                raise PeerGone  # it left when nobody waited here
            while True:
                await upstream.readable(deadline)
                try:
                    if data := upstream.recv(RECEIVE_BYTES):
                        if len(data) == RECEIVE_BYTES:
                            upstream.ready |= READ_AGAIN
                        return data
                    raise AttemptFailed(FailureKind.UPSTREAM_CLOSED)
                except BlockingIOError:
                    continue
        except OSError as error:
            raise AttemptFailed(FailureKind.UPSTREAM_CLOSED) from error
        except DeadlinePassed as error:
            raise AttemptFailed(FailureKind.RESPONSE_TIMEOUT) from error

    # -- the response ------------------------------------------------------------------------------------------------

    def _framed(self, response: ResponseHead, kind: BodyKind) -> bytes:
        """Return the head as it goes to the client, and settle whether the client's connection may go on."""
        head = self.head
        if self.answer_drop is not None:
            response.fields = self.answer_drop.sub(b"", response.fields)
        response.fields += self.answer_lines
        if self.client.is_to_close or (self.body is not None and not self.body.is_done):
            self.is_persistent = False
        if kind is BodyKind.CHUNKED or kind is BodyKind.UNTIL_CLOSE:
            kind = BodyKind.CHUNKED
            if head.version == 10:
                kind = BodyKind.UNTIL_CLOSE
                self.is_persistent = False
        if not self.is_persistent:
            return build_response_head(response, kind, b"Connection: close\r\n")
        return build_response_head(response, kind, b"Connection: keep-alive\r\n" if head.version == 10 else b"")

    async def _response_head(self, upstream: Upstream, data: bytes) -> tuple[ResponseHead, bytes]:
        """Return the final head and what came behind it; interim ones go straight on. Raises AttemptFailed, BadResponse."""
        limits = self.client.limits
        interims = 0
        while True:
            try:
                parsed = parse_response_head(data, limits.head_bytes_max, limits.fields_max) if data else None
            except BadResponse as error:
                self.client.worker.captures.response_head(self.client, data, error.reason)
                raise
            if parsed is None:
                data += await self._more(upstream, bool(data) or interims > 0)
                continue
            response, end = parsed
            data = data[end:]
            if response.status >= 200 or (response.status == 101 and self._was_asked_for(response.upgrade)):
                return response, data
            interims += 1
            if response.status == 101 or interims > INTERIM_RESPONSES_MAX:
                raise BadResponse("an interim response that nobody asked for")
            if self.head.version == 11:
                await self._to_client(build_response_head(response, BodyKind.NONE, b""), is_final=False)

    def _was_asked_for(self, protocol: bytes) -> bool:
        """Say whether the server may switch to this protocol: only when it was offered, and all of the request is there."""
        return is_one_of(protocol, self.head.upgrade) and (self.body is None or self.body.is_done)

    async def _more(self, upstream: Upstream, has_begun: bool) -> bytes:
        body, timeout_s = self.body, self.client.limits.response_timeout_s
        deadline = upstream.reactor.now + timeout_s
        if body is not None and body.error is not None:
            raise ended_by_client(body.error)  # it failed before anyone waited here
        if self.client.ready & GONE:
            raise PeerGone
        if body is not None and body.is_under_way:
            body.response_timeout_s, deadline = timeout_s, NEVER  # set when the body is over
        try:
            data = await receive(upstream, deadline)
        except SourceEnded as error:
            raise AttemptFailed(FailureKind.RESPONSE_BROKEN if has_begun else FailureKind.UPSTREAM_CLOSED) from error
        except DeadlinePassed as error:
            raise AttemptFailed(FailureKind.RESPONSE_TIMEOUT) from error
        except PeerGone:
            if body is not None and body.error is not None:
                raise ended_by_client(body.error) from None
            raise
        if not data:
            raise AttemptFailed(FailureKind.RESPONSE_BROKEN if has_begun else FailureKind.UPSTREAM_CLOSED)
        return data

    async def _body(self, upstream: Upstream, kind: BodyKind, response: ResponseHead, out: bytes, rest: bytes) -> bool:
        """Send `out` and the body behind it. Returns whether the server sent exactly what it promised."""
        if kind is BodyKind.NONE:
            await self._to_client(out)
            return not rest
        try:
            if kind is BodyKind.LENGTH:
                left = response.content_length - len(rest)
                if left <= 0:
                    await self._to_client(out + rest if not left else out + rest[:left])
                    return not left
                await self._to_client(out + rest)
                self.bytes_out += left
                limits, pipes = self.client.limits, self.client.worker.pipes
                idle = IdleTimeouts(limits.server_idle_timeout_s, limits.body_idle_timeout_s)
                await relay_exactly(upstream, self.client, left, pipes, idle)
                return True
            if kind is BodyKind.CHUNKED:
                return await relay_chunked(self._to_client, upstream, out, rest, is_chunked_on=self.head.version == 11)
            await relay_until_close(self._to_client, upstream, out, rest, is_chunked_on=self.head.version == 11)
            return False
        except SourceEnded as error:
            raise self._cut_short(FailureKind.UPSTREAM_CLOSED) from error
        except ChunkError as error:
            self.client.worker.captures.body(self.client, "server", f"the body of the answer: {error}")
            raise self._cut_short(FailureKind.RESPONSE_BROKEN) from error
        except DeadlinePassed as error:
            raise self._cut_short(FailureKind.RESPONSE_TIMEOUT) from error

    def _cut_short(self, kind: FailureKind) -> ExchangeEnded:
        """The response has begun: all that is left is to end the client's connection, so that it sees a broken body."""
        assert self.server is not None
        self.server.cells.count_failure(kind)
        return ended_by(kind, self.pool.name)

    async def _to_client(self, data: bytes, *, is_final: bool = True) -> None:
        self.has_answered |= is_final
        self.bytes_out += len(data)
        try:
            await send_all(self.client, data, self.client.limits.body_idle_timeout_s)
        except DeadlinePassed as error:
            raise SinkGone from error

    def _upgrade(self, response: ResponseHead, rest: bytes, upstream: Upstream) -> None:
        self.is_persistent = False
        self.has_answered = True
        response.content_length = (
            -1
        )  # what follows is no body, whatever the answer to a CONNECT says (RFC 9110 section 9.3.6)
        self.client.upgrade(upstream, build_response_head(response, BodyKind.NONE, b"") + rest)

    # -- the end -----------------------------------------------------------------------------------------------------

    async def _answer(self, ended: ExchangeEnded) -> bool:
        """Answer in the server's place where that is still possible. Returns whether the connection may go on."""
        body = self.body
        is_persistent = self.is_persistent and (body is None or body.is_done) and not self.has_answered
        if self.has_answered or not ended.status:
            return False
        is_persistent = (
            is_persistent and not self.client.is_to_close and ended.outcome is not Outcome.CLIENT_BAD_REQUEST
        )
        self.status = ended.status
        reply = build_reply(ended.status, ended.reason, close=not is_persistent, head_only=self.head.method == b"HEAD")
        try:
            await self._to_client(reply)
        except (SinkGone, PeerGone, Aborted):
            return False
        return is_persistent
