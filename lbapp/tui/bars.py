"""Shares and times as bars of characters.

Responsible for how long a bar is and where it begins. Knows nothing of what it stands for. Invariants: what is more than nothing
is never drawn as nothing; a bar is never longer than its room.
"""

from __future__ import annotations

from collections.abc import Sequence

from lbapp.tui.glyphs import Glyphs


def bar(share: float | None, width: int, glyphs: Glyphs) -> str:
    """Return a share of 1 as a bar of `width` cells, padded; None: unknown."""
    if share is None or share <= 0 or width < 1:
        return " " * max(0, width)
    cells = min(1.0, share) * width
    whole = int(cells)
    rest = cells - whole
    end = "" if whole and rest < 0.25 else glyphs.bar_half if rest >= 0.5 else glyphs.bar_low
    return (glyphs.bar_full * whole + end)[:width].ljust(width)


def waterfall(parts: Sequence[float | None], width: int, glyphs: Glyphs) -> list[str]:
    """Return one bar for each part of a time, each beginning where the one before ended; None: it did not come so far."""
    total = sum(part for part in parts if part)
    lines, before = [], 0.0
    for part in parts:
        if not part or total <= 0:
            lines.append("")
            continue
        begin = min(width - 1, round(before / total * width))
        before += part
        length = max(1, round(before / total * width) - begin)
        is_small = part / total * width < 0.5
        lines.append(" " * begin + (glyphs.bar_low if is_small else glyphs.bar_full * min(length, width - begin)))
    return lines
