"""Whether servers that are left can carry what a pool has carried at its peak.

Responsible for the peaks of the last hour, and for the judgement with its figures. Knows nothing of who takes servers away.

A server with a limit is trusted with that. One without is trusted with PEAK_FACTOR times the most of these: what it has carried;
what another of those left has carried (of a heavier one in proportion; a lighter one's is not scaled up, as one request too many
there would be a hundred here); and its part of the peak, had all that carried it shared it by weight.

Invariants: where no peak is known, nothing is refused; nor is, without limits, what leaves 1 / PEAK_FACTOR of the weight that
carried the peak, however unevenly that was spread. Every server that is left is trusted with its own share, or the change is
refused. What is remembered is bounded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from lbapp.model.limits import PEAK_FACTOR, PEAK_MIN, PEAK_MINUTES


@dataclass(frozen=True, slots=True)
class Peak:
    """The most that a pool has had in flight, when (Unix seconds), and the weights of the servers that had it between them."""

    in_flight: int = 0
    at_s: float = 0.0
    weights: tuple[int, ...] = ()


@dataclass(slots=True)
class Minute:
    """The peaks of one minute, `number` minutes after 1970: of the pool, and of each server, by its row."""

    number: int
    peak: Peak = Peak()
    each: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class Peaks:
    """The most that a pool and its servers, by row, have had in flight in each of the last PEAK_MINUTES minutes."""

    _minutes: deque[Minute] = field(default_factory=lambda: deque(maxlen=PEAK_MINUTES))

    def note(self, now_s: float, in_flight: Mapping[int, int], weight: Callable[[int], int]) -> None:
        """Take into account what is in flight now, by server; those that have nothing may be left out.

        `weight` says what the weight of a server is now; it is asked for at a peak only.
        """
        number = int(now_s // 60)
        if not self._minutes or self._minutes[-1].number != number:
            self._minutes.append(Minute(number))
        minute = self._minutes[-1]
        total = sum(in_flight.values())
        if total > minute.peak.in_flight:
            minute.peak = Peak(total, now_s, tuple([weight(server) for server, count in in_flight.items() if count]))
        each = minute.each
        for server, count in in_flight.items():
            if count > each.get(server, 0):
                each[server] = count

    def peak(self, now_s: float) -> Peak:
        """Return the most that the pool has had in flight in the last hour, and the last time that it had that."""
        peaks = [minute.peak for minute in self._of_the_hour(now_s)]
        return max(peaks, key=lambda peak: (peak.in_flight, peak.at_s), default=Peak())

    def of(self, server: int, now_s: float) -> int:
        """Return the most that a server has had in flight in the last hour."""
        return max((minute.each.get(server, 0) for minute in self._of_the_hour(now_s)), default=0)

    def known(self) -> list[Minute]:
        """Return what is remembered, the latest last."""
        return list(self._minutes)

    def know(self, minutes: Sequence[Minute]) -> None:
        """Go on with what `known` has said elsewhere."""
        self._minutes = deque(minutes, maxlen=PEAK_MINUTES)

    def _of_the_hour(self, now_s: float) -> list[Minute]:
        return [minute for minute in self._minutes if minute.number > now_s // 60 - PEAK_MINUTES]


@dataclass(frozen=True, slots=True)
class Left:
    """A server that is left for new clients.

    `part`: what its share is counted by, its weight as a rule, more than 0. `limit`: what it may have in flight, 0: no limit.
    `carried`: the most it has had.
    """

    server: str
    part: int
    limit: int
    carried: int


def too_little(left: Sequence[Left], peak: int, parts_at_peak: int, when: str) -> str:
    """Return why servers cannot carry a peak, in a sentence with the figures; empty: they can, or nothing is known of it.

    `parts_at_peak`: the sum of the parts of those that carried it, 0: unknown. `when`: as the sentence is to say it.
    """
    if not left:
        return ""
    told = f"{peak} were in flight at {when}, the peak of the last hour"
    count = f"{len(left)} server{'' if len(left) == 1 else 's'} left"
    room = sum(server.limit for server in left)
    if all(server.limit for server in left):
        return "" if room >= peak else f"{told}; the {count} may have {room} together"
    if peak < PEAK_MIN or not parts_at_peak:
        return ""
    heaviest, share = _greatest_share(left, peak)
    most = max(each.carried * min(1.0, heaviest.part / each.part) for each in left)
    if share <= PEAK_FACTOR * max(most, peak * heaviest.part / parts_at_peak):
        return ""
    others = "" if most <= heaviest.carried else f", and by weight no other more than {most:.0f}"
    return (
        f"{told}; of the {count} {heaviest.server} would get {share:.0f} and has had {heaviest.carried} at most{others}"
    )


def _greatest_share(left: Sequence[Left], peak: int) -> tuple[Left, float]:
    """Return the heaviest of the servers without limit, of which there is one, and its share: what has no room elsewhere, too.

    If that one is trusted with its share, every lighter one is with its own: both the share and the trust shrink with the weight,
    and the trust no faster.
    """
    rest, parts = float(peak), sum(server.part for server in left)
    for server in sorted([each for each in left if each.limit], key=lambda each: each.limit / each.part):
        if rest * server.part <= server.limit * parts:
            break
        rest, parts = rest - server.limit, parts - server.part
    heaviest = max((each for each in left if not each.limit), key=lambda each: each.part)
    return heaviest, rest * heaviest.part / parts
