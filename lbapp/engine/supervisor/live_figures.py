"""The figures of the live feed: one row of numbers for each listener, pool and server.

Responsible for working out again only what a reading has changed. Knows nothing of names, states or JSON.

Invariants: the figures are those of the Status made from the same reading; what belongs to a row that did not move, now or over
the window, is not looked at; percentiles are worked out only where a histogram has changed, now or at the window's beginning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from lbapp.control.live import Figure
from lbapp.engine.scoreboard.totals import ListenerTotals, ServerTotals
from lbapp.engine.supervisor.history import Reading
from lbapp.engine.supervisor.traffic import Brief, brief, brief_of_pool, moved, total_in_milliseconds

Totals = ServerTotals | ListenerTotals
Percentiles = tuple[float | None, float | None, float | None]


class _Briefs:
    """The brief figures of rows, made again when the totals of a row are others."""

    def __init__(self) -> None:
        self._totals: Sequence[Totals] = ()
        self.briefs: list[Brief] = []

    def take(self, totals: Sequence[Totals]) -> None:
        """Take in the totals of all rows."""
        if len(totals) != len(self._totals):
            self.briefs = [brief(each) for each in totals]
        else:
            for row, (each, before) in enumerate(zip(totals, self._totals, strict=True)):
                if each is not before:
                    self.briefs[row] = brief(each)
        self._totals = totals


_UNKNOWN: Final[Percentiles] = (None, None, None)


class _Row:
    """The figures of one row as they were last, so that what has not changed is not worked out again."""

    __slots__ = ("_earlier", "_now", "_percentiles")

    def __init__(self) -> None:
        self._now = self._earlier = 0
        self._percentiles = _UNKNOWN

    def figures(self, now: Brief, earlier: Brief, seconds: float) -> list[Figure]:
        """Return them, in the order of COLUMNS."""
        if now.total != self._now or earlier.total != self._earlier:
            self._now, self._earlier = now.total, earlier.total
            self._percentiles = total_in_milliseconds(now.total - earlier.total)
        rate, error_rate = moved(now, earlier, seconds)
        return [
            now.connections,
            now.in_flight,
            rate,
            error_rate,
            *self._percentiles,
            now.requests,
            now.errors,
            now.retries,
            now.bytes_in,
            now.bytes_out,
            now.responses_5xx,
        ]


class LiveFigures:
    """The figures of one set of rows. `begin` with two readings, then ask for what has changed since those before.

    `servers`: whose row of the scoreboard is which row of the feed.
    """

    def __init__(self, servers: Sequence[int]) -> None:
        self.window_s = 0.0
        self._rows = servers
        self._quiet: list[Totals | None] = [None] * len(
            servers
        )  # the totals of those that did not move over the window
        self._of_servers = [_Row() for _ in servers]
        self._of_others: dict[tuple[str, int], _Row] = {}
        self._servers = (_Briefs(), _Briefs())
        self._listeners = (_Briefs(), _Briefs())

    def begin(self, now: Reading, earlier: Reading) -> None:
        """Take in the present reading, and the one that rates are counted from."""
        self._now, self._earlier, self.window_s = now, earlier, now.at_s - earlier.at_s
        self._servers[0].take(now.servers)
        self._servers[1].take(earlier.servers)
        self._listeners[0].take(now.listeners)
        self._listeners[1].take(earlier.listeners)

    def servers(self) -> Iterator[tuple[int, list[Figure]]]:
        """Give the figures of servers that may have changed, with the row of the feed."""
        now, earlier = self._servers[0].briefs, self._servers[1].briefs
        for place, row in enumerate(self._rows):
            totals = self._now.servers[row]
            is_quiet = totals is self._earlier.servers[row]
            if is_quiet and totals is self._quiet[place]:
                continue
            self._quiet[place] = totals if is_quiet else None
            found = self._of_servers[place].figures(now[row], earlier[row], self.window_s)
            found.append(totals.idle)
            yield place, found

    def of_listener(self, row: int) -> list[Figure]:
        """Return a listener's figures, without those of whom it turned away."""
        now, earlier = self._listeners[0].briefs[row], self._listeners[1].briefs[row]
        return self._other("listener", row).figures(now, earlier, self.window_s)

    def of_pool(self, row: int, servers: Sequence[int]) -> list[Figure]:
        """Return a pool's figures, without its queue. `servers`: the rows of the scoreboard whose totals are its own."""
        now, earlier = self._servers[0].briefs, self._servers[1].briefs
        present = brief_of_pool([now[each] for each in servers], self._now.pools[row])
        before = brief_of_pool([earlier[each] for each in servers], self._earlier.pools[row])
        return self._other("pool", row).figures(present, before, self.window_s)

    def _other(self, kind: str, row: int) -> _Row:
        return self._of_others.setdefault((kind, row), _Row())
