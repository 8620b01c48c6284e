"""The careful way to read a head: h11 says what is legal, and one set of our own rules what it leaves open.

Responsible for every head that the grammar of `wire.http1` does not recognise, and for every refusal. Knows nothing of
sockets. Slow and complete where the grammar is quick and narrow.

Our rules: lines end in CRLF and nothing else, and are never folded; no control characters; one Host, of a sound form;
Content-Length once, and never beside Transfer-Encoding; only the coding `chunked`; origin-form, absolute-form or `*` as
target; limits count complete heads too; Connection may not nominate the fields that frame or route a message.

Invariant: whatever is refused here is refused for a reason of one sentence; whatever passes has one meaning, and its
fields go on as they came, line by line.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple, NoReturn

import h11

from lbapp.engine.wire.grammar import LENGTH_DIGITS_MAX, OURS, REQUEST_DROPPED, RESPONSE_DROPPED, TOKEN, has_sound_lines
from lbapp.engine.wire.heads import BadRequest, BadResponse, RequestHead, ResponseHead
from lbapp.engine.wire.host import is_sound_host

_EMPTY_LINES_MAX: Final = 2
_METHOD_BYTES_MAX: Final = 64
_OPTIONS: Final = frozenset((b"close",))  # says something itself and names no field
_NEVER_NOMINATED: Final = frozenset(
    (
        b"authorization", b"cache-control", b"content-encoding", b"content-length", b"content-range", b"content-type",
        b"cookie", b"date", b"host", b"set-cookie", b"trailer", b"transfer-encoding",
    )
)  # fmt: skip

_may_start_request: Final = re.compile(rb"%b{1,%d}+(?:\Z| )" % (TOKEN, _METHOD_BYTES_MAX)).match
_match_request_line: Final = re.compile(rb"(%b++) ([!-~]++) HTTP/([0-9])\.([0-9])" % TOKEN).fullmatch
_match_absolute: Final = re.compile(rb"https?://([^/?#]++)([/?][!\"$-~]*+)?", re.IGNORECASE).fullmatch
_match_authority: Final = re.compile(rb"([^:]++|\[[^\]]++\]):([1-9][0-9]{0,4}+)").fullmatch
_is_origin: Final = re.compile(rb"/[!\"$-~]*+").fullmatch
_may_start_response: Final = re.compile(rb"HTTP/1\.[01] [1-5][0-9][0-9][ \r]").match
_is_protocol_list: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z/, ]++").fullmatch
_STATUS_LINE_START: Final = b"HTTP/1.1 200 "


class _Field(NamedTuple):
    name: bytes  # lower case
    value: bytes  # without the white space around it
    line: bytes  # as it came, with its CRLF


class _Refusal(Exception):
    """What is wrong with either kind of head; `status` is what a request would be answered."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


def parse_request_head(
    data: bytes, head_bytes_max: int, fields_max: int, *, may_connect: bool = False
) -> tuple[RequestHead, int] | None:
    """See `http1.parse_request_head`."""
    start = 0
    while data.startswith(b"\r\n", start) and start < 2 * _EMPTY_LINES_MAX:  # RFC 9112 section 2.2
        start += 2
    try:
        block = _block(data, start, fields_max)
        if block not in (b"", b"\r") and not _may_start_request(block):
            raise _Refusal("the request line does not begin with a method")
        _check_size(block, head_bytes_max, "request")
        line, is_line_whole, _ = block.partition(b"\r\n")
        version = _version(line) if is_line_whole else 0
        if not block.endswith(b"\r\n\r\n"):
            return None
        fields = _fields(block)
        _framing(fields)  # says more than h11 would
        event = _ask_h11(h11.Connection(h11.SERVER), block)
        assert isinstance(event, h11.Request)
        if event.method == b"CONNECT" and may_connect:
            return _connect(bytes(event.target), version, fields), start + len(block)
        return _request(event, version, fields), start + len(block)
    except _Refusal as refusal:
        raise BadRequest(refusal.status, refusal.reason) from refusal


def parse_response_head(data: bytes, head_bytes_max: int, fields_max: int) -> tuple[ResponseHead, int] | None:
    """See `http1.parse_response_head`."""
    try:
        if not _may_start_response(data) and not _is_start_of_status_line(data):
            raise _Refusal("the answer does not begin with an HTTP/1 status line")
        block = _block(data, 0, fields_max)
        _check_size(block, head_bytes_max, "response")
        if not block.endswith(b"\r\n\r\n"):
            return None
        fields = _fields(block)
        connection = h11.Connection(h11.CLIENT)
        # The offer lets a 101 through; whether it was asked for is known to who sent the request.
        offer = [("Host", "h"), ("Connection", "upgrade"), ("Upgrade", "any")]
        connection.send(h11.Request(method="GET", target="/", headers=offer))
        connection.send(h11.EndOfMessage())
        event = _ask_h11(connection, block)
        assert isinstance(event, (h11.Response, h11.InformationalResponse))
        return _response(event, fields), len(block)
    except _Refusal as refusal:
        raise BadResponse(refusal.reason) from refusal


def _block(data: bytes, start: int, fields_max: int) -> bytes:
    """Return the head, or all there is of it, when its lines are sound and not too many."""
    end = data.find(b"\r\n\r\n", start)
    block = data[start:] if end < 0 else data[start : end + 4]
    if not has_sound_lines(block):
        raise _Refusal("a line does not end in CRLF, or holds a control character")
    if block.count(b"\r\n") > fields_max + (1 if end < 0 else 2):
        raise _Refusal(f"the head has more than {fields_max} fields", 431)
    return block


def _check_size(block: bytes, head_bytes_max: int, kind: str) -> None:
    if len(block) <= head_bytes_max:
        return
    if kind == "request" and b"\r\n" not in block[:head_bytes_max]:
        raise _Refusal(f"the request target is longer than {head_bytes_max} bytes", 414)
    raise _Refusal(f"the {kind} head is larger than {head_bytes_max} bytes", 431)


def _version(line: bytes) -> int:
    """Return 10 or 11, the version of a request line."""
    match = _match_request_line(line)
    if match is None:
        raise _Refusal("the request line is not METHOD SP TARGET SP HTTP/1.1")
    if match[1] == b"PRI":
        raise _Refusal("HTTP/2 is not spoken here")
    if match[3] != b"1" or match[4] not in (b"0", b"1"):
        raise _Refusal("only HTTP/1.0 and HTTP/1.1 are spoken here", 505)
    return 10 + int(match[4])


def _is_start_of_status_line(data: bytes) -> bool:
    """Say whether a status line may still become of less than twelve bytes, and a space or CRLF behind twelve."""
    return len(data) <= 12 and _may_start_response(data + (_STATUS_LINE_START[len(data) :] or b" ")) is not None


def _fields(block: bytes) -> list[_Field]:
    """Return the fields of a whole head whose lines h11 has yet to judge."""
    fields = []
    for line in block[:-4].split(b"\r\n")[1:]:
        if line[:1] in (b" ", b"\t"):
            raise _Refusal("a field is folded over several lines")  # RFC 9112 section 5.2
        name, _, value = line.partition(b":")
        fields.append(_Field(name.lower(), value.strip(b" \t"), line + b"\r\n"))
    return fields


def _ask_h11(connection: h11.Connection, block: bytes) -> object:
    connection.receive_data(block)
    try:
        return connection.next_event()
    except h11.RemoteProtocolError as error:
        _refuse_as_h11_does(error)


def _refuse_as_h11_does(error: h11.RemoteProtocolError) -> NoReturn:
    reason = str(error).partition(":")[0]  # what follows quotes the peer
    raise _Refusal(f"the head is malformed: {reason}", error.error_status_hint or 400) from error


def _request(event: h11.Request, version: int, fields: list[_Field]) -> RequestHead:
    method = bytes(event.method)
    target, authority = _target(method, bytes(event.target))
    named_host = _host(fields)
    host = authority or named_host
    nominated = _nominated(fields)
    dropped = REQUEST_DROPPED | (nominated - _OPTIONS)
    if authority or not host:
        dropped |= {b"host"}
    lines = _lines(fields, dropped)
    head = RequestHead(method, target, host, b"Host: %b\r\n%b" % (host, lines) if authority else lines)
    head.version = version
    head.forwarding = b"".join(
        b"%b: %b\r\n" % (field.name, field.value)
        for field in fields
        if field.name in OURS and field.name not in nominated
    )
    length, head.is_chunked = _framing(fields)
    if head.is_chunked and version == 10:
        raise _Refusal("Transfer-Encoding is not part of HTTP/1.0")  # RFC 9112 section 6.1
    head.has_length = length >= 0
    head.content_length = max(length, 0)
    head.is_persistent = b"close" not in nominated and (version == 11 or b"keep-alive" in nominated)
    if version == 11:
        head.expects_continue = _expects_continue(fields)
        if b"upgrade" in nominated:
            head.upgrade = _upgrade(fields)
    return head


def _connect(target: bytes, version: int, fields: list[_Field]) -> RequestHead:
    """Return a CONNECT, which names a host and port and has neither path nor body (RFC 9110 section 9.3.6)."""
    match = _match_authority(target)
    if match is None or not is_sound_host(target) or not 0 < int(match[2]) <= 65535:
        raise _Refusal("the target of CONNECT is not a host and port")
    named_host = _host(fields).lower()
    if named_host not in (b"", target.lower(), match[1].lower()):
        raise _Refusal("Host and the target of CONNECT name different hosts")
    length, is_chunked = _framing(fields)
    if length > 0 or is_chunked:
        raise _Refusal("CONNECT has no body")
    lines = _lines(fields, REQUEST_DROPPED | {b"host"} | (_nominated(fields) - _OPTIONS))
    head = RequestHead(b"CONNECT", target, target, b"Host: %b\r\n%b" % (target, lines))
    head.version = version
    # Refused, the connection ends: what the client has sent ahead for the tunnel must never be read as a request.
    head.is_persistent = False
    return head


def _target(method: bytes, target: bytes) -> tuple[bytes, bytes]:
    """Return the target for upstream and the authority it named, if any (RFC 9112 section 3.2)."""
    if method == b"CONNECT":
        raise _Refusal("CONNECT is not served here", 405)
    if _is_origin(target) or (target == b"*" and method == b"OPTIONS"):
        return target, b""
    absolute = _match_absolute(target)
    if absolute is None or not is_sound_host(absolute[1]):
        raise _Refusal("the request target is neither a path nor an http URI")
    path = absolute[2] or (b"*" if method == b"OPTIONS" else b"/")  # section 3.2.4
    return b"/" + path if path.startswith(b"?") else path, absolute[1]


def _host(fields: list[_Field]) -> bytes:
    """Return the value of Host. h11 has seen to it that there is one at most, and in HTTP/1.1 at least one."""
    for field in fields:
        if field.name == b"host":
            if field.value and not is_sound_host(field.value):
                raise _Refusal("the Host field is not a host and port")
            return field.value
    return b""


def _nominated(fields: list[_Field]) -> frozenset[bytes]:
    """Return the options of Connection in lower case: names of fields to remove, `close` and the like."""
    nominated = frozenset(
        option.strip(b" \t").lower()
        for field in fields
        if field.name == b"connection"
        for option in field.value.split(b",")
    )
    if nominated & _NEVER_NOMINATED:
        raise _Refusal("Connection names a field that is not its to remove")
    return nominated


def _framing(fields: list[_Field]) -> tuple[int, bool]:
    """Return Content-Length or -1, and whether the body is chunked (RFC 9112 section 6)."""
    lengths = [field.value for field in fields if field.name == b"content-length"]
    codings = [
        coding.strip(b" \t").lower()
        for field in fields
        if field.name == b"transfer-encoding"
        for coding in field.value.split(b",")
    ]
    if lengths and codings:
        raise _Refusal("Content-Length and Transfer-Encoding stand side by side")
    if codings and (codings[-1] == b"" or b"chunked" in codings[:-1]):
        raise _Refusal("the transfer coding chunked is not the last one, or stands twice")
    if codings and codings != [b"chunked"]:
        raise _Refusal("the only transfer coding known here is chunked", 501)
    if not lengths:
        return -1, bool(codings)
    if len(lengths) > 1 or not lengths[0].isdigit() or len(lengths[0]) > LENGTH_DIGITS_MAX:
        raise _Refusal("Content-Length is not one plain number")
    return int(lengths[0]), False


def _expects_continue(fields: list[_Field]) -> bool:
    expectations = {field.value.lower() for field in fields if field.name == b"expect"}
    if expectations - {b"100-continue"}:
        raise _Refusal("the only expectation met here is 100-continue", 417)
    return bool(expectations)


def _upgrade(fields: list[_Field]) -> bytes:
    """Return the protocols to upgrade to. An upgrade to HTTP/2 is not offered on, as nothing here could follow it."""
    protocols = b", ".join(field.value for field in fields if field.name == b"upgrade")
    if protocols and not _is_protocol_list(protocols):
        raise _Refusal("Upgrade is not a list of protocols")
    is_http2 = any(protocol.strip(b" ").lower() in (b"h2", b"h2c") for protocol in protocols.split(b","))
    return b"" if is_http2 else protocols


def _lines(fields: list[_Field], dropped: frozenset[bytes]) -> bytes:
    # An underscore counts as a hyphen here, as it does for many a server (see `grammar`).
    return b"".join(
        field.line for field in fields if field.name not in dropped and field.name.replace(b"_", b"-") not in dropped
    )


def _response(event: h11.Response | h11.InformationalResponse, fields: list[_Field]) -> ResponseHead:
    status = event.status_code
    nominated = _nominated(fields)
    head = ResponseHead(status, bytes(event.reason), _lines(fields, RESPONSE_DROPPED | (nominated - _OPTIONS)))
    head.version = 11 if event.http_version == b"1.1" else 10
    head.content_length, head.is_chunked = _framing(fields)
    if head.is_chunked and (head.version == 10 or status < 200 or status == 204):
        raise _Refusal("Transfer-Encoding where there can be none")
    head.is_persistent = b"close" not in nominated and (head.version == 11 or b"keep-alive" in nominated)
    if b"upgrade" in nominated:
        head.upgrade = _upgrade(fields)
    return head
