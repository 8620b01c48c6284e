"""The short past of every pool and server, for sparklines.

Responsible for keeping the last readings of one figure per name. Knows nothing of where they come from or how they are
drawn. Invariant: each name has at most `length` readings, and names that are gone from the newest reading are forgotten.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import Final

READINGS_PER_S: Final = 2
LENGTH: Final = 60  # readings
TREND_S: Final = LENGTH / READINGS_PER_S


class Trends:
    """The last readings by name."""

    def __init__(self, length: int = LENGTH) -> None:
        self._length = length
        self._readings: dict[str, array[float]] = {}  # a third of what objects would take, for ten thousand names

    @classmethod
    def of_seconds(cls, seconds: Mapping[str, Sequence[float | None]]) -> Trends:
        """Return the trends of a past that was recorded by the second: each is as long as two readings. None: not known."""
        found = cls()
        for name, values in seconds.items():
            readings = [value for value in values if value is not None for _ in range(READINGS_PER_S)]
            found._readings[name] = array("d", readings[-found._length :])
        return found

    def add(self, reading: Mapping[str, float]) -> None:
        """Append one value per name."""
        if reading.keys() != self._readings.keys():
            self._readings = {name: self._readings.get(name) or array("d") for name in reading}
        for name, value in reading.items():
            past = self._readings[name]
            past.append(value)
            if len(past) > self._length:
                del past[0]

    def still(self) -> Trends:
        """Return a copy that stays as it is."""
        found = Trends(self._length)
        found._readings = {name: past[:] for name, past in self._readings.items()}
        return found

    def of(self, name: str) -> Sequence[float]:
        """Return what is known of a name, oldest first; empty when nothing is."""
        return tuple(self._readings.get(name, ()))


def condensed(values: Sequence[float], width: int, each: int) -> Sequence[float]:
    """Return at most `width` means of `each` values, of the newest ones."""
    kept = values[-width * each :]
    first = len(kept) % each
    parts = [kept[:first]] if first else []
    parts += [kept[at : at + each] for at in range(first, len(kept), each)]
    return [sum(part) / len(part) for part in parts[-width:]]
