"""Whether servers that are left can carry what a pool has carried at its peak.

Responsible for the peaks of the last hour, and for the judgement with its figures. Knows nothing of who takes servers away.
Invariants: where nothing is known, nothing is refused; nothing is refused that leaves half of the servers of equal weight; what
is remembered is bounded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

MINUTES: Final = 60
PEAK_MIN: Final = 10  # in flight: of less, no server is too full
FACTOR: Final = 2.0  # beyond what any of them has carried, a server is not trusted to carry it


@dataclass(slots=True)
class _Minute:
    number: int
    total: int = 0
    each: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Peaks:
    """The most that a pool and its servers have had in flight in each of the last MINUTES minutes."""

    _minutes: deque[_Minute] = field(default_factory=lambda: deque(maxlen=MINUTES))

    def note(self, now_s: float, in_flight: Mapping[str, int]) -> None:
        """Take into account what is in flight now, by server."""
        number = int(now_s // 60)
        if not self._minutes or self._minutes[-1].number != number:
            self._minutes.append(_Minute(number))
        minute = self._minutes[-1]
        minute.total = max(minute.total, sum(in_flight.values()))
        for server, count in in_flight.items():
            minute.each[server] = max(minute.each.get(server, 0), count)

    def total(self, now_s: float) -> int:
        """Return the most that the pool has had in flight in the last hour."""
        return max((minute.total for minute in self._of_the_hour(now_s)), default=0)

    def of(self, server: str, now_s: float) -> int:
        """Return the most that a server has had in flight in the last hour."""
        return max((minute.each.get(server, 0) for minute in self._of_the_hour(now_s)), default=0)

    def _of_the_hour(self, now_s: float) -> list[_Minute]:
        return [minute for minute in self._minutes if minute.number > now_s // 60 - MINUTES]


@dataclass(frozen=True, slots=True)
class Left:
    """A server that is left for new clients. `limit`: what it may have in flight, 0: no limit; `carried`: the most it has had."""

    weight: int
    limit: int
    carried: int


def too_little(left: Sequence[Left], peak: int) -> str:
    """Return why servers cannot carry a peak, in a sentence with the figures; empty: they can, or nothing is known of it."""
    if peak < PEAK_MIN or not left:
        return ""
    count = f"{len(left)} server{'' if len(left) == 1 else 's'} left"
    if all(server.limit for server in left):
        room = sum(server.limit for server in left)
        told = f"the {count} may have {room} in flight together, and {peak} were at the peak of the last hour"
        return "" if room >= peak else told
    carried, weights = max(server.carried for server in left), sum(server.weight for server in left)
    least = min(peak * server.weight / weights for server in left)
    if not carried or least <= FACTOR * carried:
        return ""
    would = f"none has had more than {carried} since then, and each would get {least:.0f}"
    return f"{peak} were in flight at the peak of the last hour; of the {count} {would}"
