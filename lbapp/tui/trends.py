"""The short past of every pool and server, for sparklines.

Responsible for keeping the last readings of one figure per name. Knows nothing of where they come from or how they are
drawn. Invariants: each name has at most `length` readings, and names that are gone from the newest reading are forgotten; to add
a reading costs one array, however many names there are.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Mapping, Sequence
from math import isnan, nan
from typing import Final

READINGS_PER_S: Final = 2
LENGTH: Final = 60  # readings
TREND_S: Final = LENGTH / READINGS_PER_S


class Trends:
    """The last readings by name."""

    def __init__(self, length: int = LENGTH) -> None:
        self._names: tuple[str, ...] = ()
        self._places: dict[str, int] = {}
        # One array for each reading, in the order of the names; seven digits are more than a sparkline shows.
        self._readings: deque[array[float]] = deque(maxlen=length)

    @classmethod
    def of_seconds(cls, seconds: Mapping[str, Sequence[float | None]]) -> Trends:
        """Return the trends of a past that was recorded by the second: each is as long as two readings. None: not known."""
        found = cls()
        length = max(map(len, seconds.values()), default=0)
        for at in range(-length, 0):
            reading = [nan if len(each) < -at or each[at] is None else each[at] or 0.0 for each in seconds.values()]
            for _ in range(READINGS_PER_S):
                found.add(tuple(seconds), reading)
        return found

    def add(self, names: tuple[str, ...], reading: Sequence[float]) -> None:
        """Append one value per name."""
        if names is not self._names and names != self._names:
            self._rename(names)
        self._readings.append(array("f", reading))

    def _rename(self, names: tuple[str, ...]) -> None:
        before = [self._places.get(name) for name in names]
        self._names, self._places = names, {name: place for place, name in enumerate(names)}
        for number, reading in enumerate(self._readings):
            self._readings[number] = array("f", [nan if place is None else reading[place] for place in before])

    def forget(self) -> None:
        """Keep nothing: what comes next does not follow on what was."""
        self._readings.clear()

    def still(self) -> Trends:
        """Return a copy that stays as it is."""
        found = Trends()
        found._names, found._places = self._names, self._places
        found._readings = self._readings.copy()
        return found

    def of(self, name: str) -> Sequence[float]:
        """Return what is known of a name, oldest first; empty when nothing is."""
        place = self._places.get(name)
        if place is None:
            return ()
        return tuple(value for reading in self._readings if not isnan(value := reading[place]))


def condensed(values: Sequence[float], width: int, each: int) -> Sequence[float]:
    """Return at most `width` means of `each` values, of the newest ones."""
    kept = values[-width * each :]
    first = len(kept) % each
    parts = [kept[:first]] if first else []
    parts += [kept[at : at + each] for at in range(first, len(kept), each)]
    return [sum(part) / len(part) for part in parts[-width:]]
