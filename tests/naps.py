"""How long one waits between two looks at what is to come about: short first, as most is there soon, then longer.

A look is a call of an engine, or a screen that is drawn. Where six tests wait at a time on two cores, looks that follow one
another at once take a good part of the machine from the others, and from what is waited for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

_FIRST_S: Final = 0.02
_LAST_S: Final = 0.1
_GROWTH: Final = 1.2


def naps() -> Iterator[float]:
    """Yield seconds without end."""
    nap_s = _FIRST_S
    while True:
        yield nap_s
        nap_s = min(nap_s * _GROWTH, _LAST_S)
