"""A limit of the fleet, divided among the nodes that live.

Responsible for a node's part of a total. Knows nothing of the store, of clocks or of what is limited.

Invariants: the parts of all nodes differ by one at most, and their sum is the total; but no node has none, so a total that is
smaller than the number of nodes is exceeded; a node that is alone has all of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Which of the nodes that live this one is, by name, from 0; and how many there are."""

    index: int = 0
    count: int = 1

    def part_of(self, total: int) -> int:
        """Return this node's part of a limit of the fleet; 0: there is no limit."""
        if not total:
            return 0
        return max(1, total // self.count + (self.index < total % self.count))

    def limit(self, own: int, total: int) -> int:
        """Return what holds here: the node's own limit or its part of the fleet's, whichever is smaller; 0: there is none."""
        return min(filter(None, (own, self.part_of(total))), default=0)


ALONE = Place()


def place_of(name: str, members: Iterable[str]) -> Place:
    """Return the place of a node among members, as one of whom it counts whether or not it is named."""
    names = sorted({*members, name})
    return Place(names.index(name), len(names))
