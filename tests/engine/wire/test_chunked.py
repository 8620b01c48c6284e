"""The chunked coding: any cut of the stream gives the same body, and nothing outside the strict grammar passes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbapp.engine.wire.chunked import (
    LAST_CHUNK,
    TRAILER_BYTES_MAX,
    ChunkedDecoder,
    ChunkError,
    encode_chunk,
    encode_last_chunk,
)
from lbapp.model.limits import CHUNK_LINE_BYTES_MAX


def decoded(*parts: bytes) -> ChunkedDecoder:
    decoder = ChunkedDecoder()
    for part in parts:
        decoder.feed(part)
    return decoder


EXTENSIONS = st.sampled_from((b"", b";a", b" ; a=b;c", b';a="q\\"\xe4 ;" ; b\t=\tc'))
TRAILERS = st.sampled_from((b"", b"X-Sum: 1\r\n", b"A:\r\nB: \tx\xe4 \r\n"))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.binary(min_size=1, max_size=40), EXTENSIONS), max_size=6), TRAILERS, st.binary(), st.data()
)
def test_any_cut_of_the_stream_gives_the_same_body(
    chunks: list[tuple[bytes, bytes]], trailers: bytes, behind: bytes, data: st.DataObject
) -> None:
    stream = b"".join(b"%X%b\r\n%b\r\n" % (len(chunk), extension, chunk) for chunk, extension in chunks)
    stream += encode_last_chunk(trailers) + behind
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    decoder = ChunkedDecoder()
    body = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        body += decoder.feed(stream[start:end])
    assert b"".join(body) == b"".join(chunk for chunk, _ in chunks)
    assert decoder.is_done
    assert (decoder.trailers, decoder.rest) == (trailers, behind)


def test_bytewise_stream_is_not_done_before_its_last_byte() -> None:
    stream = encode_chunk(b"hello") + encode_chunk(b"w" * 300) + encode_last_chunk(b"A: b\r\n")
    decoder = ChunkedDecoder()
    body = b""
    for at in range(len(stream)):
        assert not decoder.is_done
        body += b"".join(decoder.feed(stream[at : at + 1]))
    assert decoder.is_done
    assert body == b"hello" + b"w" * 300


def test_huge_chunk_is_handed_on_without_being_held_or_copied() -> None:
    decoder = decoded(b"%x\r\n" % (10 << 30))
    block = b"x" * 65536
    for _ in range(3):
        assert decoder.feed(block)[0] is block
    assert not decoder.is_done


def test_empty_body_is_done_at_once() -> None:
    decoder = decoded(LAST_CHUNK + b"GET")
    assert (decoder.is_done, decoder.rest, decoder.trailers) == (True, b"GET", b"")
    assert decoder.feed(b" /") == []
    assert decoder.rest == b"GET /"


@pytest.mark.parametrize(
    "stream",
    [
        b"+5\r\nhello\r\n",
        b"-5\r\n",
        b"0x5\r\nhello\r\n",
        b"5_0\r\n",
        b" 5\r\nhello\r\n",
        b"5 \r\nhello\r\n",
        b"5\t\r\nhello\r\n",
        b"\r\n",
        b";a\r\n",
        b"g\r\n",
        b"\xb2\r\n",
        b"1" * 17 + b"\r\n",
        b"0" * 17 + b"5\r\nhello\r\n",
        b"5\nhello\n",
        b"5\rhello\r\n",
        b"5;a\nhello\r\n",
        b"5;a\rb\r\nhello\r\n",
        b"5;a\x00\r\nhello\r\n",
        b"5;a\x1b\r\nhello\r\n",
        b"5;\r\nhello\r\n",
        b"5;a=\r\nhello\r\n",
        b"5;a b\r\nhello\r\n",
        b'5;a="b\r\nhello\r\n',
        b"5;" + b"a" * CHUNK_LINE_BYTES_MAX + b"\r\nhello\r\n",
        b"5;" + b"a" * CHUNK_LINE_BYTES_MAX,
        b"5\r\nhello-world\r\n",
        b"5\r\nhello\n0\r\n",
        b"5\r\nhello\rX",
        b"0\r\n\n",
        b"0\r\n\rX",
        b"0\r\nX: y\n\n",
        b"0\r\nX: a\rb\r\n\r\n",
        b"0\r\nX: a\x00\r\n\r\n",
        b"0\r\nX : y\r\n\r\n",
        b"0\r\n X: y\r\n\r\n",
        b"0\r\nA: b\r\n c\r\n\r\n",
        b"0\r\nX\r\n\r\n",
        b"0\r\nX: " + b"a" * TRAILER_BYTES_MAX + b"\r\n\r\n",
        b"0\r\nX: " + b"a" * TRAILER_BYTES_MAX,
        b"0\r\nContent-Length: 5\r\n\r\n",
        b"0\r\nA: b\r\ntransfer-encoding: chunked\r\n\r\n",
        b"0\r\nHOST: h\r\n\r\n",
        b"0\r\nTrailer: x\r\n\r\n",
        b"0\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n",
        b"0\r\nForwarded: for=1.2.3.4\r\n\r\n",
        b"0\r\nVia: 1.1 x\r\n\r\n",
        b"0\r\nX_Real-IP: 1.2.3.4\r\n\r\n",
    ],
)
def test_stream_outside_the_strict_grammar_is_refused_however_it_is_cut(stream: bytes) -> None:
    for size in (len(stream), 1, 7):
        with pytest.raises(ChunkError):
            decoded(*(stream[at : at + size] for at in range(0, len(stream), size)))


def test_nothing_is_taken_after_an_error() -> None:
    decoder = ChunkedDecoder()
    with pytest.raises(ChunkError):
        decoder.feed(b"x\r\n")
    with pytest.raises(ChunkError):
        decoder.feed(encode_chunk(b"hello"))


def test_trailer_names_that_only_look_alike_pass() -> None:
    assert decoded(b"0\r\nHost-Count: 1\r\nX-Te: 2\r\n\r\n").trailers == b"Host-Count: 1\r\nX-Te: 2\r\n"


def test_encoded_chunks_are_exact() -> None:
    assert encode_chunk(b"a" * 26) == b"1a\r\n" + b"a" * 26 + b"\r\n"
    assert encode_last_chunk(b"") == LAST_CHUNK
    assert encode_last_chunk(b"A: b\r\n") == b"0\r\nA: b\r\n\r\n"
