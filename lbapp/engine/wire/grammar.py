"""The strict grammar of the common head: two compiled expressions and the tables they are made of.

Responsible for which bytes the quick way recognises, and for the names of the fields that the proxy reads, replaces or must
not pass on. Knows nothing of what those fields mean.

A head is cut into runs of *ordinary* fields, which travel on as they are, and *special* fields between them. A field is
ordinary when its name is none of the special ones; the expressions decide that by its first letter, so most names cost one
comparison. Sources: RFC 9110 section 5, RFC 9112 sections 2 to 5.

Invariants: what matches is a head by the RFCs but for the control characters, which `TEXT` serves to find in one
go; the cost is linear (runs are atomic, and a special field can never begin an ordinary one, so there is nothing to try
again); no group is repeated possessively, which CPython gets wrong before 3.11.5 (Debian 12 ships 3.11.2): an atomic group
around a plain repeat says the same and works in all of them.
"""

from __future__ import annotations

import re
from typing import Final

OURS: Final = frozenset(
    (b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-port", b"x-forwarded-proto", b"x-real-ip")
)
RESPONSE_DROPPED: Final = frozenset(
    (
        b"connection", b"content-length", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade",
    )
)  # fmt: skip
REQUEST_DROPPED: Final = RESPONSE_DROPPED | OURS | {b"expect", b"http2-settings"}

# Special fields in one head before the careful way takes over.
_REQUEST_SLOTS: Final = 6
_RESPONSE_SLOTS: Final = 4

TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_TOKEN_BYTES: Final = bytes(byte for byte in range(128) if re.match(TOKEN, bytes((byte,))))
_LINE_END: Final = rb"[^\r]*+\r\n"
_PLAIN_HOST: Final = rb"[A-Za-z0-9._\-]{1,255}+(?::(?:[1-5][0-9]{4}|[0-9]{1,4}))?"
# What may stand in a line: deleted from a sound head, it leaves CR and LF in turn, once a line.
TEXT: Final = bytes((9, *range(0x20, 0x7F), *range(0x80, 0x100)))
LENGTH_DIGITS_MAX: Final = 18


def any_case(name: bytes) -> bytes:
    """Return an expression for the name in any case.

    Its first letter, which is where most other names differ, is a set of two and not IGNORECASE, which folds the byte it looks
    at; the others are not, as sets take most of the time that the whole takes to compile. A hyphen stands for an underscore too:
    a server behind CGI, WSGI and the like cannot tell X_Real_IP from X-Real-IP.
    """
    first = name[:1]
    start = b"[%b%b]" % (first.upper(), first) if first.isalpha() else _with_hyphens(first)
    return start + b"(?i:%b)" % _with_hyphens(name[1:])


def _with_hyphens(name: bytes) -> bytes:
    return b"[_\\-]".join(map(re.escape, name.split(b"-")))


def _ordinary_run(special: frozenset[bytes], but: bytes = b"") -> bytes:
    """Return an expression for any number of field lines whose names are not among the special ones.

    A special line that is `but`, to the letter, counts as ordinary.
    """
    firsts = sorted({name[:1] for name in special})
    others = bytes(byte for byte in _TOKEN_BYTES if bytes((byte,)).lower() not in firsts)
    branches = [b"[%b]" % re.escape(others)]
    for first in firsts:
        endings = b"|".join(any_case(name[1:]) for name in sorted(special) if name.startswith(first))
        exception = b"(?!%b)" % re.escape(but[1:]) if but.lower().startswith(first) else b""
        branches.append(any_case(first) + b"(?!%b(?:%b):)" % (exception, endings))
    return b"(?>(?:(?:%b)%b*+:%b)*)" % (b"|".join(branches), TOKEN, _LINE_END)


def _slots(ordinary: bytes, count: int) -> bytes:
    """Return an expression for up to `count` special fields: name, value and the ordinary run behind it, a group each.

    They are nested, so that slots which a head does not need cost nothing.
    """
    nested = b""
    for _ in range(count):
        nested = b"(?:(%b++):[\\t ]*+([^\\r]*+)\\r\\n(%b)%b)?" % (TOKEN, ordinary, nested)
    return nested


def _request_expression() -> bytes:
    ordinary = _ordinary_run(REQUEST_DROPPED | {b"host"})
    line = rb"(?!CONNECT |PRI )([A-Z]{1,20}+) (/[!\"$-~]*+) HTTP/1\.1\r\n"
    host = b"(?:%b:[\\t ]*+(%b)\\r\\n%b)?" % (any_case(b"host"), _PLAIN_HOST, ordinary)
    return line + b"(" + ordinary + host + b")" + _slots(ordinary, _REQUEST_SLOTS) + b"\\r\\n"


def _response_expression() -> bytes:
    ordinary = _ordinary_run(RESPONSE_DROPPED)
    line = rb"HTTP/1\.1 ([1-5][0-9][0-9]) ([^\r]*+)\r\n"
    return line + b"(" + ordinary + b")" + _slots(ordinary, _RESPONSE_SLOTS) + b"\\r\\n"


def _plain_response_expression() -> bytes:
    ordinary = _ordinary_run(RESPONSE_DROPPED, b"Connection: keep-alive\r")
    line = rb"HTTP/1\.1 ([2-5][0-9][0-9]) [^\r]*+\r\n"
    length = b"%b:[\t ]*+([1-9][0-9]{0,%d}+)\\r\\n" % (any_case(b"content-length"), LENGTH_DIGITS_MAX - 1)
    return line + ordinary + length + ordinary + b"\\r\\n"


# Groups of a request: method, target, fields up to the first special one but Host, host, then the slots.
REQUEST: Final = re.compile(_request_expression())
# Groups of a response: status, reason, fields up to the first special one, then the slots.
RESPONSE: Final = re.compile(_response_expression())
# Groups of a response that may go on as it came: status, length. "Connection: keep-alive" is what lbapp would say itself.
PLAIN_RESPONSE: Final = re.compile(_plain_response_expression())
is_plain_host: Final = re.compile(_PLAIN_HOST).fullmatch


def has_sound_lines(block: bytes) -> bool:
    """Say whether every line ends in CRLF and holds no control character. The last line may be incomplete."""
    ends = block.translate(None, TEXT)
    sound = b"\r\n" * block.count(b"\r\n")
    return ends == sound or (ends == sound + b"\r" and block.endswith(b"\r"))
