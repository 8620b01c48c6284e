"""Screens as text files, so that a change of one is a diff that people can read.

Responsible for the picture of a screen, its letters and below them the tone of every cell, and for comparing it with the one that
is kept. Knows nothing of what is on it. With LBAPP_SNAPSHOTS=write in the environment pictures are kept, not compared.

Invariant: a picture has no time, path or size of memory in it that the double did not choose, so it is the same everywhere.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from rich.style import Style
from textual.pilot import Pilot

from tests.tui.console import forgive_late_connects, strips

FOLDER: Final = Path(__file__).parent / "pictures"
IS_WRITING: Final = os.environ.get("LBAPP_SNAPSHOTS") == "write"
_DEADLINE_S: Final = 25.0
_STILL_S: Final = 4.0  # longer than a list holds its order behind a key
_RULE: Final = "-" * 40 + "\n"
_COLOURS: Final = {1: "r", 2: "g", 3: "y", 4: "u", 5: "m", 6: "c"}


def picture(app: Any) -> str:
    """Return every line of the screen, then the style of every cell that is not plain.

    A colour is its first letter (u: blue), in capitals where it is bold; `b` is bold, `i` reverse, `I` both.
    """
    lines, marks = [], []
    for strip in strips(app):
        lines.append("".join(segment.text for segment in strip).rstrip())
        marks.append("".join(_mark(segment.style) * segment.cell_length for segment in strip).rstrip())
    return "\n".join([*lines, _RULE.strip(), *marks, ""])


def _mark(style: Style | None) -> str:
    if style is None:
        return " "
    if style.reverse:
        return "I" if style.bold else "i"
    number = style.color.number if style.color is not None and style.color.number is not None else 0
    colour = _COLOURS.get(number, " ")
    return (colour.upper() if colour != " " else "b") if style.bold else colour


async def assert_pictured(pilot: Pilot[Any], name: str) -> None:
    """Wait until the screen is as its picture; fail with both where it never is."""
    await _assert_like(pilot, name, lambda text: text)


async def assert_said(pilot: Pilot[Any], name: str) -> None:
    """Wait until the screen has the letters of a picture, in whatever colours."""
    await _assert_like(pilot, name, letters)


def letters(text: str) -> str:
    """Return the letters of a picture without its colours."""
    return text.partition(_RULE)[0]


async def _assert_like(pilot: Pilot[Any], name: str, part: Callable[[str], str]) -> None:
    forgive_late_connects()
    kept = FOLDER / f"{name}.txt"
    if IS_WRITING:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(await _still(pilot))
        return
    wanted, deadline = part(kept.read_text()), time.monotonic() + _DEADLINE_S
    while (found := part(picture(pilot.app))) != wanted and time.monotonic() < deadline:
        await pilot.pause(0.02)
    assert found.splitlines() == wanted.splitlines(), f"{kept.name} is not what is drawn:\n{found}"


async def _still(pilot: Pilot[Any]) -> str:
    """Return the screen once it has not changed for a while."""
    found, since = picture(pilot.app), time.monotonic()
    while time.monotonic() - since < _STILL_S:
        await pilot.pause(0.1)
        if (now := picture(pilot.app)) != found:
            found, since = now, time.monotonic()
    return found
