"""The grammar and the careful way agree on whatever they are given, and neither is slow on hostile input."""

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbapp.engine.wire.grammar import REQUEST, RESPONSE, has_sound_lines
from lbapp.engine.wire.heads import BadRequest, BadResponse, BodyKind, RequestHead, ResponseHead
from lbapp.engine.wire.http1 import (
    parse_request_head,
    parse_response_head,
    plain_response_status,
    response_body_kind,
)
from tests.effort import times

# Of each pair, the first is drawn from for every head, the second only for odd ones.
Choice = tuple[tuple[bytes, ...], tuple[bytes, ...]]

NAMES: Choice = (
    (
        b"Accept", b"User-Agent", b"Cookie", b"Content-Type", b"Connect", b"X-Request-Id", b"Upgrade-Insecure-Requests", b"T",
        b"Pragma", b"Hosts", b"Close", b"Keep-Alive", b"Proxy-Connection", b"TE", b"X-Forwarded-For", b"X-Forwarded-Port",
        b"HTTP2-Settings", b"Forwarded", b"Trailer", b"~",
    ),
    (b"X Y", b"", b"\xe4"),
)  # fmt: skip
VALUES: Choice = (
    (b"", b"a", b"text/html, */*;q=0.8", b"a=b; c=\xe4", b" \t", b"a ", b'"q"', b"a: b"),
    (b"\x01", b"a\rb", b"a\nb", b"\x7f", b"a\r\n b"),
)
SPECIALS: dict[bytes, Choice] = {
    b"Connection": ((b"keep-alive", b"close", b"Close"), (b"upgrade", b"close, Accept", b"host", b"", b"keep-alive ")),
    b"Content-Length": ((b"0", b"5", b"05"), (b"5 ", b"-1", b"9" * 18, b"9" * 19, b"", b"5,5")),
    b"Transfer-Encoding": ((b"chunked", b"Chunked"), (b"chunked ", b"gzip", b"chunked, chunked", b"")),
    b"Expect": ((b"100-continue", b"100-Continue"), (b"x",)),
    b"Upgrade": ((b"websocket", b"h2c"), (b'"',)),
    b"Host": ((), (b"h", b"h:65536")),
}
HOSTS: Choice = (
    (b"Host: example.com\r\n", b"HOST:h:1\r\n", b"host: h:65535\r\n"),
    (b"", b"Host: h:65536\r\n", b"Host: [::1]\r\n", b"Host: a b\r\n", b"Host:\r\n", b"Host: h \r\n", b"Host: h,i\r\n"),
)
METHODS: Choice = ((b"GET", b"POST", b"HEAD", b"OPTIONS"), (b"get", b"CONNECT", b"PRI", b"M-SEARCH"))
TARGETS: Choice = ((b"/", b"/a?b", b'/"<>^`{|}'), (b"*", b"http://h/x", b"/a#b", b"/\xe4", b"x"))
VERSIONS: Choice = ((b"HTTP/1.1",), (b"HTTP/1.0", b"HTTP/2.0", b"http/1.1"))
STATUSES: Choice = ((b"200 OK", b"204 No", b"304 ", b"101 S", b"100 C"), (b"500", b"600 X", b"200 \x1b", b"20 OK"))
COLONS: Choice = ((b": ", b": ", b":", b":\t "), (b" : ", b""))
PIECES = (b"", b"\r", b"\n", b"\r\n", b" ", b"\x00", b":", b"\t", b"\xff", b"a", b"#", b",")


def _one_of(draw: st.DrawFn, choice: Choice, is_odd: bool) -> bytes:
    plain, odd = choice
    from_odd = not plain or (is_odd and draw(st.integers(0, 3)) == 0)
    return draw(st.sampled_from(odd if from_odd else plain))


def _lines(draw: st.DrawFn, is_odd: bool, names: list[bytes]) -> bytes:
    """Return field lines. Unless it is odd, a head has each special field once at most, and no length beside a coding."""
    lines = []
    for _ in range(draw(st.integers(0, 6))):
        if draw(st.booleans()) and names:
            name = draw(st.sampled_from(names))
            value = _one_of(draw, SPECIALS[name], is_odd)
            if not is_odd:
                gone = (
                    (b"Content-Length", b"Transfer-Encoding")
                    if name in (b"Content-Length", b"Transfer-Encoding")
                    else (name,)
                )
                names = [other for other in names if other not in gone]
        else:
            name, value = _one_of(draw, NAMES, is_odd), _one_of(draw, VALUES, is_odd)
        name = draw(st.sampled_from((name, name, name.lower(), name.upper(), name.swapcase())))
        lines.append(name + _one_of(draw, COLONS, is_odd) + value + b"\r\n")
    return b"".join(lines)


def _mutated(draw: st.DrawFn, head: bytes) -> bytes:
    for _ in range(draw(st.sampled_from((0, 0, 0, 0, 1, 2)))):
        at = draw(st.integers(0, len(head)))
        head = head[:at] + draw(st.sampled_from(PIECES)) + head[at + draw(st.integers(0, 2)) :]
    return head


@st.composite
def request_heads(draw: st.DrawFn) -> bytes:
    is_odd = draw(st.integers(0, 2)) == 0
    method, target, version = (_one_of(draw, choice, is_odd) for choice in (METHODS, TARGETS, VERSIONS))
    host = _one_of(draw, HOSTS, is_odd)
    names = sorted(SPECIALS) if is_odd else sorted(set(SPECIALS) - {b"Host"})
    lines = _lines(draw, is_odd, names)
    fields = lines + host if draw(st.booleans()) else host + lines
    return _mutated(draw, b"%b %b %b\r\n%b\r\n" % (method, target, version, fields))


@st.composite
def response_heads(draw: st.DrawFn) -> bytes:
    is_odd = draw(st.integers(0, 2)) == 0
    version, status = (_one_of(draw, choice, is_odd) for choice in (VERSIONS, STATUSES))
    lines = _lines(draw, is_odd, sorted(set(SPECIALS) - {b"Host"}))
    return _mutated(draw, b"%b %b\r\n%b\r\n" % (version, status, lines))


def _meaning(head: RequestHead | ResponseHead) -> dict[str, object]:
    return {name: getattr(head, name) for name in type(head).__slots__}


def request_verdict(data: bytes, with_grammar: bool) -> object:
    try:
        parsed = parse_request_head(data, 400, 7, with_grammar=with_grammar)
    except BadRequest as refused:
        return refused.status, refused.reason
    return parsed and (_meaning(parsed[0]), parsed[1])


def response_verdict(data: bytes, with_grammar: bool) -> object:
    try:
        parsed = parse_response_head(data, 400, 7, with_grammar=with_grammar)
    except BadResponse as refused:
        return refused.reason
    return parsed and (_meaning(parsed[0]), parsed[1])


@settings(max_examples=times(250, 1000), deadline=None, derandomize=True)
@given(request_heads(), st.sampled_from((b"", b"body", b"\r\n", b"\x00")))
def test_requests_get_the_same_verdict_with_and_without_grammar(data: bytes, behind: bytes) -> None:
    assert request_verdict(data + behind, True) == request_verdict(data + behind, False)


@settings(max_examples=times(200, 700), deadline=None, derandomize=True)
@given(response_heads(), st.sampled_from((b"", b"body", b"\r\n")))
def test_responses_get_the_same_verdict_with_and_without_grammar(data: bytes, behind: bytes) -> None:
    assert response_verdict(data + behind, True) == response_verdict(data + behind, False)


@settings(max_examples=times(500, 2000), deadline=None, derandomize=True)
@given(response_heads(), st.integers(-1, 6))
def test_what_goes_on_as_it_came_is_a_whole_response_that_may(head: bytes, surplus: int) -> None:
    """Where the short way says yes, the careful way has found the same response, and would keep the connection."""
    parsed = None
    try:
        parsed = parse_response_head(head, 400, 7, with_grammar=False)
    except BadResponse:
        assert plain_response_status(head + b"hello", 400, 7) == 0
    body = b"x" * max(0, (parsed[0].content_length if parsed else 5) + surplus)
    status = plain_response_status(head + body, 400, 7)
    if status:
        assert parsed is not None
        found, end = parsed
        assert status == found.status
        assert found.is_persistent
        assert response_body_kind(b"GET", found) is BodyKind.LENGTH
        assert found.content_length == len(body) == len(head) + len(body) - end
        dropped = {b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade"}
        names = [line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:]]
        assert not dropped & set(names)
        assert head.count(b"Connection: keep-alive\r\n") == names.count(b"connection")


def test_common_responses_go_on_as_they_came() -> None:
    for fields in (b"", b"Connection: keep-alive\r\n", b"Content-Type: a/b\r\nCache-Control: x\r\n"):
        for order in (b"%bContent-Length: 2\r\n" % fields, b"Content-Length: 2\r\n%b" % fields):
            assert plain_response_status(b"HTTP/1.1 200 OK\r\n%b\r\nok" % order, 400, 7) == 200


@settings(max_examples=times(100, 300), deadline=None, derandomize=True)
@given(request_heads())
def test_every_prefix_of_a_good_request_asks_for_more(data: bytes) -> None:
    verdict = request_verdict(data, True)
    if not isinstance(verdict, tuple) or not isinstance(verdict[0], list):
        return
    for end in range(0, verdict[1], 3):
        assert request_verdict(data[:end], True) is None


@pytest.mark.parametrize(
    "unit",
    [
        b"X: y\r\n",
        b"Connection: a\r\n",
        b"C:\r\n",
        b"Cccccccccc",
        b": ",
        b"X-Forwarded-",
        b"\t",
        b"Host: h\r\n",
        b"\r\n",
        b"a\r",
    ],
)
def test_cost_is_linear_in_the_length_of_hostile_heads(unit: bytes) -> None:
    """Eight times the bytes may cost about eight times as much; an expression that tries again would cost 64 times."""

    def cost_s(count: int) -> float:
        data = b"GET / HTTP/1.1\r\nHost: h\r\n" + unit * count
        costs = []
        for _ in range(5):
            started = process_time()
            for _ in range(4):
                REQUEST.match(data)
                RESPONSE.match(data.replace(b"GET / HTTP/1.1", b"HTTP/1.1 200 O", 1))
            costs.append(process_time() - started)
        return min(costs)

    assert cost_s(16_000) < 30 * cost_s(2_000) + 0.005


def test_sound_lines_end_in_crlf() -> None:
    for sound in (b"", b"a", b"a\r", b"a\r\n", b"a\r\n\tb\xe4"):
        assert has_sound_lines(sound)
    for broken in (b"\n", b"a\rb", b"a\rb\nc\r\n", b"\r\r\n", b"a\x00", b"\x7f", b"\r\n\n"):
        assert not has_sound_lines(broken)
