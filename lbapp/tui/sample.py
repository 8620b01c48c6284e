"""The sample of the last minute: how many exchanges of which kind ended, and how long they took.

Responsible for counting over SPAN_S, by status class, route, pool or status. Knows nothing of where exchanges come from; time
comes in as an argument.

Invariants: no more than ROWS_MAX rows are kept. The engine sends what failed or was slow before all else: these count as they
are, and what was left out counts as ordinary ones, so that each weighs in rates and shares as much as it did in truth. What
nobody saw is no row.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from lbapp.tui.exchanges import SLOW_MS, ExchangeRow

SPAN_S: Final = 60.0
ROWS_MAX: Final = 3_000
CLASSES: Final = ("2xx", "3xx", "4xx", "5xx")
_plain_word = re.compile(r"[A-Za-z][A-Za-z_-]{0,23}").fullmatch
_version = re.compile(r"v\d{1,3}").fullmatch


@dataclass(frozen=True, slots=True)
class Group:
    """Exchanges that are alike. `requests_per_s` is reckoned; `failed`: share of 1; `p50`, `p99` in milliseconds."""

    name: str
    seen: int
    requests_per_s: float
    failed: float
    p50: float
    p99: float


def route_of(row: ExchangeRow) -> str:
    """Return method and path, what looks like an id in it as a star; of what had none, what it was."""
    return _route(row.method, row.path) if row.method else what_without_request(row)


def what_without_request(row: ExchangeRow) -> str:
    """Return what an exchange was that has no request: a connection of TCP, or something that was answered all the same."""
    return "tcp" if row.status is None else f"no request: {row.outcome.replace('_', ' ')}"


@lru_cache(4_096)
def _route(method: str, path: str) -> str:
    kept: list[str] = []
    for part in path.strip("/").split("/"):
        if not _is_word(part) or (len(kept) >= 2 and not _version(kept[-1])):
            kept.append("*")
            break
        kept.append(part)
    return f"{method} /{'/'.join(kept)}"


@lru_cache(4_096)
def _is_word(part: str) -> bool:
    return bool(_plain_word(part) or _version(part))


def pool_of(row: ExchangeRow) -> str:
    """Return its pool."""
    return row.pool or "-"


def status_of(row: ExchangeRow) -> str:
    """Return its status, or how it ended without one."""
    return str(row.status) if row.status is not None else row.outcome


GROUPINGS: Final[Mapping[str, Callable[[ExchangeRow], str]]] = {
    "route": route_of,
    "pool": pool_of,
    "status": status_of,
}


class Sample:
    """What was seen of late."""

    def __init__(self) -> None:
        self._rows: deque[tuple[float, ExchangeRow]] = deque()
        self._skipped: deque[tuple[float, int]] = deque()
        self._since: float | None = None
        self._full_since: float | None = None  # of a sample so full that it does not reach back SPAN_S

    def clear(self) -> None:
        """Forget all of it: what is looked at is something else from now on."""
        self._rows.clear()
        self._skipped.clear()
        self._since = self._full_since = None

    def add(self, rows: Iterable[ExchangeRow], skipped: int, now: float) -> None:
        """Count rows that came, and so many more that did not."""
        if self._since is None:
            self._since = now
        self._rows.extend((now, row) for row in rows)
        if skipped:
            self._skipped.append((now, skipped))
        self.forget(now)

    def forget(self, now: float) -> None:
        """Let go of what is older than SPAN_S."""
        while len(self._rows) > ROWS_MAX:
            self._full_since = self._rows.popleft()[0]
        while self._rows and self._rows[0][0] < now - SPAN_S:
            self._rows.popleft()
        oldest = max(now - SPAN_S, self._full_since or 0.0)
        while self._skipped and self._skipped[0][0] < oldest:
            self._skipped.popleft()

    @property
    def seen(self) -> int:
        """Exchanges in the sample."""
        return len(self._rows)

    @property
    def share(self) -> float | None:
        """Which share was seen of the ordinary ones, 0.0 to 1.0; of all, where none of these was. None: nothing was seen."""
        if not self.seen:
            return None
        ordinary = sum(not is_preferred(row) for _, row in self._rows) or self.seen
        return ordinary / (ordinary + sum(skipped for _, skipped in self._skipped))

    def _weigher(self) -> Callable[[ExchangeRow], float]:
        """Return for how many that ended a row stands."""
        each = 1 / (self.share or 1.0)
        if all(is_preferred(row) for _, row in self._rows):
            return lambda _row: each
        return lambda row: 1.0 if is_preferred(row) else each

    def span_s(self, now: float) -> float:
        """Return how far back it reaches, in seconds."""
        begin = max(self._since if self._since is not None else now, self._full_since or 0.0)
        return min(SPAN_S, max(0.0, now - begin))

    def classes(self) -> dict[str, float]:
        """Return the share of each class of status among those that ended; what had no status counts in none."""
        weight = self._weigher()
        counts, total = dict.fromkeys(CLASSES, 0.0), 0.0
        for _, row in self._rows:
            total += weight(row)
            name = f"{(row.status or 0) // 100}xx"
            if name in counts:
                counts[name] += weight(row)
        return {name: number / total for name, number in counts.items()} if total else {}

    def groups(self, by: Callable[[ExchangeRow], str], now: float) -> list[Group]:
        """Return the groups, the most frequent first."""
        found: dict[str, list[ExchangeRow]] = {}
        for _, row in self._rows:
            found.setdefault(by(row), []).append(row)
        weight, span = self._weigher(), max(1.0, self.span_s(now))
        groups = (_group(name, [(row, weight(row)) for row in rows], span) for name, rows in found.items())
        return sorted(groups, key=lambda each: -each.requests_per_s)


def is_preferred(row: ExchangeRow) -> bool:
    """Say whether the engine sends such a one before others. A TCP connection lasts as long as its ends want."""
    return row.is_failed or (bool(row.method) and row.total_ms >= SLOW_MS)


def _group(name: str, rows: list[tuple[ExchangeRow, float]], span_s: float) -> Group:
    times = sorted((row.total_ms, weight) for row, weight in rows)
    total = sum(weight for _, weight in rows)
    return Group(
        name=name,
        seen=len(rows),
        requests_per_s=total / span_s,
        failed=sum(weight for row, weight in rows if row.is_failed) / total,
        p50=_percentile(times, total * 0.5),
        p99=_percentile(times, total * 0.99),
    )


def _percentile(times: list[tuple[float, float]], below: float) -> float:
    """Return the time that so much of the weight does not exceed."""
    gone = 0.0
    for time, weight in times:
        gone += weight
        if gone >= below:
            return time
    return times[-1][0]
