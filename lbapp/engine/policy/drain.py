"""How far a drain has come.

Responsible for the figures that the supervisor acts on and the API shows. Knows nothing of who is drained, and keeps no
clock. Invariant: what is shown and what is acted on are the same value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from math import log
from typing import Final

_SEEN_MIN_S: Final = 1.0  # a prediction from less would be a guess
Sample = tuple[float, int]  # when, and how much was in flight


class DrainPhase(str, Enum):
    """Where a drain stands."""

    DRAINING = "draining"
    DRAINED = "drained"
    OVERDUE = "overdue"


@dataclass(frozen=True, slots=True)
class DrainProgress:
    """A drain at one moment. Seconds."""

    phase: DrainPhase
    remaining_s: float


def drain_progress(since_s: float, timeout_s: float, in_flight: int, now_s: float) -> DrainProgress:
    """Say how far a drain is that began at `since_s` and closes by force after `timeout_s`."""
    remaining_s = max(0.0, since_s + timeout_s - now_s)
    if not in_flight:
        return DrainProgress(DrainPhase.DRAINED, remaining_s)
    return DrainProgress(DrainPhase.DRAINING if remaining_s else DrainPhase.OVERDUE, remaining_s)


def predicted_finish_s(samples: Sequence[Sample], remaining_s: float) -> float | None:
    """Return in how many seconds nothing will be in flight any more, if it goes on as it went; never later than the force.

    What is in flight falls by a share of itself in each span of time, as long and short requests end at random. None: too
    little is known, or it does not fall. `samples`: the oldest first.
    """
    if not samples:
        return None
    (first_s, most), (last_s, left) = samples[0], samples[-1]
    if left <= 0:
        return 0.0
    if last_s - first_s < _SEEN_MIN_S or left >= most:
        return None
    falls = log(most / left) / (last_s - first_s)
    return min(log(2 * left) / falls, remaining_s)
