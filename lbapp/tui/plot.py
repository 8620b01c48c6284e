"""Curves as text.

Responsible for squeezing a series into cells, and for drawing it as an area. Knows nothing of what the figures mean.
Invariants: a peak is never lost by squeezing; a figure that is not known is a gap, never 0; nothing is drawn but the
levels of the given symbols.
"""

from __future__ import annotations

from collections.abc import Sequence

from lbapp.tui.glyphs import Glyphs


def squeezed(values: Sequence[float | None], width: int) -> list[float | None]:
    """Return at most `width` values: the highest of each stretch; None where nothing of it is known."""
    if width < 1:
        return []
    if len(values) <= width:
        return list(values)
    found: list[float | None] = []
    for cell in range(width):
        stretch = values[cell * len(values) // width : (cell + 1) * len(values) // width]
        known = [value for value in stretch if value is not None]
        found.append(max(known) if known else None)
    return found


def curve(values: Sequence[float | None], width: int, glyphs: Glyphs) -> str:
    """Return one line of `width` cells, the newest at the right, the highest as the full symbol."""
    return area(values, width, 1, glyphs)[0]


def area(values: Sequence[float | None], width: int, height: int, glyphs: Glyphs) -> list[str]:
    """Return `height` lines of `width` cells, the top one first; the highest value reaches the top."""
    shown = squeezed(values, width)
    highest = max((value for value in shown if value is not None), default=0.0)
    levels = len(glyphs.spark) - 1
    # How many steps each column is high; what is above 0 is seen.
    steps = [
        None if value is None else 0 if highest <= 0 or value <= 0 else max(1, round(value / highest * height * levels))
        for value in shown
    ]
    lines = []
    for row in range(height - 1, -1, -1):
        cells = "".join(_cell(step, row * levels, levels, glyphs) for step in steps)
        lines.append(cells.rjust(width))
    return lines


def _cell(steps: int | None, below: int, levels: int, glyphs: Glyphs) -> str:
    if steps is None:
        return " "
    if steps <= below:
        return glyphs.spark[0] if below == 0 else " "
    return glyphs.spark[min(levels, steps - below)]
