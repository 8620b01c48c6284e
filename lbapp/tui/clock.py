"""The engine's clock, as far as it can be known from here.

Responsible for how old a scene is that has come a long way. Knows nothing of connections. The clocks of two hosts differ, and
only what comes in tells by how much: what came the fastest shows the difference best, and what takes longer than that is late.

Invariants: figures are never called younger than they are by more than the fastest way took; a clock that drifts or is put back
does not make fresh figures old; until another engine is heard, figures grow old by what the last one said.
"""

from __future__ import annotations

from typing import Final

DRIFT: Final = 0.0005  # seconds per second: what clocks that are being corrected lose or gain at most


class EngineClock:
    """Times of the engine are Unix seconds, those of here (`now_s`) monotonic."""

    def __init__(self) -> None:
        self._at = 0.0
        self._heard_s = 0.0
        self._ahead_s = 0.0  # of here before the engine, the fastest way included
        self._is_new = True  # what was heard before says nothing about what is heard next

    def restart(self) -> None:
        """Begin anew with what is heard next: another connection, or another engine. What there is goes on growing old."""
        self._is_new = True

    def hear(self, at: float, now_s: float) -> None:
        """Take that figures of `at` came in just now."""
        ahead_s = now_s - at
        if not self._is_new and at >= self._at:  # else its clock was put back
            ahead_s = min(ahead_s, self._ahead_s + (now_s - self._heard_s) * DRIFT)
        self._at, self._heard_s, self._ahead_s, self._is_new = at, now_s, ahead_s, False

    def now(self, now_s: float) -> float:
        """Return the engine's time."""
        return now_s - self._ahead_s

    def age_s(self, now_s: float) -> float:
        """Return how old the newest figures are."""
        return max(0.0, self.now(now_s) - self._at)
