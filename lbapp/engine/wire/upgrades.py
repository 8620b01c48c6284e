"""Which protocols a connection may be upgraded to.

Responsible for the lists in Upgrade fields. Knows nothing of who is asked or of what a protocol is. Source: RFC 9110 section 7.8:
a server may ignore the field, so a protocol that is not allowed is not refused but never offered on, and the request is answered
as if it had not asked.

Invariants: what goes on is a part of what came, in its order; HTTP/2 is never offered on, as nothing here could follow it.
"""

from __future__ import annotations

from typing import Final

_HTTP2: Final = frozenset((b"h2", b"h2c"))


def protocols_allowed(offered: bytes, allowed: frozenset[str] | None) -> bytes:
    """Return the protocols of an Upgrade field that may be offered on. `allowed` in lower case; None: all but HTTP/2.

    An allowed name without a version allows every version of it.
    """
    return b", ".join(each for each in protocols_of(offered) if _is_allowed(each.lower(), allowed))


def is_one_of(chosen: bytes, offered: bytes) -> bool:
    """Say whether what a server chose is one protocol, and one of those that were offered."""
    wanted = chosen.strip(b" \t").lower()
    return bool(wanted) and any(wanted == each.lower() for each in protocols_of(offered))


def protocols_of(field: bytes) -> list[bytes]:
    """Return the protocols of an Upgrade field."""
    return [stripped for each in field.split(b",") if (stripped := each.strip(b" \t"))]


def _is_allowed(protocol: bytes, allowed: frozenset[str] | None) -> bool:
    name = protocol.partition(b"/")[0]
    if name in _HTTP2:
        return False
    return allowed is None or name.decode("ascii") in allowed or protocol.decode("ascii") in allowed
