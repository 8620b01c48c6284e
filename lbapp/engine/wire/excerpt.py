"""Where a head is wrong, and what of it may be shown.

Responsible for finding the byte or the line for which the same parser refuses a head, and for an excerpt around it without
credentials. Knows nothing of what a head has to be: `is_refused` asks who knows.

Invariants: what is found is true of that parser, and None where it is not one byte or one line; what stands in a field that may
hold a credential is never shown; an excerpt is printable ASCII.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from lbapp.engine.wire.access_line import text_of

_AROUND_BYTES: Final = 96  # that are shown on either side
_SOUND_FIELD: Final = b"Host: h\r\n"
_END: Final = b"\r\n\r\n"
# Wherever in a line it stands: what is malformed need not begin its fields where others do. Folded lines belong to it.
_credentials: Final = re.compile(
    rb"(?i)((?:auth|basic|bearer|cookie|token|secret|passw|api[-_]?key|session)[\w-]*+[ \t]*+[:=]?+[ \t]*+)"
    rb"([^\n]*(?:\n[ \t][^\n]*)*)|(//)([^/@\s]++)(?=@)"
)
_letter: Final = re.compile(rb"[^\r\n]")

IsRefused = Callable[[bytes], bool]


class Place(NamedTuple):
    """Where a head is wrong: `what` is `byte`, or `line` with the offset of its first byte."""

    offset: int
    what: str


def find_place(data: bytes, sound_line: bytes, is_refused: IsRefused) -> Place | None:
    """Return where a head is wrong that `is_refused`; `sound_line` is what its first line might be, with CRLF."""
    end = data.find(_END)
    head = data if end < 0 else data[: end + len(_END)]
    if not is_refused(head):
        return None
    low, high = 0, len(head)  # refused from `high` on
    while high - low > 1:
        middle = (low + high) // 2
        if is_refused(head[:middle]):
            high = middle
        else:
            low = middle
    if high < len(head) or end < 0:
        return Place(high - 1, "byte")
    return _line(head, sound_line, is_refused)


def _line(head: bytes, sound_line: bytes, is_refused: IsRefused) -> Place | None:
    """Return the first line of a whole head that is refused by itself: a short head each, as this has to be quick."""
    start = 0
    for line in head[: -len(_END)].split(b"\r\n"):
        if not start:
            heads = [line + b"\r\n" + _SOUND_FIELD]
        else:
            heads = [sound_line + _SOUND_FIELD + line + b"\r\n", sound_line + line + b"\r\n"]  # it may be Host itself
        if all(is_refused(each + b"\r\n") for each in heads):
            return Place(start, "line")
        start += len(line) + 2
    return None  # it is what the lines are together, or what is not there


def masked(data: bytes) -> bytes:
    """Return bytes of a head with a star for each letter that may belong to a credential; all offsets stay."""
    return _credentials.sub(_stars, data)


def _stars(match: re.Match[bytes]) -> bytes:
    return (match[1] or match[3]) + _letter.sub(b"*", match[2] or match[4] or b"")


def excerpt(data: bytes, place: Place | None) -> tuple[int, str]:
    """Return where an excerpt of a head begins, and the excerpt: around the place, or from the beginning on."""
    end = data.find(_END)
    head = masked(data if end < 0 else data[: end + len(_END)])  # whole, so that the names before values are seen
    start = max(0, place.offset - _AROUND_BYTES) if place is not None else 0
    shown = head[start : start + 2 * _AROUND_BYTES]
    return start, text_of(shown, len(shown))
