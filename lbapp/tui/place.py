"""Where the operator is: a screen, and what it is about.

Responsible for the names of the screens, their numbers and the way back. Knows nothing of what they show. Invariant: a
way back is never longer than BACK_MAX, and a number key begins a new one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

BACK_MAX: Final = 32


@dataclass(frozen=True, slots=True)
class Place:
    """A screen by its name, and its subject: a pool, a server's id, a filter; empty: everything."""

    screen: str
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Tab:
    """A screen with a number. `also`: screens that are reached from it and stand under its number."""

    key: str
    title: str
    screen: str
    also: tuple[str, ...] = ()

    def has(self, screen: str) -> bool:
        """Say whether a screen stands under this number."""
        return screen == self.screen or screen in self.also


TABS: Final = (
    Tab("1", "Overview", "overview"),
    Tab("2", "Pools", "pools", ("pool",)),
    Tab("3", "Servers", "servers", ("server",)),
    Tab("4", "Requests", "requests"),
    Tab("5", "Events", "events"),
    Tab("6", "Config", "config"),
    Tab("7", "Nodes", "nodes"),
)
FIRST: Final = Place("overview")


class Way:
    """Where the operator is, and how he came there."""

    def __init__(self, here: Place = FIRST) -> None:
        self.here = here
        self._before: list[Place] = []

    def begin(self, place: Place) -> None:
        """Go to a screen by its number."""
        self.here, self._before = place, []

    def enter(self, place: Place) -> None:
        """Go on to a place; `leave` comes back here, or to where a subject was entered from that only changes for another."""
        if place.screen == self.here.screen and place.subject and self.here.subject:
            self.here = place
        elif place != self.here:
            self._before = [*self._before, self.here][-BACK_MAX:]
            self.here = place

    def leave(self) -> bool:
        """Go back; say whether that went anywhere."""
        before = self._before.pop() if self._before else FIRST
        has_moved = before != self.here
        self.here = before
        return has_moved
