"""Many clients turned away make one thing to say: that it began, and how it ended.

Responsible for turning a counter that is looked at now and then into the beginning and the end of an episode. Knows nothing of
what is counted and keeps no clock. Invariant: beginnings and ends alternate, and the counts of the ends add up to the counter.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Began:
    """The counter has begun to grow."""


@dataclass(frozen=True, slots=True)
class Ended:
    """It has not grown for a while. `count`: by how much it did, over `seconds`."""

    count: int
    seconds: float


class Episodes:
    """The episodes of one counter."""

    def __init__(self, total: int, quiet_s: float) -> None:
        self._quiet_s = quiet_s
        self._seen = total
        self._before = total
        self._began_s: float | None = None
        self._grew_s = 0.0

    @property
    def is_under_way(self) -> bool:
        """Say whether an episode has begun and not ended."""
        return self._began_s is not None

    def look(self, total: int, now_s: float) -> Began | Ended | None:
        """Take in the counter as it is now; return what there is to say."""
        has_grown = total > self._seen
        self._seen = total
        if has_grown:
            self._grew_s = now_s
            if self._began_s is None:
                self._began_s = now_s
                return Began()
        elif self._began_s is not None and now_s - self._grew_s >= self._quiet_s:
            ended = Ended(total - self._before, self._grew_s - self._began_s)
            self._before, self._began_s = total, None
            return ended
        return None
