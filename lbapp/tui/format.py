"""Figures as the console prints them.

Responsible for what has to fit into the console's cells, and for making text from the outside harmless; counts, shares and times
are those of `control.figures`. Knows nothing of where figures come from or of colours.

Invariant: what is unknown is printed as `-`, never as 0; cleaned text has only printable characters and one line.
"""

from __future__ import annotations

from datetime import datetime
from sys import intern
from typing import Final

from lbapp.control.figures import count as count
from lbapp.control.figures import duration as duration
from lbapp.control.figures import share as share

UNPRINTABLE: Final = "·"
_NAME_LENGTH: Final = 64  # up to which a text may be a name


def clean(text: str) -> str:
    """Return `text` with every character a terminal might act on replaced by `·`.

    Short texts that are alike are one object: an engine says the same names and words in every line.
    """
    if text.isprintable():
        return intern(text) if len(text) <= _NAME_LENGTH and type(text) is str else text
    return "".join(character if character.isprintable() else UNPRINTABLE for character in text)


def milliseconds(value: float | None) -> str:
    """Return a latency, given in milliseconds, in at most five characters."""
    if value is None:
        return "-"
    if value < 9.95:
        return f"{value:.1f}ms"
    if value < 999.5:
        return f"{value:.0f}ms"
    return f"{value / 1000:.1f}s" if value < 99_950 else f"{value / 1000:.0f}s"


def size(value: int | None) -> str:
    """Return a number of bytes with a binary unit."""
    if value is None:
        return "-"
    amount = float(value)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1023.5:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def brief_duration(seconds: float) -> str:
    """Return a duration in at most five characters: in its two largest units where they fit, else in the largest."""
    text = duration(seconds)
    return text if len(text) <= 5 else text[: 1 + next(at for at, character in enumerate(text) if character.isalpha())]


def clock(at: float) -> str:
    """Return the local time of day of a Unix time."""
    return datetime.fromtimestamp(at).strftime("%H:%M:%S")


def clock_of_day(at: float) -> str:
    """Return the local date and time of a Unix time, to the second."""
    return datetime.fromtimestamp(at).strftime("%m-%d %H:%M:%S")
