"""traceparent, and ids of requests: what is sound, and what a new one looks like.

Responsible for these values. Knows nothing of heads, nor of whom to believe. Source: W3C Trace Context Level 1, section 3.2.

Invariants: what is not sound is None, and never goes on; a value that goes on needs no quoting in a field or in JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

_match_traceparent: Final = re.compile(
    rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-[ -~]*)?"
).fullmatch
_match_request_id: Final = re.compile(rb"[0-9A-Za-z._~+/=:@-]{1,128}").fullmatch
_SAMPLED: Final = 1  # the only flag that version 00 has
_ID_BYTES: Final = 40  # of a request, of a trace, of its parent: 16, 16 and 8
_IDS_AT_ONCE: Final = 256  # asking the kernel costs more than making one
_NO_TRACE: Final = "0" * 32
_NO_PARENT: Final = "0" * 16

Ids = tuple[str, str, str]  # of a request, of its trace, and the traceparent that names it


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


def new_ids(random_bytes: Callable[[int], bytes]) -> Iterator[Ids]:
    """Yield ids without end, each of 320 bits of `random_bytes`. Their traces are not sampled: lbapp itself records no spans."""
    while True:
        digits = random_bytes(_ID_BYTES * _IDS_AT_ONCE).hex()
        for at in range(0, len(digits), 2 * _ID_BYTES):
            trace_id, parent_id = digits[at + 32 : at + 64], digits[at + 64 : at + 80]
            if trace_id != _NO_TRACE and parent_id != _NO_PARENT:  # which would be malformed
                yield digits[at : at + 32], trace_id, f"00-{trace_id}-{parent_id}-00"


def is_request_id(value: bytes) -> bool:
    """Say whether an id that came with a request may go on."""
    return _match_request_id(value) is not None
