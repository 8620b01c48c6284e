"""traceparent, and ids of requests: what is sound, and what a new one looks like.

Responsible for these values. Knows nothing of heads, nor of whom to believe. Source: W3C Trace Context Level 1, section 3.2.

Invariants: what is not sound is None, and never goes on; a value that goes on needs no quoting in a field or in JSON.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_match_traceparent: Final = re.compile(
    rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-[ -~]*)?"
).fullmatch
_match_request_id: Final = re.compile(rb"[0-9A-Za-z._~+/=:@-]{1,128}").fullmatch
_SAMPLED: Final = 1  # the only flag that version 00 has


class TraceParent(NamedTuple):
    """A traceparent that may go on: its trace, and the whole value."""

    trace_id: bytes
    value: bytes


def parse_traceparent(value: bytes) -> TraceParent | None:
    """Return what goes on of the value of a field; None: it is malformed. What a later version says goes on as version 00."""
    match = _match_traceparent(value)
    if match is None:
        return None
    version, trace_id, parent_id, flags, more = match.groups()
    if version == b"00":
        return None if more else TraceParent(trace_id, value)
    return TraceParent(trace_id, b"00-%b-%b-%02x" % (trace_id, parent_id, int(flags, 16) & _SAMPLED))


def new_traceparent(bits: int) -> TraceParent:
    """Return one that begins a trace, of 192 random bits. It is not sampled: lbapp itself records no spans."""
    trace_id, parent_id = bits >> 64 or 1, bits & (1 << 64) - 1 or 1
    return TraceParent(b"%032x" % trace_id, b"00-%032x-%016x-00" % (trace_id, parent_id))


def is_request_id(value: bytes) -> bool:
    """Say whether an id that came with a request may go on."""
    return _match_request_id(value) is not None
