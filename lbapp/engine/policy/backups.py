"""Which of a pool's servers are in use: the backups only when nobody else is left.

Responsible for that one rule, for workers and supervisor alike. Knows nothing of health or weights. Invariant: backups and other
servers are never in use at the same time.
"""

from __future__ import annotations

from collections.abc import Sequence


def in_use(eligible: Sequence[bool], backups: Sequence[bool]) -> list[bool]:
    """Say for each server whether it may get new clients. Both are as long: who is eligible, and who is a backup."""
    pairs = list(zip(eligible, backups, strict=True))
    is_backup_wanted = not any(is_eligible and not is_backup for is_eligible, is_backup in pairs)
    return [is_eligible and is_backup is is_backup_wanted for is_eligible, is_backup in pairs]
