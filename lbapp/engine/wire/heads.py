"""Request and response heads as the rest of the engine knows them.

Responsible for the two values that a head is reduced to, and for the errors that say why it is none. Knows nothing of how
bytes are read. A head carries the few fields the proxy cares about as attributes; all other end-to-end fields travel on as
one block of bytes.

Invariants: `fields` holds whole field lines, each ended by CRLF, and never Connection, a field nominated by it,
Content-Length, Transfer-Encoding or another hop-by-hop field; framing is stated once, by the attributes.
"""

from __future__ import annotations

from enum import IntEnum


class BodyKind(IntEnum):
    """How the end of a message body is found (RFC 9112 section 6.3)."""

    NONE = 0
    LENGTH = 1
    CHUNKED = 2
    UNTIL_CLOSE = 3


class RequestHead:
    """One request without its body.

    `target` is what goes upstream: origin-form, or `*`. `version` is 10 or 11. `fields` includes Host, but where `host`
    is empty: Host was empty, or missing in HTTP/1.0. `content_length` is 0 where none was sent; `has_length` tells the
    two apart. `upgrade` is the Upgrade field when Connection names it, else empty. `forwarding` is what was said
    of the client, in lines of a lower-case name and a value; it goes nowhere unless the peer is trusted. `forwarded_host` is
    the host that a trusted one named, else empty. `asked`: host and target as the client sent them, where they go on as others.
    `trace`: the ids of the request and of its trace, empty where the listener gives none; None where it gives neither.
    """

    __slots__ = (
        "asked", "content_length", "expects_continue", "fields", "forwarded_host", "forwarding", "has_length", "host",
        "is_chunked", "is_persistent", "method", "target", "trace", "upgrade", "version",
    )  # fmt: skip

    def __init__(self, method: bytes, target: bytes, host: bytes, fields: bytes) -> None:
        self.method = method
        self.target = target
        self.host = host
        self.fields = fields
        self.version = 11
        self.content_length = 0
        self.has_length = False
        self.is_chunked = False
        self.is_persistent = True
        self.expects_continue = False
        self.upgrade = b""
        self.forwarding = b""
        self.forwarded_host = b""
        self.asked: tuple[bytes, bytes] | None = None
        self.trace: tuple[str, str] | None = None


class ResponseHead:
    """One response without its body. `content_length` is -1 where none was sent."""

    __slots__ = (
        "content_length", "fields", "is_chunked", "is_persistent", "reason", "status", "upgrade", "version",
    )  # fmt: skip

    def __init__(self, status: int, reason: bytes, fields: bytes) -> None:
        self.status = status
        self.reason = reason
        self.fields = fields
        self.version = 11
        self.content_length = -1
        self.is_chunked = False
        self.is_persistent = True
        self.upgrade = b""


class BadRequest(Exception):
    """The client sent something that is no request, or one that is refused. `reason` is a short sentence."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class BadResponse(Exception):
    """The server sent something that is no response."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
