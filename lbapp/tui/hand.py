"""What a list knows of its operator's hand: when it moved the cursor last, and when another item came under it by itself.

Responsible for how long a row stays under the finger, and for how long what slid there counts as not yet seen. Knows nothing of
items. Invariants: a move ends that, as whoever moves has seen where he is; times are those of a clock that never goes back.
"""

from __future__ import annotations

from time import monotonic
from typing import Final

HOLD_S: Final = 3.0  # after a move the order stays this long, so that a row does not leave under the finger
STARTLED_S: Final = 1.5  # until what slid under the cursor by itself can have been seen, and be what a key is about
_NEVER: Final = float("-inf")


class Hand:
    """The hand of one operator over one list."""

    def __init__(self) -> None:
        self._moved_at = self._startled_at = _NEVER

    def move(self) -> None:
        """The cursor was moved."""
        self._moved_at = monotonic()

    def startle(self) -> None:
        """Another item is under the cursor, which nobody moved."""
        self._startled_at = monotonic()

    def rest(self) -> None:
        """The order may change at once."""
        self._moved_at = _NEVER

    @property
    def is_moving(self) -> bool:
        """Say whether the cursor was moved just now."""
        return monotonic() - self._moved_at < HOLD_S

    @property
    def is_startled(self) -> bool:
        """Say whether what is under the cursor cannot have been seen there yet."""
        return self._startled_at > max(self._moved_at, monotonic() - STARTLED_S)
