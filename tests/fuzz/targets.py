"""One function for each parser of `engine.wire`: it takes any bytes and raises AssertionError where a promise is broken.

Responsible for saying what must hold of each parser whatever it is fed. Knows nothing of who feeds it: hypothesis, atheris and
the mutation run do. Invariant: a parser raises nothing but the error it names, and the quick and the careful way agree.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Final

from lbapp.engine.wire.chunked import ChunkedDecoder, ChunkError, encode_chunk, encode_last_chunk
from lbapp.engine.wire.client_hello import BadClientHello, parse_client_hello
from lbapp.engine.wire.cookies import take_cookie
from lbapp.engine.wire.forwarding import believe
from lbapp.engine.wire.heads import BadRequest, BadResponse, RequestHead, ResponseHead
from lbapp.engine.wire.host import is_sound_host
from lbapp.engine.wire.http1 import (
    build_request_head,
    build_response_head,
    parse_request_head,
    parse_response_head,
    plain_response_status,
    response_body_kind,
)
from lbapp.engine.wire.proxy_protocol import BadProxyHeader, build_v2, parse_proxy_header
from lbapp.engine.wire.replies import build_reply
from lbapp.engine.wire.upgrades import is_one_of
from lbapp.model.actions import Forwarding
from lbapp.model.limits import PROXY_HEADER_BYTES_MAX
from tests.fuzz.strict import Incomplete, read_request, read_response

_LIMITS: Final = (16384, 100)
_PEER: Final = IPv4Address("10.0.0.1")
_TRUSTING: Final = Forwarding(trusted_proxies=(ip_network("10.0.0.0/8"), ip_network("fd00::/8")), forwarded=True)


def _values(head: RequestHead | ResponseHead) -> tuple[object, ...]:
    return tuple(getattr(head, name) for name in head.__slots__)


def request_head(data: bytes) -> None:
    """Both ways agree, and what is built of a head is sound to the strict reader."""
    results: list[object] = []
    for with_grammar in (True, False):
        try:
            parsed = parse_request_head(data, *_LIMITS, with_grammar=with_grammar)
            results.append(parsed and (_values(parsed[0]), parsed[1]))
        except BadRequest as error:
            assert 400 <= error.status < 600
            assert error.reason
            results.append((error.status, error.reason))
            parsed = None
    assert results[0] == results[1], results
    if parsed is not None:
        head, end = parsed
        assert 0 < end <= len(data)
        head.is_chunked, head.has_length = False, False
        head.expects_continue = False
        built = build_request_head(head, b"X-Forwarded-For: 127.0.0.1\r\n", b"default")
        assert read_request(built).raw == built


def response_head(data: bytes) -> None:
    """Both ways agree, what is plain is read as the same, and what is built is sound to the strict reader."""
    results: list[object] = []
    for with_grammar in (True, False):
        try:
            parsed = parse_response_head(data, *_LIMITS, with_grammar=with_grammar)
            results.append(parsed and (_values(parsed[0]), parsed[1]))
        except BadResponse as error:
            assert error.reason
            results.append(error.reason)
            parsed = None
    assert results[0] == results[1], results
    status = plain_response_status(data, *_LIMITS)
    if parsed is None:
        assert not status
        return
    head, end = parsed
    if status:
        assert (head.status, end + head.content_length) == (status, len(data))
    kind = response_body_kind(b"HEAD", head)
    built = build_response_head(head, kind, b"")
    assert read_response(built, b"HEAD").raw == built


def chunked(data: bytes) -> None:
    """However a body is cut into parts, it comes out the same; what is encoded again is sound."""
    size = 1 + (data[0] % 7 if data else 0)
    outcomes = []
    for parts in ([data], [data[at : at + size] for at in range(0, len(data), size)]):
        decoder, body = ChunkedDecoder(), b""
        try:
            for part in parts:
                body += b"".join(decoder.feed(part))
            outcomes.append((decoder.is_done, body, decoder.rest, decoder.trailers))
        except ChunkError:
            outcomes.append((False, b"", b"", b"broken"))
    assert outcomes[0] == outcomes[1] or not data, outcomes
    if outcomes[0][0]:
        _, body, _, trailers = outcomes[0]
        framed = (encode_chunk(body) if body else b"") + encode_last_chunk(trailers)
        head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        message = read_request(head + framed)
        assert message.body == body
        assert message.raw == head + framed


def host(data: bytes) -> None:
    """A sound host divides nothing."""
    if is_sound_host(data):
        assert data
        assert not set(data) & set(b' \t\r\n\0,;/?#@\\"<>')


def upgrade(data: bytes) -> None:
    """A protocol that was not offered is never taken."""
    offer, _, chosen = data.partition(b"|")
    if is_one_of(chosen, offer):
        assert chosen.strip(b" \t").lower() in offer.lower()


def reply(data: bytes) -> None:
    """An answer of lbapp's own is sound whatever its reason quotes."""
    built = build_reply(400, data.decode("latin-1"), close=True)
    assert read_response(built, b"GET").raw == built


def client_hello(data: bytes) -> None:
    """What is behind a hello changes nothing, and no beginning of one is read as another."""
    try:
        parsed = parse_client_hello(data)
    except BadClientHello as error:
        assert str(error)
        return
    if parsed is None:
        return
    assert parse_client_hello(data + b"more") == parsed
    assert parsed.server_name is None or parsed.server_name == parsed.server_name.lower()
    for end in range(0, len(data), 1 + len(data) // 8):
        try:
            assert parse_client_hello(data[:end]) in (None, parsed)
        except BadClientHello:
            raise AssertionError("the beginning of a hello is refused") from None


def proxy_header(data: bytes) -> None:
    """What was read is read again from what is built of it, and nothing behind a header is taken."""
    try:
        parsed = parse_proxy_header(data)
    except BadProxyHeader as error:
        assert error.reason
        return
    if parsed is None:
        assert len(data) < PROXY_HEADER_BYTES_MAX
        return
    header, end = parsed
    assert 0 < end <= min(len(data), PROXY_HEADER_BYTES_MAX)
    assert parse_proxy_header(data[:end]) == (header, end)
    built = build_v2(header)
    assert parse_proxy_header(built + b"rest") == (header, len(built))


def cookie(data: bytes) -> None:
    """A cookie that was taken is not there any more, the fields stay fields, and those without it stay as they are."""
    try:
        parsed = parse_request_head(b"GET / HTTP/1.1\r\nHost: h\r\nCookie: %b\r\n\r\n" % data, *_LIMITS)
    except BadRequest:
        return
    if parsed is None:
        return
    fields = parsed[0].fields
    values, rest = take_cookie(fields, b"a")
    assert (rest == fields) is (not values)
    assert take_cookie(rest, b"a") == ((), rest)
    assert not rest or rest.endswith(b"\r\n")
    for value in values:
        assert value in fields
    kept = b"".join(line + b"\r\n" for line in rest.split(b"\r\n") if line.startswith(b"Cookie:"))
    read_request(b"GET / HTTP/1.1\r\nHost: h\r\n" + kept + b"\r\n")


def forwarded(data: bytes) -> None:
    """Whatever a trusted proxy says, what servers are told of it is sound, and the client is an address."""
    fields = data.replace(b"|", b"\r\nX-Forwarded-Host: ").replace(b"~", b"\r\nX-Forwarded-Port: ")
    try:
        parsed = parse_request_head(b"GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: %b\r\n\r\n" % fields, *_LIMITS)
    except BadRequest:
        return
    if parsed is None:
        return
    received = believe(_PEER, "http", _TRUSTING, parsed[0].forwarding)
    assert isinstance(received.address, (IPv4Address, IPv6Address))
    assert not received.host or is_sound_host(received.host)
    read_request(b"GET / HTTP/1.1\r\nHost: h\r\n" + received.lines + b"\r\n")


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "request": request_head,
    "response": response_head,
    "chunked": chunked,
    "host": host,
    "upgrade": upgrade,
    "reply": reply,
    "client-hello": client_hello,
    "proxy-header": proxy_header,
    "cookie": cookie,
    "forwarded": forwarded,
}

__all__ = ["TARGETS", "Incomplete"]
