"""HTTP/1 heads from bytes, and bytes from heads.

Responsible for the quick way through the strict grammar, which takes the common head in one pass, and for building the
heads that go on. Knows nothing of sockets; what the grammar does not recognise is decided by `wire.careful` (h11 and our
own rules).

Sources: RFC 9110, RFC 9112. Invariants: the grammar accepts a subset of what the careful way accepts, with the same
meaning; fields are never looped over, but for the few special ones; framing that goes on is rebuilt from what was
understood, never copied.
"""

from __future__ import annotations

import re
from typing import Final

from lbapp.engine.wire import careful
from lbapp.engine.wire.grammar import LENGTH_DIGITS_MAX, PLAIN_RESPONSE, REQUEST, RESPONSE, TEXT, is_plain_host
from lbapp.engine.wire.heads import BadRequest, BadResponse, BodyKind, RequestHead, ResponseHead

_match_request: Final = REQUEST.match
_match_response: Final = RESPONSE.match
_match_plain_response: Final = PLAIN_RESPONSE.match
_REQUEST_GROUPS: Final = REQUEST.groups
_RESPONSE_GROUPS: Final = RESPONSE.groups
_SHORT_BYTES: Final = 4096  # from here on a head that drips in is not matched again at every drop
_IS_CLOSE: Final = {b"keep-alive": False, b"close": True}
_STATUS_OF: Final = {b"%d" % status: status for status in range(100, 600)}
_STATUS_LINE_OF: Final = {status: b"HTTP/1.1 %b " % text for text, status in _STATUS_OF.items()}


def parse_request_head(
    data: bytes, head_bytes_max: int, fields_max: int, *, with_grammar: bool = True
) -> tuple[RequestHead, int] | None:
    """Read a request head from the start of `data`.

    Returns the head and the offset behind it, or None when more bytes are needed. Raises BadRequest as soon as it is
    known that no acceptable head can follow. `with_grammar` False takes the careful way for every head: same verdicts.
    """
    is_promising = with_grammar and (len(data) < _SHORT_BYTES or b"\r\n\r\n" in data)
    match = _match_request(data) if is_promising else None
    if match is not None:
        end = match.end()
        ends = (data if end == len(data) else data[:end]).translate(None, TEXT)
        lines = len(ends) >> 1
        if ends == b"\r\n" * lines and lines <= fields_max + 2 and end <= head_bytes_max:
            method, target, fields, host, special = match.group(1, 2, 3, 4, 5)
            head = RequestHead(method, target, host, fields)
            if (special is None and host is not None) or _may_take_special_fields(head, match):
                return head, end
    return careful.parse_request_head(data, head_bytes_max, fields_max)


def _may_take_special_fields(head: RequestHead, match: re.Match[bytes]) -> bool:
    """Take the special fields into a head made of what stands before them. False: the careful way has to look."""
    groups = match.groups()
    fields, host = head.fields, groups[3]
    at = 4
    while at < _REQUEST_GROUPS and (name := groups[at]) is not None:
        value = groups[at + 1]
        name = name.lower()
        if name == b"connection":
            if (is_close := _IS_CLOSE.get(value.lower())) is None:
                return False
            if is_close:
                head.is_persistent = False
        elif name == b"host":
            if host is not None or not is_plain_host(value):
                return False
            host = head.host = value
            fields += match.string[match.start(at + 1) : match.start(at + 3)]  # the line as it came
        elif not _is_framing(head, name, value):
            return False
        fields += groups[at + 2]
        at += 3
    head.fields = fields
    return host is not None


def _is_framing(head: RequestHead, name: bytes, value: bytes) -> bool:
    """Take in a special field that says how the body comes; say False where the careful way has to look."""
    if name == b"content-length":
        if head.has_length or head.is_chunked or not value.isdigit() or len(value) > LENGTH_DIGITS_MAX:
            return False
        head.has_length = True
        head.content_length = int(value)
    elif name == b"transfer-encoding":
        if head.has_length or head.is_chunked or value.lower() != b"chunked":
            return False
        head.is_chunked = True
    elif name == b"expect":
        if value.lower() != b"100-continue":
            return False
        head.expects_continue = True
    return True


def plain_response_status(data: bytes, head_bytes_max: int, fields_max: int) -> int:
    """Return the status if `data` is one whole response that can go on as it came, else 0: `parse_response_head` tells more.

    Such a response has a body of a stated length, all of it there and nothing behind it, no field that must not go on, and
    leaves its connection open.
    """
    match = _match_plain_response(data)
    if match is None:
        return 0
    end = match.end()
    status, length = match.group(1, 2)
    if len(data) - end != int(length) or status == b"204" or status == b"304" or end > head_bytes_max:
        return 0
    ends = data[:end].translate(None, TEXT)
    lines = len(ends) >> 1
    return _STATUS_OF[status] if ends == b"\r\n" * lines and lines <= fields_max + 2 else 0


def parse_response_head(
    data: bytes, head_bytes_max: int, fields_max: int, *, with_grammar: bool = True
) -> tuple[ResponseHead, int] | None:
    """Read a response head from the start of `data`; None when more bytes are needed. Raises BadResponse."""
    is_promising = with_grammar and (len(data) < _SHORT_BYTES or b"\r\n\r\n" in data)
    match = _match_response(data) if is_promising else None
    if match is not None:
        end = match.end()
        ends = data[:end].translate(None, TEXT)
        lines = len(ends) >> 1
        if ends == b"\r\n" * lines and lines <= fields_max + 2 and end <= head_bytes_max:
            groups = match.groups()
            head = ResponseHead(_STATUS_OF[groups[0]], groups[1], groups[2])
            if _may_take_response_fields(head, groups):
                return head, end
    return careful.parse_response_head(data, head_bytes_max, fields_max)


def _may_take_response_fields(head: ResponseHead, groups: tuple[bytes, ...]) -> bool:
    """Take the special fields into a head made of what stands before them. False: the careful way has to look."""
    fields = groups[2]
    at = 3
    while at < _RESPONSE_GROUPS and (name := groups[at]):
        value = groups[at + 1]
        name = name.lower()
        if name == b"content-length":
            if head.content_length >= 0 or head.is_chunked or not value.isdigit() or len(value) > LENGTH_DIGITS_MAX:
                return False
            head.content_length = int(value)
        elif name == b"connection":
            if (is_close := _IS_CLOSE.get(value.lower())) is None:
                return False
            if is_close:
                head.is_persistent = False
        elif name == b"transfer-encoding":
            if head.content_length >= 0 or head.is_chunked or value.lower() != b"chunked":
                return False
            if head.status < 200 or head.status == 204:
                return False
            head.is_chunked = True
        fields += groups[at + 2]
        at += 3
    head.fields = fields
    return True


def response_body_kind(request_method: bytes, head: ResponseHead) -> BodyKind:
    """Say how the body of a response ends (RFC 9112 section 6.3). A 101 has none: what follows is no HTTP."""
    status = head.status
    if request_method == b"HEAD" or status < 200 or status == 204 or status == 304:
        return BodyKind.NONE
    if head.is_chunked:
        return BodyKind.CHUNKED
    if head.content_length >= 0:
        return BodyKind.LENGTH if head.content_length else BodyKind.NONE
    return BodyKind.UNTIL_CLOSE


def is_offered(chosen: bytes, offer: bytes) -> bool:
    """Say whether a server that switches to `chosen` keeps to what the client offered (RFC 9110 section 7.8).

    Both are values of Upgrade; names are compared without case and, as many servers leave it away, without version.
    """
    offered = {_protocol_name(protocol) for protocol in offer.split(b",")}
    return bool(chosen) and all(_protocol_name(protocol) in offered for protocol in chosen.split(b","))


def _protocol_name(protocol: bytes) -> bytes:
    return protocol.partition(b"/")[0].strip(b" ").lower()


def build_request_head(head: RequestHead, forwarded: bytes, default_host: bytes = b"") -> bytes:
    """Return the head as it goes upstream, always HTTP/1.1.

    `forwarded` holds ready-made lines (X-Forwarded-For, X-Forwarded-Proto), each ended by CRLF. A request without a
    host (HTTP/1.0, or an empty Host) goes on with `default_host`; RFC 9112 section 3.2 asks for an empty one where the
    authority is unknown, but many servers take only a name.
    """
    host = head.host
    end = b"\r\n"
    if head.is_chunked:
        end = b"Transfer-Encoding: chunked\r\n\r\n"
    elif head.has_length:
        end = b"Content-Length: %d\r\n\r\n" % head.content_length
    if head.expects_continue:
        end = b"Expect: 100-continue\r\n" + end
    if head.upgrade:
        end = b"Connection: upgrade\r\nUpgrade: %b\r\n%b" % (head.upgrade, end)
    if not host:
        start = b" HTTP/1.1\r\nHost: %b\r\n" % default_host
        return b"".join((head.method, b" ", head.target, start, head.fields, forwarded, end))
    return b"".join(
        (
            head.method, b" ", head.target, b" HTTP/1.1\r\n", head.fields, forwarded, b"X-Forwarded-Host: ", host,
            b"\r\n", end,
        )
    )  # fmt: skip


def build_response_head(head: ResponseHead, kind: BodyKind, connection: bytes) -> bytes:
    """Return the head as it goes downstream, always HTTP/1.1.

    `kind` is how the body is sent on (a body until close is sent as CHUNKED to who understands it); `connection` is a
    ready-made line or empty. Content-Length stays where there is no body but the server named one (HEAD, 304), and
    never stands in 1xx and 204 (RFC 9110 section 8.6).
    """
    status = head.status
    if kind is BodyKind.CHUNKED:
        framing = b"Transfer-Encoding: chunked\r\n\r\n"
    elif head.content_length >= 0 and kind is not BodyKind.UNTIL_CLOSE and status >= 200 and status != 204:
        framing = b"Content-Length: %d\r\n\r\n" % head.content_length
    else:
        framing = b"\r\n"
    if head.upgrade:
        framing = b"Connection: upgrade\r\nUpgrade: %b\r\n%b" % (head.upgrade, framing)
    return b"".join((_STATUS_LINE_OF[status], head.reason, b"\r\n", head.fields, connection, framing))


__all__ = [
    "BadRequest",
    "BadResponse",
    "build_request_head",
    "build_response_head",
    "is_offered",
    "parse_request_head",
    "parse_response_head",
    "plain_response_status",
    "response_body_kind",
]
