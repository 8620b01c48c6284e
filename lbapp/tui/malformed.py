"""What was no HTTP, with the byte that was wrong.

Responsible for finding the byte in an excerpt and marking it by characters. Knows nothing of drawing. Invariant: the mark stands
at exactly the characters of that byte, however bytes before it are written.
"""

from __future__ import annotations

import re
from typing import Final

from lbapp.control.looking import CaptureStatus
from lbapp.tui.glyphs import Glyphs

_BYTE: Final = re.compile(r"\\x[0-9a-f]{2}|.", re.DOTALL)  # as the engine writes one


def who(capture: CaptureStatus) -> str:
    """Return who sent it."""
    if capture["who"] == "server":
        return capture["server"] or capture["pool"] or "server"
    return capture["client"] + (f":{capture['port']}" if capture["port"] else "")


def split_at_fault(capture: CaptureStatus) -> tuple[str, str, str]:
    """Return the excerpt before the byte that was wrong, that byte, and what follows; all of it first when none is named.

    Where a line is wrong, it is the whole line.
    """
    written = _BYTE.findall(capture["excerpt"])
    offset = capture["offset"]
    at = -1 if offset is None else offset - capture["excerpt_offset"]
    if not 0 <= at < len(written):
        return capture["excerpt"], "", ""
    end = at + 1
    if capture["offset_is"] == "line":
        while end < len(written) and written[end] not in ("\\x0d", "\\x0a"):
            end += 1
    return "".join(written[:at]), "".join(written[at:end]), "".join(written[end:])


def marked(capture: CaptureStatus, width: int, glyphs: Glyphs) -> str:
    """Return the excerpt around what was wrong in `width` characters, that between marks."""
    before, fault, after = split_at_fault(capture)
    if not fault:
        return before[:width]
    wrong = f"{glyphs.fault_begin}{fault}{glyphs.fault_end}"
    if len(wrong) >= width:
        return wrong[:width]
    room = max(width - len(wrong) - min(len(after), 4), 0)
    text = before[max(0, len(before) - room) :] + wrong
    return (text + after)[:width]


def fault_lines(capture: CaptureStatus, width: int, glyphs: Glyphs) -> list[str]:
    """Return the excerpt in lines of `width` characters, a mark under each character of what was wrong."""
    before, fault, after = split_at_fault(capture)
    text = before + fault + after
    under = " " * len(before) + glyphs.fault_under * len(fault)
    lines: list[str] = []
    for begin in range(0, len(text), max(1, width)):
        lines.append(text[begin : begin + width])
        if marks := under[begin : begin + width].rstrip():
            lines.append(marks)
    return lines
