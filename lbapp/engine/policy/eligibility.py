"""Which of a pool's servers may get new clients.

Responsible for what can only be said of all servers of a pool together: backups serve when nobody else can, and in a panic
health is ignored. The same rule for workers and supervisor. Knows nothing of how a server was found to be healthy.

Invariants: backups and other servers are never in use at the same time; a server that is not wanted by the operator, or wants
no new clients itself, gets none, panic or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Candidate:
    """One server. `is_wanted`: operator, weight and the server itself have nothing against new clients."""

    is_wanted: bool
    is_healthy: bool
    is_backup: bool = False


@dataclass(frozen=True, slots=True)
class Eligible:
    """For each candidate whether it may get new clients, and whether health is ignored in that."""

    chosen: list[bool]
    is_panic: bool = False


def eligible(candidates: Sequence[Candidate], panic_percent: int = 0) -> Eligible:
    """Choose from all servers of a pool. In panic are those that are no backups, when no backup is healthy either."""
    healthy = [each.is_wanted and each.is_healthy for each in candidates]
    if panic_percent and not any(good and each.is_backup for good, each in zip(healthy, candidates, strict=True)):
        wanted = sum(each.is_wanted and not each.is_backup for each in candidates)
        if sum(healthy) * 100 < panic_percent * wanted:
            return Eligible([each.is_wanted and not each.is_backup for each in candidates], is_panic=True)
    pairs = list(zip(healthy, candidates, strict=True))
    are_backups_wanted = not any(good and not each.is_backup for good, each in pairs)
    return Eligible([good and each.is_backup is are_backups_wanted for good, each in pairs])
