"""What the grammar leaves to the careful way: rarer forms of heads, and what becomes of them."""

from __future__ import annotations

import pytest

from lbapp.engine.wire.heads import BodyKind
from lbapp.engine.wire.http1 import build_request_head, build_response_head, parse_request_head, parse_response_head
from tests.engine.wire.reading import both_ways, request_of, response_of

FORWARDED = b"X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: http\r\n"


@both_ways
@pytest.mark.parametrize(
    ("target", "sent_on", "host"),
    [
        (b"http://example.com:81/a?b", b"/a?b", b"example.com:81"),
        (b"HTTP://example.com", b"/", b"example.com"),
        (b"https://[::1]:8443?q", b"/?q", b"[::1]:8443"),
        (b"/http://other/", b"/http://other/", b"named"),
    ],
)
def test_absolute_form_becomes_origin_form_with_its_own_host(
    target: bytes, sent_on: bytes, host: bytes, with_grammar: bool
) -> None:
    head = request_of(b"GET %b HTTP/1.1\r\nA: 1\r\nHost: named\r\n\r\n" % target, with_grammar=with_grammar)
    assert (head.target, head.host) == (sent_on, host)
    assert head.fields.count(b"Host: " + host + b"\r\n") == 1
    assert head.fields.lower().count(b"host:") == 1


def test_options_of_the_server_itself_keep_the_asterisk() -> None:
    assert request_of(b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n").target == b"*"
    assert request_of(b"OPTIONS http://h HTTP/1.1\r\nHost: h\r\n\r\n").target == b"*"


def test_old_client_gets_a_host_line_upstream() -> None:
    head = request_of(b"GET / HTTP/1.0\r\nA: 1\r\nExpect: what\r\n\r\n")
    assert (head.host, head.version, head.is_persistent, head.expects_continue) == (b"", 10, False, False)
    assert build_request_head(head, FORWARDED) == b"GET / HTTP/1.1\r\nHost: \r\nA: 1\r\n" + FORWARDED + b"\r\n"
    assert build_request_head(head, b"", b"10.0.0.9:80").startswith(
        b"GET / HTTP/1.1\r\nHost: 10.0.0.9:80\r\nA: 1\r\n\r\n"
    )


def test_empty_host_goes_on_once() -> None:
    head = request_of(b"GET / HTTP/1.1\r\nHost:\r\n\r\n")
    assert build_request_head(head, b"") == b"GET / HTTP/1.1\r\nHost: \r\n\r\n"


def test_fields_that_connection_names_end_here() -> None:
    start = b"GET / HTTP/1.1\r\nHost: h\r\n"
    head = request_of(start + b"X-Hop: 1\r\nclose: 2\r\nConnection: x-hop, close,\r\n\r\n")
    assert head.fields == b"Host: h\r\nclose: 2\r\n"
    response = response_of(b"HTTP/1.1 200 OK\r\nX-Hop: 1\r\nA: 2\r\nConnection: X-Hop\r\n\r\n")
    assert response.fields == b"A: 2\r\n"


def test_upgrade_is_passed_on_when_connection_names_it() -> None:
    start = b"GET / HTTP/1.1\r\nHost: h\r\n"
    head = request_of(start + b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert head.upgrade == b"websocket"
    assert build_request_head(head, b"").endswith(b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    response = response_of(b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert (response.status, response.upgrade) == (101, b"websocket")
    assert build_response_head(response, BodyKind.NONE, b"") == (
        b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    )


def test_upgrade_of_an_old_client_is_ignored() -> None:
    assert request_of(b"GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n").upgrade == b""


def test_empty_lines_before_a_request_are_skipped() -> None:
    assert request_of(b"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n").host == b"h"
    for start in (b"", b"\r", b"\r\n", b"\r\n\r", b"\r\n\r\n", b"\r\n\r\n\r"):
        assert parse_request_head(start, 16384, 100) is None


def test_reason_may_be_missing() -> None:
    assert response_of(b"HTTP/1.1 200\r\n\r\n").reason == b""
    assert response_of(b"HTTP/1.1 200 \r\n\r\n").reason == b""


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n", b"HTTP/1.0 304 \r\n\r\n", b"HTTP/1.1 500\r\n\r\n"]
)
def test_every_prefix_of_a_response_asks_for_more(head: bytes) -> None:
    for end in range(len(head)):
        assert parse_response_head(head[:end], 16384, 100) is None, head[:end]
