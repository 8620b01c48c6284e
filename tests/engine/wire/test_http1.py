"""Heads in, heads out: what is understood, what goes on, and what is refused, on both ways."""

from __future__ import annotations

import pytest

from lbapp.engine.wire.heads import BadRequest, BadResponse, BodyKind
from lbapp.engine.wire.http1 import (
    build_request_head,
    build_response_head,
    parse_request_head,
    parse_response_head,
    response_body_kind,
)
from tests.engine.wire.reading import both_ways, request_of, response_of
from tests.engine.wire.vectors import BAD_REQUESTS, BAD_RESPONSES

FORWARDED = b"X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: http\r\n"


@both_ways
@pytest.mark.parametrize(("data", "status"), [vector[1:3] for vector in BAD_REQUESTS], ids=[v[0] for v in BAD_REQUESTS])
def test_malformed_request_is_refused_with_its_status(data: bytes, status: int, with_grammar: bool) -> None:
    with pytest.raises(BadRequest) as refused:
        parse_request_head(data, 16384, 100, with_grammar=with_grammar)
    assert refused.value.status == status
    assert refused.value.reason.isprintable()


@both_ways
@pytest.mark.parametrize("data", [vector[1] for vector in BAD_RESPONSES], ids=[v[0] for v in BAD_RESPONSES])
def test_malformed_response_is_refused(data: bytes, with_grammar: bool) -> None:
    with pytest.raises(BadResponse) as refused:
        parse_response_head(data, 16384, 100, with_grammar=with_grammar)
    assert refused.value.reason.isprintable()


@both_ways
def test_end_to_end_fields_travel_on_as_they_came(with_grammar: bool) -> None:
    head = request_of(
        b"GET /a?b=c HTTP/1.1\r\nhost:example.com:8080\r\n"
        b"X-A:1 \r\nConnection: Keep-Alive\r\nX-A: \t2\r\nTE: trailers\r\n"
        b"Keep-Alive: 5\r\nContent-Language: de\r\nForwarded: for=1.2.3.4\r\nX-Forwarded-Port: 1\r\nx-forwarded-for: 6.6.6.6\r\n"
        b"X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nCookie: \xe4\r\n\r\n",
        with_grammar=with_grammar,
    )
    assert (head.method, head.target, head.host, head.version) == (b"GET", b"/a?b=c", b"example.com:8080", 11)
    assert head.fields == (b"host:example.com:8080\r\nX-A:1 \r\nX-A: \t2\r\nContent-Language: de\r\nCookie: \xe4\r\n")
    assert head.forwarding == (
        b"forwarded: for=1.2.3.4\r\nx-forwarded-port: 1\r\nx-forwarded-for: 6.6.6.6\r\n"
        b"x-forwarded-proto: https\r\nx-forwarded-host: evil\r\n"
    )
    assert head.is_persistent
    assert not head.has_length
    assert not head.is_chunked


@both_ways
def test_host_behind_special_fields_stays_in_its_place(with_grammar: bool) -> None:
    head = request_of(
        b"GET / HTTP/1.1\r\nConnection: close\r\nA: 1\r\nHOST:  h\r\nB: 2\r\n\r\n", with_grammar=with_grammar
    )
    assert (head.host, head.fields) == (b"h", b"A: 1\r\nHOST:  h\r\nB: 2\r\n")
    assert not head.is_persistent


@both_ways
def test_request_framing_is_understood_and_rebuilt(with_grammar: bool) -> None:
    start = b"POST / HTTP/1.1\r\nHost: h\r\n"
    head = request_of(start + b"Content-Length: 007\r\nExpect: 100-Continue\r\n\r\n", with_grammar=with_grammar)
    assert (head.content_length, head.has_length, head.expects_continue) == (7, True, True)
    assert build_request_head(head, FORWARDED) == (
        start + FORWARDED + b"X-Forwarded-Host: h\r\nExpect: 100-continue\r\nContent-Length: 7\r\n\r\n"
    )
    head = request_of(start + b"Transfer-Encoding: Chunked\r\nX: y\r\n\r\n", with_grammar=with_grammar)
    assert head.is_chunked
    assert build_request_head(head, b"") == (
        start + b"X: y\r\nX-Forwarded-Host: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    head = request_of(start + b"Content-Length: 0\r\n\r\n", with_grammar=with_grammar)
    assert build_request_head(head, b"").endswith(b"Content-Length: 0\r\n\r\n")


@pytest.mark.parametrize(
    ("version", "connection", "is_persistent"),
    [
        (b"1.0", b"", False),
        (b"1.0", b"Connection: keep-alive\r\n", True),
        (b"1.0", b"Connection: keep-alive, close\r\n", False),
        (b"1.1", b"", True),
        (b"1.1", b"Connection: CLOSE\r\n", False),
        (b"1.1", b"Connection: keep-alive\r\nConnection: close\r\nConnection: keep-alive\r\n", False),
        (b"1.1", b"Proxy-Connection: close\r\n", True),
    ],
)
def test_persistence_follows_version_and_connection(version: bytes, connection: bytes, is_persistent: bool) -> None:
    for with_grammar in (True, False):
        request = b"GET / HTTP/%b\r\nHost: h\r\n%b\r\n" % (version, connection)
        assert request_of(request, with_grammar=with_grammar).is_persistent is is_persistent
        response = b"HTTP/%b 200 OK\r\n%b\r\n" % (version, connection)
        assert response_of(response, with_grammar=with_grammar).is_persistent is is_persistent


@pytest.mark.parametrize(
    "fields",
    [
        b"Upgrade: websocket\r\n",
        b"Connection: upgrade\r\n",
        b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: x\r\nUpgrade: h2c\r\n",
        b"Connection: keep-alive\r\nHTTP2-Settings: x\r\nUpgrade: h2c\r\n",
    ],
)
def test_upgrade_that_cannot_be_followed_is_not_offered_on(fields: bytes) -> None:
    for with_grammar in (True, False):
        head = request_of(b"GET / HTTP/1.1\r\nHost: h\r\n%b\r\n" % fields, with_grammar=with_grammar)
        assert build_request_head(head, b"") == b"GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-Host: h\r\n\r\n"


@both_ways
def test_limits_hold_for_whole_and_for_unfinished_heads(with_grammar: bool) -> None:
    start = b"GET / HTTP/1.1\r\nHost: h\r\n"

    def status_of(data: bytes) -> int:
        try:
            parsed = parse_request_head(data, 1000, 10, with_grammar=with_grammar)
        except BadRequest as refused:
            return refused.status
        return 200 if parsed is not None else 0

    fitting = start + b"X: " + b"a" * (1000 - len(start) - 7) + b"\r\n\r\n"
    assert len(fitting) == 1000
    assert status_of(fitting) == 200
    assert status_of(fitting.replace(b"X: ", b"X: a")) == 431
    assert status_of(fitting.replace(b"X: ", b"X: aaaaa")[:-4]) == 431
    assert status_of(start + b"X: y\r\n" * 9 + b"\r\n") == 200
    assert status_of(start + b"X: y\r\n" * 10 + b"\r\n") == 431
    assert status_of(start + b"X: y\r\n" * 9) == 0
    assert status_of(start + b"X: y\r\n" * 10) == 431
    assert status_of(b"GET /" + b"a" * 1000) == 414
    assert status_of(b"GET /" + b"a" * 1000 + b" HTTP/1.1\r\nHost: h\r\n\r\n") == 414


@both_ways
def test_large_head_is_read_like_a_small_one(with_grammar: bool) -> None:
    request = b"GET / HTTP/1.1\r\nHost: h\r\nCookie: %b\r\n\r\n" % (b"a" * 8000)
    assert request_of(request, with_grammar=with_grammar).fields.endswith(b"aa\r\n")
    response = b"HTTP/1.1 200 OK\r\nSet-Cookie: %b\r\n\r\n" % (b"a" * 8000)
    assert response_of(response, with_grammar=with_grammar).fields.endswith(b"aa\r\n")
    assert parse_request_head(request[:-1], 16384, 100, with_grammar=with_grammar) is None
    assert parse_response_head(response[:-1], 16384, 100, with_grammar=with_grammar) is None


@both_ways
def test_limits_hold_for_responses(with_grammar: bool) -> None:
    for data in (b"HTTP/1.1 200 OK\r\nX: %b\r\n\r\n" % (b"a" * 1000), b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 11):
        with pytest.raises(BadResponse):
            parse_response_head(data, 1000, 10, with_grammar=with_grammar)


@both_ways
def test_response_is_reduced_to_its_end_to_end_fields(with_grammar: bool) -> None:
    head = response_of(
        b"HTTP/1.1 404 Not There\r\nServer: s\r\nContent-Length: 12\r\nDate: d\r\nKeep-Alive: timeout=5\r\n"
        b"Connection: keep-alive\r\nUpgrade: h2\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n",
        with_grammar=with_grammar,
    )
    assert (head.status, head.reason, head.version, head.content_length) == (404, b"Not There", 11, 12)
    assert head.fields == b"Server: s\r\nDate: d\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n"
    assert build_response_head(head, BodyKind.LENGTH, b"Connection: close\r\n") == (
        b"HTTP/1.1 404 Not There\r\n" + head.fields + b"Connection: close\r\nContent-Length: 12\r\n\r\n"
    )


@both_ways
@pytest.mark.parametrize(
    ("method", "status", "framing", "kind"),
    [
        (b"GET", 200, b"Content-Length: 5\r\n", BodyKind.LENGTH),
        (b"GET", 200, b"Content-Length: 0\r\n", BodyKind.NONE),
        (b"GET", 200, b"Transfer-Encoding: chunked\r\n", BodyKind.CHUNKED),
        (b"GET", 200, b"", BodyKind.UNTIL_CLOSE),
        (b"HEAD", 200, b"Content-Length: 5\r\n", BodyKind.NONE),
        (b"HEAD", 200, b"Transfer-Encoding: chunked\r\n", BodyKind.NONE),
        (b"GET", 304, b"Content-Length: 5\r\n", BodyKind.NONE),
        (b"GET", 204, b"Content-Length: 5\r\n", BodyKind.NONE),
        (b"GET", 100, b"", BodyKind.NONE),
    ],
)
def test_body_ends_as_method_status_and_framing_say(
    method: bytes, status: int, framing: bytes, kind: BodyKind, with_grammar: bool
) -> None:
    head = response_of(b"HTTP/1.1 %d X\r\n%b\r\n" % (status, framing), with_grammar=with_grammar)
    assert response_body_kind(method, head) is kind


def test_length_stays_where_there_is_no_body_but_never_in_1xx_and_204() -> None:
    def built(status: int, kind: BodyKind) -> bytes:
        head = response_of(b"HTTP/1.1 %d X\r\nContent-Length: 5\r\n\r\n" % status)
        return build_response_head(head, kind, b"")

    assert built(304, BodyKind.NONE) == b"HTTP/1.1 304 X\r\nContent-Length: 5\r\n\r\n"
    assert built(200, BodyKind.NONE) == b"HTTP/1.1 200 X\r\nContent-Length: 5\r\n\r\n"
    assert built(204, BodyKind.NONE) == b"HTTP/1.1 204 X\r\n\r\n"
    assert built(103, BodyKind.NONE) == b"HTTP/1.1 103 X\r\n\r\n"
    assert built(200, BodyKind.UNTIL_CLOSE) == b"HTTP/1.1 200 X\r\n\r\n"
    assert built(200, BodyKind.CHUNKED) == b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("with_grammar", [True, False])
@pytest.mark.parametrize(
    "name", [b"X_Forwarded_For", b"x-forwarded_proto", b"X-Real-IP", b"X_Real_IP", b"Keep_Alive", b"Forwarded"]
)
def test_name_that_a_server_may_take_for_one_of_ours_goes_no_further(name: bytes, with_grammar: bool) -> None:
    data = b"GET / HTTP/1.1\r\nHost: h\r\n%b: 10.0.0.1\r\nX_Own: y\r\n\r\n" % name
    parsed = parse_request_head(data, 4096, 20, with_grammar=with_grammar)
    assert parsed is not None
    assert parsed[0].fields == b"Host: h\r\nX_Own: y\r\n"


@pytest.mark.parametrize("with_grammar", [True, False])
def test_length_with_an_underscore_is_no_length_and_goes_no_further(with_grammar: bool) -> None:
    data = b"POST / HTTP/1.1\r\nHost: h\r\nContent_Length: 5\r\n\r\n"
    parsed = parse_request_head(data, 4096, 20, with_grammar=with_grammar)
    assert parsed is not None
    assert (parsed[0].has_length, parsed[0].content_length, parsed[0].fields) == (False, 0, b"Host: h\r\n")


def test_nominated_field_with_an_underscore_is_dropped() -> None:
    parsed = parse_request_head(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: X_A\r\nX_A: 1\r\nX_B: 2\r\n\r\n", 16384, 100)
    assert parsed is not None
    assert parsed[0].fields == b"Host: h\r\nX_B: 2\r\n"
