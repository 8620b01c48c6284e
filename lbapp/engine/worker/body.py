"""A request body on its way to the server, while the response may already be coming back.

Responsible for reading the body off the client's connection, for checking its framing and size, and for framing it anew.
Knows nothing of responses. It runs as a coroutine of its own beside the exchange, because either side may come first.

Invariants: not a byte behind the body is taken from the client but what came in the same read, which stays in
`Downstream.buffer`; what is refused interrupts the exchange, which answers; after `stop` nothing more is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lbapp.engine.policy.retry import IDEMPOTENT_METHODS
from lbapp.engine.wire.chunked import ChunkedDecoder, ChunkError, encode_chunk, encode_last_chunk
from lbapp.engine.wire.heads import BadRequest, RequestHead
from lbapp.engine.worker.reactor import Aborted, DeadlinePassed, Endpoint, PeerGone
from lbapp.engine.worker.relay import IdleTimeouts, SinkGone, SourceEnded, receive, relay_exactly, send_all
from lbapp.model.limits import KIB

_FRAMING_BYTES: Final = 4 * KIB  # of chunks, beside the body itself

if TYPE_CHECKING:
    from lbapp.engine.worker.downstream import Downstream


class RequestBody:
    """The body of one request.

    `is_done` when the server has been given all of it; `error` is why it never will be, if that is the client's fault;
    `is_under_way` while a pump relays it.
    """

    __slots__ = (
        "_again", "_client", "_decoder", "_is_stopped", "_kept", "_left", "_upstream", "bytes_relayed", "error",
        "has_started", "is_done", "is_under_way", "response_timeout_s",
    )  # fmt: skip

    def __init__(self, client: Downstream, head: RequestHead) -> None:
        self._client = client
        self._decoder = ChunkedDecoder() if head.is_chunked else None
        self._left = head.content_length
        self._is_stopped = False
        self._again = b""  # to be sent before all else, as a repeat
        limit = client.limits.retry_body_bytes_max
        is_kept = head.method in IDEMPOTENT_METHODS and limit and head.content_length <= limit
        self._kept: bytearray | None = (
            bytearray() if is_kept else None
        )  # what was sent, as long as it may be sent again
        self._upstream: Endpoint | None = None
        self.bytes_relayed = 0
        self.has_started = False
        self.is_done = False
        self.is_under_way = False
        self.error: Exception | None = None
        self.response_timeout_s = 0.0

    def take_buffered(self) -> bytes:
        """Return, framed for the server, what has arrived together with the head, or is repeated. Raises BadRequest."""
        if self._again:
            again, self._again = self._again, b""
            return again
        data, self._client.buffer = self._client.buffer, b""
        if not data:
            return b""
        self.has_started = True
        return self._kept_of(self._framed(data))

    @property
    def is_repeatable(self) -> bool:
        """Whether the whole body can be sent again: none of it has gone yet, or all of it is at hand."""
        return not self.has_started or (self.is_done and self._kept is not None)

    def rewind(self) -> None:
        """Begin anew with what `is_repeatable`."""
        self._is_stopped = False
        self._upstream = None
        if self._kept is not None:
            self._again = bytes(self._kept)

    def _kept_of(self, framed: bytes) -> bytes:
        """Keep what is sent for a repeat, unless it gets too much."""
        if self._kept is not None:
            self._kept += framed
            if len(self._kept) > self._client.limits.retry_body_bytes_max + _FRAMING_BYTES:
                self._kept = None
        return framed

    def _framed(self, data: bytes) -> bytes:
        if self._decoder is None:
            part = data[: self._left]
            self._client.buffer = data[self._left :]
            self._left -= len(part)
            self.bytes_relayed += len(part)
            self.is_done = not self._left
            return part
        try:
            parts = self._decoder.feed(data)
        except ChunkError as error:
            reason = f"the request body: {error}"
            self._client.worker.captures.body(self._client, "client", reason)
            raise BadRequest(400, reason) from error
        self.bytes_relayed += sum(map(len, parts))
        limit = self._client.limits.request_body_bytes_max
        if limit and self.bytes_relayed > limit:
            raise BadRequest(413, f"the request body is larger than {limit} bytes")
        framed = b"".join(map(encode_chunk, parts))
        if self._decoder.is_done:
            self.is_done = True
            self._client.buffer = self._decoder.rest
            framed += encode_last_chunk(self._decoder.trailers)
        return framed

    async def pump(self, upstream: Endpoint) -> None:
        """Relay the rest of the body. Never raises: what goes wrong at the client interrupts the exchange."""
        self._upstream, self._is_stopped = upstream, False
        self.is_under_way = True
        try:
            await self._relay(upstream)
        except (SinkGone, Aborted):
            pass  # the server takes no more, or the exchange is over: its response decides
        except (BadRequest, SourceEnded, DeadlinePassed, PeerGone) as error:
            if not self._is_stopped:
                self.error = error
                upstream.interrupt(PeerGone())
            return
        finally:
            self.is_under_way = False
        if self.response_timeout_s and not self._is_stopped:
            upstream.read_deadline = upstream.reactor.now + self.response_timeout_s

    async def _relay(self, upstream: Endpoint) -> None:
        client = self._client
        idle = IdleTimeouts(client.limits.body_idle_timeout_s, client.limits.server_idle_timeout_s)
        if self._decoder is None and self._kept is None:
            self.has_started = True
            left = self._left
            await relay_exactly(client, upstream, left, client.worker.pipes, idle)
            self.bytes_relayed += left
            self._left = 0
            self.is_done = True
            return
        while not self.is_done:
            data = await receive(client, client.reactor.now + idle.source_s)
            if not data:
                raise SourceEnded
            self.has_started = True
            framed = self._kept_of(self._framed(data))
            is_last, self.is_done = self.is_done, False  # not before it is sent: then the connection may be used again
            if framed:
                try:
                    await send_all(upstream, framed, idle.sink_s)
                except DeadlinePassed as error:
                    raise SinkGone from error  # the server's fault, not the client's
            self.is_done = is_last

    def stop(self) -> None:
        """End a pump under way: the exchange is over."""
        self._is_stopped = True
        if not self.is_done and self._upstream is not None:
            self._client.interrupt(Aborted())
            self._upstream.interrupt_writer(Aborted())
