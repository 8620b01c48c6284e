"""Who waits for room at a pool's servers, and in which order they get it.

Responsible for the order among those who wait in one worker: whoever came first, of those that what has become free suits. Knows
nothing of sockets, servers' loads or clocks.

Invariants: everybody who waits is in exactly one line; within a line nobody is passed; a line whose first cannot be served keeps
no other line waiting.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from operator import attrgetter
from typing import Generic, Protocol, TypeVar


class Waits(Protocol):
    """One that waits. `wants`: equal for all whom the same servers suit; None: any server of the pool."""

    wants: Hashable
    arrived_ns: int


_W = TypeVar("_W", bound=Waits)


class WaitingLines(Generic[_W]):
    """Lines by what their members want, each in the order of arrival."""

    def __init__(self) -> None:
        self._lines: dict[Hashable, deque[_W]] = {}
        self.length = 0

    def __bool__(self) -> bool:
        return self.length > 0

    def add(self, waiting: _W) -> None:
        """Put one where it belongs among those that want the same: behind all who came before it."""
        line = self._lines.setdefault(waiting.wants, deque())
        if line and line[-1].arrived_ns > waiting.arrived_ns:
            insort(line, waiting, key=attrgetter("arrived_ns"))
        else:
            line.append(waiting)
        self.length += 1

    def remove(self, waiting: _W) -> None:
        """Take one out, wherever it stands."""
        line = self._lines[waiting.wants]
        line.remove(waiting)
        self.length -= 1
        if not line:
            del self._lines[waiting.wants]

    def first_of(self, wants: Hashable) -> _W | None:
        """Return who is next among those that want the same."""
        line = self._lines.get(wants)
        return line[0] if line else None

    def everybody(self) -> list[_W]:
        """Return all who wait, line by line."""
        return [waiting for line in self._lines.values() for waiting in line]

    def overdue(self, before_ns: int) -> list[_W]:
        """Return who came before that time."""
        found = []
        for line in self._lines.values():
            for waiting in line:
                if waiting.arrived_ns >= before_ns:
                    break
                found.append(waiting)
        return found

    def serve(self, is_served: Callable[[_W], bool]) -> Iterator[_W]:
        """Offer what is free to the first of each line, the longest wait first, until nobody takes any.

        `is_served` says whether that one got what it wanted; it is then taken out of its line and yielded.
        """
        while self._lines:
            for line in sorted(self._lines.values(), key=_arrival):
                waiting = line[0]
                if is_served(waiting):
                    self.remove(waiting)
                    yield waiting
                    break
            else:
                return


def _arrival(line: deque[_W]) -> int:
    return line[0].arrived_ns
