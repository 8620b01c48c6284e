"""How far a drain has come.

Responsible for the figures that the supervisor acts on and the API shows. Knows nothing of who is drained, and keeps no
clock. Invariant: what is shown and what is acted on are the same value.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


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
