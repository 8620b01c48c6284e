"""What the parsers make of every vector, for whoever wants to compare it. Needs nothing but lbapp.engine.wire and h11."""

from __future__ import annotations

from lbapp.engine.wire.chunked import ChunkedDecoder, ChunkError
from lbapp.engine.wire.grammar import REQUEST, RESPONSE
from lbapp.engine.wire.heads import BadRequest, BadResponse
from lbapp.engine.wire.http1 import parse_request_head, parse_response_head, plain_response_status
from tests.bench.heads import request_heads
from tests.engine.wire.vectors import BAD_REQUESTS, BAD_RESPONSES

COMMON_RESPONSE = b"HTTP/1.1 200 OK\r\nServer: s\r\nContent-Length: 2\r\nConnection: keep-alive\r\nETag: x\r\n\r\nok"
CHUNKED = (
    b"5\r\nhello\r\n0\r\n\r\n", b'5;a=b;c="d\\"e" ; f\r\nhello\r\n0\r\nX: y\r\n\r\n', b"5;\r\nhello\r\n", b"5;a=\r\nhello\r\n",
    b'5;a="b\r\nhello\r\n', b"5 \r\nhello\r\n", b"0\r\nX : y\r\n\r\n", b"0\r\nX: y\r\nContent-Length: 1\r\n\r\n",
)  # fmt: skip


def verdicts() -> dict[str, list[str]]:
    """Return what this interpreter makes of every vector."""
    heads = request_heads(20)
    return {
        "recognised": [str(bool(REQUEST.match(head))) for head in heads] + [str(bool(RESPONSE.match(COMMON_RESPONSE)))],
        "plain": [str(plain_response_status(COMMON_RESPONSE, 16384, 100))],
        "requests": [_request(data) for data in (*heads, *(vector[1] for vector in BAD_REQUESTS))],
        "responses": [_response(data) for data in (COMMON_RESPONSE, *(vector[1] for vector in BAD_RESPONSES))],
        "chunked": [_chunked(data) for data in CHUNKED],
    }


def _request(data: bytes) -> str:
    try:
        return str(parse_request_head(data, 16384, 100) is not None)
    except BadRequest as refused:
        return f"{refused.status} {refused.reason}"


def _response(data: bytes) -> str:
    try:
        return str(parse_response_head(data, 16384, 100) is not None)
    except BadResponse as refused:
        return refused.reason


def _chunked(data: bytes) -> str:
    decoder = ChunkedDecoder()
    try:
        return f"{decoder.feed(data)!r} {decoder.trailers!r} {decoder.is_done}"
    except ChunkError as error:
        return str(error)
