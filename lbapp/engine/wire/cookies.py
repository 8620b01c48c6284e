"""One cookie of a request, taken out of its field without touching the others.

Responsible for finding a cookie by its name in a block of field lines, for what is left without it, and for the value of any
other field. Knows nothing of what values mean. Source: RFC 6265 sections 4.2 and 5.4.

Invariant: every byte that is not the cookie, or what set it apart from its neighbour, stays as and where it was.
"""

from __future__ import annotations

import re


def take_cookie(fields: bytes, name: bytes) -> tuple[tuple[bytes, ...], bytes]:
    """Return every value of the cookie `name`, and the fields without it. `fields`: lines that each end with CRLF."""
    wanted = name + b"="
    at = fields.find(wanted)
    values: list[bytes] = []
    while at >= 0:
        start = fields.rfind(b"\n", 0, at) + 1
        if fields[start : start + 7].lower() != b"cookie:" or not _begins_a_pair(fields, start + 7, at):
            at = fields.find(wanted, at + 1)
            continue
        line_end = fields.index(b"\r\n", at)
        pair_end = fields.find(b";", at, line_end)
        values.append(fields[at + len(wanted) : pair_end if pair_end >= 0 else line_end].strip(b' \t"'))
        fields, at = _without(fields, (start, at, pair_end, line_end))
        at = fields.find(wanted, at)
    return tuple(values), fields


def _begins_a_pair(fields: bytes, start: int, at: int) -> bool:
    before = fields[start:at].rstrip(b" \t")
    return not before or before.endswith(b";")


def _without(fields: bytes, places: tuple[int, int, int, int]) -> tuple[bytes, int]:
    """Return the fields without a pair, and where to look on. `places`: its line, the pair, its semicolon or -1, line end."""
    start, at, pair_end, line_end = places
    if pair_end >= 0:
        rest = pair_end + 1
        while fields[rest : rest + 1] in (b" ", b"\t"):
            rest += 1
        return fields[:at] + fields[rest:], at
    kept = fields[start:at].rstrip(b" \t")
    if kept.endswith(b";"):
        return fields[:start] + kept[:-1] + fields[line_end:], start + len(kept) - 1
    return fields[:start] + fields[line_end + 2 :], start  # it was alone


def field_pattern(name: bytes) -> re.Pattern[bytes]:
    """Return what finds the first field of that name; its group 1 is the value."""
    return re.compile(rb"(?:\A|\n)(?i:%b):[\t ]*+([^\r\n]*?)[\t ]*+\r\n" % re.escape(name))
