"""Whether this console may change anything now, and else why not.

Responsible for the three ways to look only: started so, told so by the engine, locked by its operator. Knows nothing of keys or
of who the operator is. Invariant: what the engine or the command line has forbidden no key allows again.
"""

from __future__ import annotations

from typing import Final

STARTED: Final = "this console looks only: it was started with --read-only, or shows what a file keeps"
VIEWER: Final = "the engine lets you look only; members of the group engine.operators may change things"
AWAY: Final = "this is the past: 0 shows the newest, which can be changed"
LOCKED: Final = "this console is locked: R unlocks it"


class Rights:
    """What one console may do. `forbidden`: a sentence that says why it never may change anything; empty: it may."""

    def __init__(self, forbidden: str = "") -> None:
        self._forbidden = forbidden
        self._is_locked = False

    @property
    def why_not(self) -> str:
        """Why nothing can be changed now, as one sentence; empty: it can."""
        return self._forbidden or (LOCKED if self._is_locked else "")

    @property
    def may_unlock(self) -> bool:
        """Say whether it is a lock alone that keeps things from being changed."""
        return not self._forbidden

    def forbid(self, why: str) -> None:
        """Let nothing be changed any more."""
        self._forbidden = self._forbidden or why

    def lock(self) -> None:
        """Let nothing be changed until `unlock`."""
        self._is_locked = True

    def unlock(self) -> None:
        """Let things be changed again, unless that was forbidden."""
        self._is_locked = False
