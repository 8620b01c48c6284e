"""A weight that changes over time, and when that is to stop because attempts fail.

Responsible for the weight at each moment, and for the share of failed attempts over a sliding window. Knows nothing of servers,
and keeps no clock. Invariants: a ramp begins with one weight and ends with the other, and between them it never turns back; a
few failures among few attempts stop nothing; what is remembered is bounded.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

WINDOW_S: Final = 10.0
ATTEMPTS_MIN: Final = 20  # in the window, which grows until it has them: of fewer, a share says nothing


@dataclass(frozen=True, slots=True)
class Ramp:
    """From one weight to another. Times in seconds, by any one clock. `abort_percent`: of failed attempts; None: never."""

    before: int
    after: int
    began_s: float
    over_s: float
    abort_percent: float | None = None

    def weight(self, now_s: float) -> int:
        """Return the weight at a moment."""
        gone = 1.0 if self.over_s <= 0 else min(max(0.0, (now_s - self.began_s) / self.over_s), 1.0)
        return self.before + round((self.after - self.before) * gone)

    def left_s(self, now_s: float) -> float:
        """Return how long it still takes."""
        return min(max(0.0, self.began_s + self.over_s - now_s), self.over_s)

    def is_over(self, now_s: float) -> bool:
        """Say whether the goal is reached."""
        return now_s >= self.began_s + self.over_s


@dataclass(slots=True)
class Failures:
    """The share of failed attempts of late, from counts that only grow."""

    _samples: deque[tuple[float, int, int]] = field(default_factory=deque)

    def look(self, now_s: float, attempts: int, failed: int) -> None:
        """Take the counts into account as they are now."""
        samples = self._samples
        if len(samples) > 1 and samples[-1][1:] == samples[-2][1:] == (attempts, failed):
            samples.pop()  # nothing has moved: one moment of that is as good as all
        samples.append((now_s, attempts, failed))
        while len(samples) > 2 and samples[1][0] <= now_s - WINDOW_S and attempts - samples[1][1] >= ATTEMPTS_MIN:
            samples.popleft()

    def percent(self) -> float | None:
        """Return the share of failed attempts; None: there were too few to say."""
        if len(self._samples) < 2:
            return None
        _, first, failed_first = self._samples[0]
        _, last, failed_last = self._samples[-1]
        if last - first < ATTEMPTS_MIN:
            return None
        return 100 * (failed_last - failed_first) / (last - first)
