"""Which items of a list are marked.

Responsible for marks, for the range that is being marked, and for forgetting what is gone. Knows nothing of rows on a screen or
of what marks are for. Invariant: a mark is an id and stays on it, wherever the item stands and whether it is shown or not,
until it is taken back or the item is gone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence


class Marks:
    """The ids that are marked. `anchor`: where a range began that is still being marked."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self.anchor: str | None = None

    @property
    def is_empty(self) -> bool:
        """Say whether nothing is marked and no range was begun."""
        return not self._ids and self.anchor is None

    def toggle(self, identity: str) -> None:
        """Mark an item, or take its mark back."""
        self._ids ^= {identity}

    def toggle_all(self, identities: Collection[str]) -> None:
        """Mark all of these; when they all are, take their marks back."""
        self._ids = self._ids - set(identities) if self._ids.issuperset(identities) else self._ids | set(identities)

    def end_range(self, identities: Collection[str]) -> None:
        """Mark what the range has come to."""
        self._ids |= set(identities)
        self.anchor = None

    def clear(self) -> bool:
        """Take back the range, else all marks; say whether there was anything to take back."""
        if self.anchor is not None:
            self.anchor = None
            return True
        had_any, self._ids = bool(self._ids), set()
        return had_any

    def keep(self, existing: Collection[str]) -> None:
        """Forget all others."""
        self._ids.intersection_update(existing)
        if self.anchor not in existing:
            self.anchor = None

    def range_to(self, current: str, shown: Sequence[str]) -> Sequence[str]:
        """Return what the range has come to: from its beginning to the current item, as they are shown."""
        if self.anchor is None or self.anchor not in shown or current not in shown:
            return ()
        ends = sorted((shown.index(self.anchor), shown.index(current)))
        return shown[ends[0] : ends[1] + 1]

    def with_range(self, in_range: Collection[str]) -> frozenset[str]:
        """Return every marked id, those in the range too."""
        return frozenset(self._ids.union(in_range))

    def words(self, marked: int, hidden: int) -> str:
        """Return how many are marked, and how many of them the filter hides."""
        word = "marked" if self.anchor is None else "marking"
        return f"{word} {marked:,}{f' ({hidden:,} hidden)' if hidden else ''}"
