"""A target that is too long, told apart from a head that is.

Responsible for the size limit of the request line's target (RFC 9112 section 3, 414 of RFC 9110 section 15.5.15). Knows nothing
of what a target means. Invariant: a head whose first line alone goes beyond the limit gets 414, whole or not.
"""

from __future__ import annotations

from lbapp.engine.wire.heads import BadRequest


def has_long_uri(data: bytes, uri_bytes_max: int) -> bool:
    """Say whether the beginning of a head, of which the end may be missing, has a longer target."""
    line = data.lstrip(b"\r\n")
    line = line[: line.find(b"\n")] if b"\n" in line else line
    parts = line.split(b" ", 2)
    return len(parts) > 1 and len(parts[1]) > uri_bytes_max


def too_long_uri(uri_bytes_max: int) -> BadRequest:
    """Return the refusal of such a target."""
    return BadRequest(414, f"the target is longer than {uri_bytes_max} bytes")
