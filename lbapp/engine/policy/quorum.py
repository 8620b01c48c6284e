"""Whether a node of a fleet may be drained.

Responsible for how many members have to be ready then. Knows nothing of the store or of clocks. Invariant: what takes no ready
member away is always allowed.
"""

from __future__ import annotations

from collections.abc import Collection


def needed(known: int, ready_min: int | None) -> int:
    """Return how many members have to be ready. `known`, `ready_min`: as of `too_few`."""
    return -(-known // 2) if ready_min is None else ready_min


def too_few(target: str, ready: Collection[str], known: int, ready_min: int | None) -> str:
    """Return why a node is not to be drained; empty: it may be.

    `ready`: the members that are; `known`: how many there are at all; `ready_min` None: half of them.
    """
    if target not in ready:
        return ""
    wanted = needed(known, ready_min)
    left = len(ready) - 1
    if left >= wanted:
        return ""
    told = "half of them" if ready_min is None else "cluster.ready_min"
    return f"{left} of {known} members would be ready without {target}, and {wanted} have to be ({told})"
