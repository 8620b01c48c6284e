"""Where heads are wrong, as the parser that refuses them says, and what is shown of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.engine.wire.excerpt import Place, excerpt, find_place, masked
from lbapp.engine.wire.heads import BadRequest
from lbapp.engine.wire.http1 import parse_request_head

LINE = b"GET / HTTP/1.1\r\n"
HEAD = LINE + b"Host: h\r\nX-A: b\r\n\r\n"


def is_refused(data: bytes) -> bool:
    try:
        parse_request_head(data, 16384, 100)
    except BadRequest:
        return True
    return False


def place_of(data: bytes) -> Place | None:
    return find_place(data, LINE, is_refused)


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        (HEAD.replace(b"b\r", b"\0\r"), b"\0"),
        (HEAD[:-2].replace(b"b\r", b"\0\r"), b"\0"),  # no whole head, and none that may become one
        (HEAD.replace(b"X-A: b", b"X-A: b\x7f"), b"\x7f"),
        (b"\x16\x03\x01\x02\x00\x01", b"\x16"),
    ],
)
def test_byte_that_no_head_may_have_is_found(data: bytes, wrong: bytes) -> None:
    place = place_of(data)
    assert place == (data.index(wrong), "byte")


@pytest.mark.parametrize(
    "wrong",
    [b"X A: b", b"X-A : b", b" folded", b"Content-Length: x", b": none", b"Transfer-Encoding: chunked, chunked"],
)
def test_line_that_is_refused_by_itself_is_found(wrong: bytes) -> None:
    data = HEAD.replace(b"X-A: b", wrong + b"\r\nX-C: d")
    assert place_of(data) == (data.index(wrong), "line")


def test_request_line_is_found_by_its_last_byte_or_as_a_line() -> None:
    assert place_of(HEAD.replace(b"HTTP/1.1", b"HTTP/3.0")) == (len(LINE) - 1, "byte")  # refused before more has come
    assert place_of(HEAD.replace(b"GET /", b"GET h")) == (0, "line")


def test_what_is_no_single_place_is_none() -> None:
    assert place_of(LINE + b"X-A: b\r\n\r\n") is None  # Host is missing
    assert place_of(HEAD.replace(b"X-A: b", b"Content-Length: 1\r\nTransfer-Encoding: chunked")) is None
    assert place_of(HEAD.replace(b"X-A: b", b"Host: other")) is None
    assert place_of(HEAD) is None


@given(st.integers(0, len(HEAD) - 1), st.integers(0, 255))
def test_place_is_always_true_of_the_parser(at: int, byte: int) -> None:
    data = HEAD[:at] + bytes([byte]) + HEAD[at + 1 :]
    place = place_of(data)
    if place is not None and place.what == "byte":
        assert is_refused(data[: place.offset + 1])
        assert not is_refused(data[: place.offset])


@pytest.mark.parametrize(
    "line",
    [
        b"Authorization: Basic c2VjcmV0",
        b"proxy-authorization : Bearer c2VjcmV0",
        b"Cookie: a=c2VjcmV0; b=c2VjcmV0",
        b"\0Set-Cookie: id=c2VjcmV0",
        b"X-Api-Key: c2VjcmV0",
        b"Authorization Basic c2VjcmV0",
        b"X-Other: Bearer c2VjcmV0",
        b"Cookie: a;\r\n b=c2VjcmV0",
    ],
)
def test_credentials_are_stars_and_offsets_stay(line: bytes) -> None:
    data = LINE + line + b"\r\nX-A: shown\r\n\r\n"
    found = masked(data)
    assert b"c2VjcmV0" not in found
    assert len(found) == len(data)
    assert found.endswith(b"\r\nX-A: shown\r\n\r\n")
    assert found.startswith(LINE)


def test_password_in_a_target_is_stars() -> None:
    assert masked(b"GET http://me:c2VjcmV0@h/ HTTP/1.1\r\n") == b"GET http://***********@h/ HTTP/1.1\r\n"


def test_excerpt_is_around_the_place_and_has_nothing_of_a_body() -> None:
    data = LINE + b"Host: h\r\nX-Long: " + b"x" * 500 + b"\0" + b"y" * 500 + b"\r\n\r\nbody"
    start, shown = excerpt(data, place_of(data))
    assert "xx\\x00yy" in shown
    assert "body" not in shown
    assert start > 400
    assert excerpt(HEAD + b"body", None) == (0, HEAD.decode().replace("\r\n", "\\x0d\\x0a"))


@given(st.binary(max_size=300))
def test_excerpt_is_printable_ascii_whatever_was_sent(data: bytes) -> None:
    _, shown = excerpt(data, None)
    assert shown.isascii()
    assert shown.isprintable() or not shown
