"""Which servers fail more than the others, for how long they are ejected, and when they return.

Responsible for the criteria, the growing time and the cap. Knows nothing of counters' places, states or sockets, and keeps no
clock.

A look is at what was counted since the last one, over all workers. Errors without any other answer within one look add up over
looks; one good answer ends the row. So an order of events within a look is never guessed at. Source: Envoy's outlier detection.

Invariants: never more are ejected than the cap allows, nor the last one that is left; every ejection ends; what is ejected
again is so for longer, up to the maximum, and good time shortens that again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import sqrt

from lbapp.model.passive import Outlier


@dataclass(frozen=True, slots=True)
class Tally:
    """What a server had since the last look: answers of all kinds, and those that were failures or 5xx."""

    requests: int
    errors: int


@dataclass(frozen=True, slots=True)
class Ejected:
    """A server is to get no new clients until `until_s`."""

    server: str
    reason: str
    until_s: float


@dataclass(frozen=True, slots=True)
class Returned:
    """A server's ejection is over."""

    server: str


@dataclass(slots=True)
class _Record:
    row: int = 0  # errors without another answer
    requests: int = 0  # in this interval
    errors: int = 0
    times: int = 0  # ejected, less one for each good interval
    until_s: float | None = None  # ejected until then
    is_absent: bool = True


@dataclass(slots=True)
class Outliers:
    """The servers of one pool."""

    settings: Outlier
    _records: dict[str, _Record] = field(default_factory=dict)
    _interval_ends_s: float | None = None

    def look(self, tallies: Mapping[str, Tally], now_s: float) -> list[Ejected | Returned]:
        """Take in what was counted since the last look; return what is to be done, in this order.

        `tallies` has an entry for every server that could get clients but for being ejected; who has none is out for another
        reason, which ends an ejection too.
        """
        settings, done = self.settings, list[Ejected | Returned]()
        self._note(tallies)
        for name, record in self._records.items():
            if record.until_s is not None and (record.until_s <= now_s or record.is_absent):
                record.until_s, record.row = None, 0
                done.append(Returned(name))
        for name, record in self._records.items():
            limit = settings.consecutive_errors
            if limit and record.row >= limit and self._may_eject(record):
                done.append(self._eject(name, record, f"{record.row} errors in a row", now_s))
        if self._interval_ends_s is None:
            self._interval_ends_s = now_s + settings.interval_s
        elif now_s >= self._interval_ends_s:
            self._interval_ends_s = now_s + settings.interval_s
            done += self._compare(now_s)
        return done

    def known(self, server: str, now_s: float) -> tuple[int, float | None]:
        """Return how often a server was ejected, as its next time is counted, and for how long it still is; None: it is not."""
        record = self._records.get(server, _Record())
        return record.times, None if record.until_s is None else max(0.0, record.until_s - now_s)

    def know(self, server: str, times: int, left_s: float | None, now_s: float) -> None:
        """Go on with what `known` has said elsewhere."""
        self._records[server] = _Record(
            times=times, until_s=None if left_s is None else now_s + left_s, is_absent=False
        )

    def _note(self, tallies: Mapping[str, Tally]) -> None:
        for record in self._records.values():
            record.is_absent = True
        for name, tally in tallies.items():
            record = self._records.setdefault(name, _Record())
            record.is_absent = False
            record.requests += tally.requests
            record.errors += tally.errors
            record.row = record.row + tally.errors if tally.errors >= tally.requests else 0

    def _may_eject(self, record: _Record) -> bool:
        present = [each for each in self._records.values() if not each.is_absent]
        out = sum(each.until_s is not None for each in present)
        cap = max(1, len(present) * self.settings.ejected_percent_max // 100)
        return record in present and record.until_s is None and out < cap and out + 1 < len(present)

    def _eject(self, name: str, record: _Record, reason: str, now_s: float) -> Ejected:
        settings = self.settings
        record.times += 1
        record.until_s = now_s + min(settings.ejection_s * record.times, settings.ejection_max_s)
        record.row = 0
        return Ejected(name, reason, record.until_s)

    def _compare(self, now_s: float) -> list[Ejected]:
        """Compare success rates over the interval that ends, and begin the next one."""
        settings, done = self.settings, []
        rates = {
            name: 1.0 - record.errors / record.requests
            for name, record in self._records.items()
            if record.until_s is None and not record.is_absent and record.requests >= max(1, settings.requests_min)
        }
        if settings.deviations and len(rates) >= settings.servers_min:
            mean = sum(rates.values()) / len(rates)
            deviation = sqrt(sum((rate - mean) ** 2 for rate in rates.values()) / len(rates))
            limit = mean - settings.deviations * deviation
            for name, rate in sorted(rates.items(), key=lambda pair: pair[1]):
                record = self._records[name]
                if rate < limit and self._may_eject(record):
                    reason = f"{rate:.1%} of its requests succeed, {mean:.1%} in the pool"
                    done.append(self._eject(name, record, reason, now_s))
        for record in self._records.values():
            if record.until_s is None and record.requests > record.errors:
                record.times = max(0, record.times - 1)
            record.requests = record.errors = 0
        return done
