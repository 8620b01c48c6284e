"""Finding one of many by a few letters.

Responsible for what matches and what stands first. Knows nothing of what is looked for. Invariants: every word that is typed has
to match; what begins so stands before what contains it, and that before a title that has its letters in
their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

FOUND_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the things to choose from. `why_not`: it cannot be chosen now; `key`: what chooses it at once, as it is pressed."""

    id: str
    title: str
    note: str = ""
    key: str = ""
    why_not: str = ""


def find(choices: Sequence[tuple[str, Choice]], text: str) -> list[Choice]:
    """Return what matches, best first, at most FOUND_MAX. `choices`: each with its text in lower case."""
    words = text.lower().split()
    if not words:
        return [choice for _, choice in choices[:FOUND_MAX]]
    ranked: list[tuple[int, int, Choice]] = []
    for place, (name, choice) in enumerate(choices):
        ranks = [_rank(name, choice.title, word) for word in words]
        if min(ranks) >= 0:
            ranked.append((sum(ranks), place, choice))
    ranked.sort(key=lambda each: each[:2])
    return [choice for _, _, choice in ranked[:FOUND_MAX]]


def _rank(name: str, title: str, word: str) -> int:
    """Return how well a word matches, 0 best; -1: not at all."""
    at = name.find(word)
    if at == 0:
        return 0
    if at > 0:
        return 1 if name[at - 1] in " /" else 2
    place, name = -1, title.lower()
    for letter in word:
        place = name.find(letter, place + 1)
        if place < 0:
            return -1
    return 8
