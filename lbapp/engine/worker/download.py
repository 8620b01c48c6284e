"""Response bodies without a stated length: chunked ones, and those that end with their connection.

Responsible for reading such a body from a server and framing it anew for the client. Knows nothing of heads or of how the
client is written to. Invariant: the end is passed on only when it was seen: a body that breaks off raises, so that the client
never takes a part for the whole.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from lbapp.engine.wire.chunked import ChunkedDecoder, encode_chunk, encode_last_chunk
from lbapp.engine.worker.relay import SourceEnded, receive
from lbapp.engine.worker.upstream import Upstream

Send = Callable[[bytes], Awaitable[None]]


async def relay_chunked(send: Send, upstream: Upstream, out: bytes, rest: bytes, *, is_chunked_on: bool) -> bool:
    """Relay a chunked body behind `out`; `rest` is what has arrived of it. Without `is_chunked_on` the framing is taken off.

    Returns whether the server sent nothing behind its end. Raises ChunkError, SourceEnded, DeadlinePassed.
    """
    decoder = ChunkedDecoder()
    while True:
        for part in decoder.feed(rest):
            out += encode_chunk(part) if is_chunked_on else part
        if decoder.is_done:
            await send(out + encode_last_chunk(decoder.trailers) if is_chunked_on else out)
            return not decoder.rest
        if out:
            await send(out)
        out = b""
        rest = await _more(upstream)
        if not rest:
            raise SourceEnded


async def relay_until_close(send: Send, upstream: Upstream, out: bytes, rest: bytes, *, is_chunked_on: bool) -> None:
    """Relay a body that ends with its connection. Raises SourceEnded when the connection broke, DeadlinePassed."""
    while True:
        if rest:
            out += encode_chunk(rest) if is_chunked_on else rest
        if out:
            await send(out)
        out = b""
        rest = await _more(upstream)
        if not rest:
            if is_chunked_on:
                await send(encode_last_chunk(b""))
            return


async def _more(upstream: Upstream) -> bytes:
    return await receive(upstream, upstream.reactor.now + upstream.server.limits.server_idle_timeout_s)
