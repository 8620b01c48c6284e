"""Why a peer does something else than lbapp with a vector."""

from __future__ import annotations

from tests.fuzz.vectors.kinds import Vector

NO_REASON = "no reason is known"


def reason_for(peer: str, vector: Vector, ours: str, theirs: str) -> str:
    """Return the reason for a difference."""
    return NO_REASON
