"""One exchange: from a request head to the last byte of its response.

Responsible for the attempts at servers, for passing on the request and the response, and for answering in the server's
place when there is none. What is decided comes from `policy`; bytes are moved by `relay`; counts go to `record`.

Invariants: every exchange is recorded with exactly one outcome; what is in flight at a server is taken off again on every
way out; a request is sent a second time only if it is safe to repeat and the server said nothing; an upstream connection is
kept only when both request and response were complete on it.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from lbapp.engine.policy.retry import may_repeat_on_new_connection, may_try_another_server
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.wire.chunked import ChunkError
from lbapp.engine.wire.heads import BadRequest, BadResponse, BodyKind, RequestHead, ResponseHead
from lbapp.engine.wire.http1 import (
    build_request_head,
    build_response_head,
    parse_response_head,
    response_body_kind,
)
from lbapp.engine.wire.replies import build_reply
from lbapp.engine.worker.body import RequestBody
from lbapp.engine.worker.download import relay_chunked, relay_until_close
from lbapp.engine.worker.ended import ExchangeEnded, ended_by, ended_by_client
from lbapp.engine.worker.reactor import NEVER, READ_AGAIN, Aborted, DeadlinePassed, PeerGone
from lbapp.engine.worker.record import count_latency
from lbapp.engine.worker.relay import SinkGone, SourceEnded, receive, relay_exactly, send_all
from lbapp.engine.worker.upstream import AttemptFailed, Upstream, UpstreamPool, UpstreamServer
from lbapp.model.limits import INTERIM_RESPONSES_MAX, RECEIVE_BYTES
from lbapp.model.outcomes import FailureKind, Outcome

if TYPE_CHECKING:
    from lbapp.engine.worker.downstream import Downstream


class Exchange:
    """The state of one exchange, for as long as it lasts."""

    __slots__ = (
        "body",
        "bytes_out",
        "client",
        "has_answered",
        "head",
        "is_persistent",
        "pool",
        "retries",
        "server",
        "started",
        "status",
    )  # fmt: skip

    def __init__(self, client: Downstream, head: RequestHead, pool: UpstreamPool, body: RequestBody | None) -> None:
        self.client = client
        self.head = head
        self.pool = pool
        self.body = body
        self.server: UpstreamServer | None = None
        self.started = monotonic()
        self.bytes_out = 0
        self.status = 0
        self.retries = 0
        self.has_answered = False
        self.is_persistent = head.is_persistent

    async def run(self) -> bool:
        """Carry the exchange out and record it. Returns whether the client's connection may carry another one."""
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
            self.is_persistent = await self._answer(ExchangeEnded(outcome, "the exchange was ended by the operator"))
        finally:
            self._record(outcome)
        return self.is_persistent and self.client.upgraded is None

    # -- attempts ----------------------------------------------------------------------------------------------------

    async def _attempts(self) -> None:
        client, head = self.client, self.head
        tried: tuple[int, ...] = ()
        repeated: UpstreamServer | None = None
        failure: AttemptFailed | None = None
        while True:
            server = repeated or self.pool.choose(client.key, monotonic(), tried)
            if server is None:
                if failure is not None:
                    raise ended_by(failure.kind, self.pool.name)
                raise ExchangeEnded(Outcome.NO_SERVER, f"no eligible server in pool {self.pool.name}")
            self.server = server
            cells = server.cells.cells
            cells[server.cells.in_flight] += 1
            upstream = None
            is_safe = self.body is None and head.method != b"POST" and head.method != b"PATCH"
            if repeated is None:
                upstream = server.take_idle(is_to_be_checked=not is_safe)
            was_reused = upstream is not None
            try:
                if upstream is None:
                    upstream = await server.dial()
                await self._attempt(server, upstream)
                return
            except AttemptFailed as failed:
                server.cells.count_failure(failed.kind)
                failure = failed
                if may_repeat_on_new_connection(
                    failed.kind,
                    head.method,
                    was_reused=was_reused,
                    is_body_kept=self.body is None or not self.body.has_started,
                ):
                    repeated = server
                else:
                    repeated = None
                    if self.pool.observe is not None:
                        self.pool.observe(server.cells.index, 0, True, monotonic())
                    tried += (server.cells.index,)
                    if not may_try_another_server(failed.kind, len(tried)):
                        raise ended_by(failed.kind, self.pool.name) from failed
                self.retries += 1
                server.cells.add(at.SERVER_RETRIES, 1)
            finally:
                cells[server.cells.in_flight] -= 1

    async def _attempt(  # noqa: C901  # hot: see docs/performance.md
        self, server: UpstreamServer, upstream: Upstream
    ) -> None:
        """Send the request and relay the response. Raises AttemptFailed while nothing was sent to the client.

        Hot: for a request without a body whose answer comes in one piece, nothing here awaits but the answer itself.
        """
        client, body = self.client, self.body
        is_reusable = False
        client.partner = upstream
        try:
            payload = build_request_head(self.head, client.forwarded, server.address)
            if body is not None:
                payload += self._first_of(body)
            sent_at = monotonic()
            try:
                if (sent := upstream.send(payload)) != len(payload):
                    await self._send_slowly(upstream, payload[sent:])
            except BlockingIOError:
                await self._send_slowly(upstream, payload)
            except OSError:
                pass  # the server may have answered before it closed: what it said decides
            if body is not None and not body.is_done:
                client.reactor.start(body.pump(upstream))
            data = await (self._first(upstream) if body is None else self._more(upstream, False))
            parsed = parse_response_head(data, client.limits.head_bytes_max, client.limits.fields_max)
            if parsed is not None and parsed[0].status >= 200:
                response, rest = parsed[0], data[parsed[1] :]
            else:
                response, rest = await self._response_head(upstream, data)
            now = monotonic()
            latency_us = int((now - sent_at) * 1e6)
            count_latency(server.cells.cells, server.cells.first_byte, latency_us)
            if self.pool.observe is not None:
                self.pool.observe(server.cells.index, latency_us, response.status >= 500, now)
            self.status = response.status
            if response.status == 101:
                self._upgrade(response, rest, upstream)
            else:
                is_reusable = await self._response(upstream, response, rest)
        except BadResponse as error:
            raise AttemptFailed(FailureKind.RESPONSE_BROKEN) from error
        finally:
            client.partner = None
            if body is not None:
                body.stop()
                if not body.is_done:
                    is_reusable = self.is_persistent = False
            if is_reusable:
                server.give_back(upstream)
            elif client.upgraded is None:
                upstream.close()

    def _first_of(self, body: RequestBody) -> bytes:
        try:
            return body.take_buffered()
        except BadRequest as error:
            raise ended_by_client(error) from error

    async def _send_slowly(self, upstream: Upstream, payload: bytes) -> None:
        try:
            await send_all(upstream, payload, self.client.limits.body_idle_timeout_s)
        except (SinkGone, DeadlinePassed):
            pass  # as above: the answer decides

    async def _first(self, upstream: Upstream) -> bytes:
        """Return the first bytes of the answer to a request without a body."""
        deadline = upstream.reactor.now + self.client.limits.response_timeout_s
        try:
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

    async def _response(self, upstream: Upstream, response: ResponseHead, rest: bytes) -> bool:
        client, head = self.client, self.head
        kind = response_body_kind(head.method, response)
        if client.is_to_close or (self.body is not None and not self.body.is_done):
            self.is_persistent = False
        down_kind, connection = kind, b""
        if kind is BodyKind.CHUNKED or kind is BodyKind.UNTIL_CLOSE:
            down_kind = BodyKind.CHUNKED if head.version == 11 else BodyKind.UNTIL_CLOSE
            if head.version == 10:
                self.is_persistent = False
        if not self.is_persistent:
            connection = b"Connection: close\r\n"
        elif head.version == 10:
            connection = b"Connection: keep-alive\r\n"
        out = build_response_head(response, down_kind, connection)
        self.has_answered = True
        if (kind is BodyKind.LENGTH and len(rest) == response.content_length) or (kind is BodyKind.NONE and not rest):
            out += rest
            try:
                sent = client.send(out)
            except BlockingIOError:
                sent = 0
            except OSError as error:
                raise SinkGone from error
            self.bytes_out += sent
            if sent != len(out):
                await self._to_client(out[sent:])
            return response.is_persistent
        is_exact = await self._body(upstream, kind, response, out, rest)
        return is_exact and response.is_persistent and kind is not BodyKind.UNTIL_CLOSE

    async def _response_head(self, upstream: Upstream, data: bytes) -> tuple[ResponseHead, bytes]:
        """Return the final head and what came behind it; interim ones go straight on. Raises AttemptFailed, BadResponse."""
        limits = self.client.limits
        interims = 0
        while True:
            parsed = parse_response_head(data, limits.head_bytes_max, limits.fields_max) if data else None
            if parsed is None:
                data += await self._more(upstream, bool(data) or interims > 0)
                continue
            response, end = parsed
            data = data[end:]
            if response.status >= 200 or (response.status == 101 and self.head.upgrade and response.upgrade):
                return response, data
            interims += 1
            if response.status == 101 or interims > INTERIM_RESPONSES_MAX:
                raise BadResponse("an interim response that nobody asked for")
            if self.head.version == 11:
                await self._to_client(build_response_head(response, BodyKind.NONE, b""))

    async def _more(self, upstream: Upstream, has_begun: bool) -> bytes:
        body = self.body
        is_waiting_for_body = body is not None and not body.is_done
        if is_waiting_for_body and body is not None:
            body.response_timeout_s = self.client.limits.response_timeout_s
        deadline = NEVER if is_waiting_for_body else upstream.reactor.now + self.client.limits.response_timeout_s
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
                await relay_exactly(upstream, self.client, left, pipes, limits.body_idle_timeout_s)
                return True
            if kind is BodyKind.CHUNKED:
                return await relay_chunked(self._to_client, upstream, out, rest, is_chunked_on=self.head.version == 11)
            await relay_until_close(self._to_client, upstream, out, rest, is_chunked_on=self.head.version == 11)
            return False
        except SourceEnded as error:
            raise self._cut_short(FailureKind.UPSTREAM_CLOSED) from error
        except ChunkError as error:
            raise self._cut_short(FailureKind.RESPONSE_BROKEN) from error
        except DeadlinePassed as error:
            raise self._cut_short(FailureKind.RESPONSE_TIMEOUT) from error

    def _cut_short(self, kind: FailureKind) -> ExchangeEnded:
        """The response has begun: all that is left is to end the client's connection, so that it sees a broken body."""
        assert self.server is not None
        self.server.cells.count_failure(kind)
        return ended_by(kind, self.pool.name)

    async def _to_client(self, data: bytes) -> None:
        self.bytes_out += len(data)
        try:
            await send_all(self.client, data, self.client.limits.body_idle_timeout_s)
        except DeadlinePassed as error:
            raise SinkGone from error

    def _upgrade(self, response: ResponseHead, rest: bytes, upstream: Upstream) -> None:
        self.is_persistent = False
        self.has_answered = True
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

    def _record(self, outcome: Outcome) -> None:
        client = self.client
        listener = client.listener.cells
        cells = listener.cells
        base = listener.base
        total_us = int((monotonic() - self.started) * 1e6)
        bytes_in = client.bytes_in + (self.body.bytes_relayed if self.body is not None else 0)
        cells[base + at.LISTENER_REQUESTS] += 1
        cells[base + at.LISTENER_BYTES_IN] += bytes_in
        cells[base + at.LISTENER_BYTES_OUT] += self.bytes_out
        cells[base + at.LISTENER_OUTCOMES + outcome] += 1
        if self.status:
            cells[listener.responses + self.status // 100] += 1
        if self.retries:
            cells[base + at.LISTENER_RETRIES] += self.retries
        count_latency(cells, listener.total, total_us)
        if self.server is None:
            self.pool.cells.count_outcome(outcome)
            return
        server = self.server.cells
        base = server.base
        cells[base + at.SERVER_REQUESTS] += 1
        cells[base + at.SERVER_BYTES_IN] += bytes_in
        cells[base + at.SERVER_BYTES_OUT] += self.bytes_out
        cells[base + at.SERVER_OUTCOMES + outcome] += 1
        if self.status:
            cells[server.responses + self.status // 100] += 1
        count_latency(cells, server.total, total_us)
