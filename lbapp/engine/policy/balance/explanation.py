"""Why an algorithm chooses whom it chooses, in figures and in words.

Responsible for what an explanation is made of, and for in-flight counts that stand still while one is made. Knows nothing of any
one algorithm. Invariant: the lower a grade the better, whatever the algorithm.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from typing import Final, Protocol

SCORES_MAX: Final = 16  # in one explanation; how many there were is said beside them
# A few picks of those that learn are random, so that every server is measured now and then.
EXPLORATION_NOTE: Final = "at random: 1 in 100 is, so that every server is measured"
Grade = tuple[float, ...]


class _Counts(Protocol):
    def in_flight(self, indexes: Sequence[int]) -> list[int]:
        """See LoadReader."""


class KeptLoad:
    """In-flight counts as they were when they were first asked for. `counts`: by index, of those asked for."""

    def __init__(self, load: _Counts) -> None:
        self._load = load
        self.counts: dict[int, int] = {}

    def in_flight(self, indexes: Sequence[int]) -> list[int]:
        """See LoadReader."""
        counts = self.counts
        missing = [index for index in indexes if index not in counts]
        if missing:
            counts.update(zip(missing, self._load.in_flight(missing), strict=True))
        return [counts[index] for index in indexes]


@dataclass(frozen=True, slots=True)
class Weighing:
    """What an algorithm holds of each server that it may choose. `note`: what else there is to say."""

    grades: Mapping[int, Grade]  # by index
    words: Callable[[int], str]  # of one server's grade
    note: str = ""


@dataclass(frozen=True, slots=True)
class Score:
    """One server that could be chosen, its grade, and what that is made of."""

    index: int
    grade: Grade
    words: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Who is chosen, None: nobody can be; and those it was chosen from, the best first. `total`: how many these were."""

    chosen: int | None
    scores: tuple[Score, ...] = ()
    total: int = 0
    note: str = ""


def explained(chosen: int, weighing: Weighing) -> Explanation:
    """Put an explanation together; of very many servers the best are named, and the one that was chosen."""
    grades = weighing.grades
    best = nsmallest(SCORES_MAX, grades, key=lambda index: (grades[index], index != chosen, index))
    if chosen not in best:
        best[-1] = chosen
    note = weighing.note
    equals = sum(grade == grades[chosen] for grade in grades.values())
    if not note and equals > 1:
        note = f"{equals} are alike: one of them at random"
    scores = tuple([Score(index, grades[index], weighing.words(index)) for index in best])
    return Explanation(chosen, scores, len(grades), note)


def left_of(indexes: Collection[int], excluded: Collection[int]) -> list[int]:
    """Return the servers that may be chosen, in their order."""
    return [index for index in indexes if index not in excluded]


def load_words(count: int, weight: float) -> str:
    """Say what a server has to do for its weight, if one more came."""
    return f"({count} + 1) in flight / weight {weight:g} = {(count + 1) / weight:.3g}"


def bound_words(count: int, left: float) -> str:
    """Say how much a server has of what its balance factor lets it have. `left`: how many more it may have."""
    return f", {count} in flight of at most {count + left:g}" + ("" if left >= 1 else ": passed over")


def in_order(number: int) -> str:
    """Return a place in words: 1st, 2nd, 3rd, 11th."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def milliseconds(latency_us: float) -> str:
    """Return a latency, given in microseconds, in three digits."""
    return f"{latency_us / 1000:.3g} ms"
