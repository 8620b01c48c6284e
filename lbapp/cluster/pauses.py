"""How long to wait before something that failed is tried again.

Responsible for pauses that grow, each of a length that nobody else waits. Knows nothing of what is tried.

Invariant: no pause is longer than its bound, nor shorter than half of what it grew to.
"""

from __future__ import annotations

import random
from typing import Final

from lbapp.model.limits import STORE_RETRY_MAX_S, STORE_RETRY_S


class Pauses:
    """Pauses (seconds) of up to `most_s`, doubling until they are told to begin again."""

    def __init__(self, most_s: float = STORE_RETRY_MAX_S) -> None:
        self._most_s: Final = most_s
        self._next_s = STORE_RETRY_S

    def next_s(self) -> float:
        """Return how long to wait now."""
        pause_s = min(self._next_s, self._most_s)
        self._next_s = min(self._next_s * 2, self._most_s)
        return pause_s * random.uniform(0.5, 1.0)

    def begin_again(self) -> None:
        """Note that it has worked."""
        self._next_s = STORE_RETRY_S
