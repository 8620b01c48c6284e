"""A strict reader of HTTP/1 messages that shares nothing with lbapp: the lint of every byte that lbapp sends.

Responsible for saying whether bytes are whole messages, the beginning of one, or unsound. Knows nothing of sockets or of
vectors. Written plainly from RFC 9112; slow on purpose. Invariant: it never guesses: framing that two readers could take
differently is unsound, however unlikely it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field

_TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_DIGITS = frozenset(b"0123456789")
_HEX = frozenset(b"0123456789abcdefABCDEF")
_HOP_BY_HOP = frozenset((b"connection", b"keep-alive", b"proxy-connection", b"te", b"upgrade", b"http2-settings"))
_NOT_IN_TRAILERS = frozenset(
    (b"content-length", b"transfer-encoding", b"host", b"connection", b"set-cookie", b"expect")
)


class Unsound(Exception):
    """Bytes that no strict reader takes."""


class Incomplete(Exception):
    """Bytes that may become a message."""


@dataclass
class Message:
    """One whole message. `fields` as lower-case name and value; `raw` as it came."""

    start: bytes
    fields: list[tuple[bytes, bytes]]
    body: bytes = b""
    raw: bytes = b""
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)
    is_until_close: bool = False

    def values(self, name: bytes) -> list[bytes]:
        return [value for each, value in self.fields if each == name]

    @property
    def target(self) -> bytes:
        return self.start.split(b" ")[1]

    @property
    def status(self) -> int:
        return int(self.start[9:12])


def read_request(data: bytes, *, is_from_proxy: bool = True) -> Message:
    """Read one request from the start of `data`. `is_from_proxy`: held to what a proxy may send on."""
    message = _head(data)
    method, _, rest = message.start.partition(b" ")
    target, _, version = rest.partition(b" ")
    _require(bool(method) and set(method) <= _TOKEN, "method")
    _require(target[:1] == b"/" or target == b"*", "target")
    _require(all(0x21 <= byte <= 0x7E and byte != 0x23 for byte in target), "a byte in the target")
    _require(version == b"HTTP/1.1", "version")
    _require(len(message.values(b"host")) == 1, "not one Host")
    _require(not set(message.values(b"host")[0]) & set(b" ,/@?#\t"), "Host")
    if is_from_proxy:
        _no_hop_by_hop(message)
    length = _framing(message)
    _body(message, data, 0 if length is None and not message.values(b"transfer-encoding") else length)
    return message


def read_response(data: bytes, method: bytes, *, has_ended: bool = False) -> Message:
    """Read one response from the start of `data`; `has_ended`: nothing comes behind `data`."""
    message = _head(data)
    start = message.start
    _require(start[:9] == b"HTTP/1.1 " and set(start[9:12]) <= _DIGITS and len(start) >= 13, "status line")
    _require(start[12:13] == b" " and 100 <= message.status <= 599, "status")
    _no_hop_by_hop(message, may_close=True)
    length = _framing(message)
    status = message.status
    if status < 200 or status == 204:
        _require(length is None and not message.values(b"transfer-encoding"), "framing where there is no body")
    if method == b"HEAD" or status < 200 or status in (204, 304):
        message.raw = data[: len(message.raw)]
        return message
    if length is None and not message.values(b"transfer-encoding"):
        message.is_until_close = True
        if not has_ended:
            raise Incomplete
        message.body, message.raw = data[len(message.raw) :], data
        return message
    _body(message, data, length)
    return message


def check_beginning(data: bytes) -> None:
    """Raise Unsound if what is there of an incomplete request is unsound already."""
    if data:
        try:
            read_request(data)
        except Incomplete:
            return


def _require(is_so: bool, what: str) -> None:
    if not is_so:
        raise Unsound(what)


def _head(data: bytes) -> Message:
    end = data.find(b"\r\n\r\n")
    if end < 0:
        raise Incomplete
    start, *lines = data[:end].split(b"\r\n")
    _require(not set(start) & {0, 10, 13}, "a control in the start line")
    return Message(start, [_field(line) for line in lines], raw=data[: end + 4])


def _field(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    _require(bool(colon and name) and set(name) <= _TOKEN, "a field name")
    _require(all(byte == 9 or (byte >= 0x20 and byte != 0x7F) for byte in value), "a control in a value")
    return name.lower(), value.strip(b" \t")


def _no_hop_by_hop(message: Message, *, may_close: bool = False) -> None:
    names = {name for name, _ in message.fields} & _HOP_BY_HOP
    connection = b",".join(message.values(b"connection")).lower()
    if connection == b"upgrade":
        names -= {b"connection", b"upgrade"}
    if may_close and connection in (b"close", b"keep-alive"):
        names -= {b"connection"}
    _require(not names, f"hop-by-hop fields {sorted(names)!r}")


def _framing(message: Message) -> int | None:
    lengths, codings = message.values(b"content-length"), message.values(b"transfer-encoding")
    _require(not (lengths and codings), "Content-Length beside Transfer-Encoding")
    _require(len(lengths) <= 1 and len(codings) <= 1, "framing stated twice")
    _require(not codings or codings == [b"chunked"], "a transfer coding")
    if not lengths:
        return None
    _require(0 < len(lengths[0]) < 20 and set(lengths[0]) <= _DIGITS, "Content-Length")
    return int(lengths[0])


def _body(message: Message, data: bytes, length: int | None) -> None:
    at = len(message.raw)
    if length is not None:
        if len(data) < at + length:
            raise Incomplete
        message.body, message.raw = data[at : at + length], data[: at + length]
        return
    parts = []
    while True:
        end = data.find(b"\r\n", at)
        line = data[at:] if end < 0 else data[at:end]
        _require(set(line) - ({13} if end < 0 else set()) <= _HEX and len(line) < 17, "a chunk size")
        if end < 0:
            raise Incomplete
        _require(bool(line), "a chunk size")
        size, at = int(line, 16), end + 2
        if not size:
            break
        if len(data) < at + size + 2:
            raise Incomplete
        parts.append(data[at : at + size])
        at += size + 2
        _require(data[at - 2 : at] == b"\r\n", "the end of a chunk")
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            raise Incomplete
        line, at = data[at:end], end + 2
        if not line:
            break
        trailer = _field(line)
        _require(trailer[0] not in _NOT_IN_TRAILERS, "a trailer")
        message.trailers.append(trailer)
    message.body, message.raw = b"".join(parts), data[:at]
