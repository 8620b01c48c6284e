"""What was counted over the last minutes, in steps that add up.

Responsible for keeping the amounts of the last steps in few bytes, and for choosing the steps that make up a window. Knows
nothing of readings, of names that come and go, or of the clock: times are arguments, in monotonic seconds.

Invariants: what is kept is bounded by the number of steps; a window is at least as long as what was asked for, unless there have
not been so many steps, and at most one step longer; what a step holds never changes any more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from lbapp.model.amounts import NOTHING, Amounts, Subject, added
from lbapp.model.histogram import packed, unpacked


class _Packed(NamedTuple):
    requests: int
    errors: int
    histograms: tuple[bytes, ...]


class Step(NamedTuple):
    """What was counted from one moment to another; who counted nothing is not in it."""

    began_s: float
    of: Mapping[Subject, _Packed]

    def amounts(self, subject: Subject) -> Amounts:
        """Return what was counted of one."""
        found = self.of.get(subject)
        if found is None:
            return NOTHING
        return Amounts(found.requests, found.errors, tuple(map(unpacked, found.histograms)))


class Steps:
    """The last `most` steps."""

    def __init__(self, most: int) -> None:
        self._kept: deque[Step] = deque(maxlen=most)

    def add(self, began_s: float, counted: Mapping[Subject, Amounts]) -> None:
        """Keep a step that ends now."""
        kept = {
            subject: _Packed(amounts.requests, amounts.errors, tuple(map(packed, amounts.histograms)))
            for subject, amounts in counted.items()
        }
        self._kept.append(Step(began_s, kept))

    def since(self, at_s: float, end_s: float) -> Window:
        """Return the steps that are needed to go back to `at_s`, from `end_s`: when the last one ended."""
        chosen: list[Step] = []
        began_s = end_s
        for step in reversed(self._kept):
            if began_s <= at_s:
                break
            chosen.append(step)
            began_s = step.began_s
        return Window(began_s, tuple(chosen))


class Window(NamedTuple):
    """Some steps together. It may be used in any thread."""

    began_s: float
    steps: tuple[Step, ...]

    def amounts(self, subject: Subject, rest: Amounts = NOTHING) -> Amounts:
        """Return what was counted of one, and in the `rest` of the time."""
        parts = [step.amounts(subject) for step in self.steps if subject in step.of]
        return added([rest, *parts])
