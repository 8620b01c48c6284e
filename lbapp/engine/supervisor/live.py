"""The live feed: looks at everything twice a second, and says what has changed since whichever line somebody had last.

Responsible for when it is looked, for which look each row changed at, and for making lines of that. Knows nothing of HTTP or of
what states and figures are made of. Lasts as long as the engine: generations come and go.

Invariants: all who follow share each look, and its line when they had the one before; who reads slowly gets what is newest when
they read on, and nothing waits for them; a change of state is looked at at once; while nobody follows, nothing is looked at or
kept, and while nobody wants figures, none are worked out.
"""

from __future__ import annotations

import json
import secrets
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from itertools import islice
from typing import Any, Final, get_args

import anyio

from lbapp.control.live import COLUMNS, STATES_EVERY_S, Figure, Figures, TableName, packed
from lbapp.engine.supervisor.history import LATELY_S, Reading
from lbapp.engine.supervisor.live_figures import LiveFigures
from lbapp.engine.supervisor.live_states import (
    ServersSaid,
    engine_said,
    listener_said,
    members,
    pool_said,
    word_of,
    worker_said,
)
from lbapp.engine.supervisor.reading import StatusReader
from lbapp.model.limits import READING_INTERVAL_S

_GAP_S: Final = 0.05  # changes so close together go out as one line
_INTERVAL_S_MAX: Final = 2.0  # with very many servers, so that looking costs a fifth of a core at most
_BEHIND_S: Final = 0.02  # behind the full second, at which the history has just read everything
_TABLES: Final[tuple[TableName, ...]] = get_args(TableName)


class _Table:
    """One table, and the number of the look at which each row changed last."""

    def __init__(self, name: TableName, rows: int) -> None:
        self._columns = list(COLUMNS[name])
        self.states: list[Mapping[str, Any]] = [{}] * rows
        self.figures: list[list[Figure]] = [[]] * rows
        self._said_at = [0] * rows
        self._counted_at = [0] * rows

    def say(self, row: int, state: Mapping[str, Any], look: int) -> None:
        """Take in a row's state."""
        if state != self.states[row]:
            self.states[row], self._said_at[row] = state, look

    def count(self, row: int, figures: list[Figure], look: int) -> None:
        """Take in a row's figures."""
        if figures != self.figures[row]:
            self.figures[row], self._counted_at[row] = figures, look

    def whole(self, *, has_figures: bool) -> dict[str, Any]:
        """Return all rows."""
        found: dict[str, Any] = {"columns": self._columns, "states": self.states}
        if has_figures:
            found["figures"] = {"values": packed(self.figures, len(self._columns))}
        return found

    def since(self, seen: int, *, has_figures: bool) -> dict[str, Any]:
        """Return the rows that have changed since a look."""
        said = [(row, self.states[row]) for row, at in enumerate(self._said_at) if at > seen]
        found: dict[str, Any] = {"states": said} if said else {}
        if has_figures and (counted := [row for row, at in enumerate(self._counted_at) if at > seen]):
            figures: Figures = {"values": packed([self.figures[row] for row in counted], len(self._columns))}
            if len(counted) < len(self.figures):
                figures["rows"] = counted
            found["figures"] = figures
        return found


class _Picture:
    """All tables of one set of rows. It is made anew when rows come or go."""

    def __init__(self, reader: StatusReader, began: int) -> None:
        self.reader = reader
        self.began = began  # the look that it began with
        self._servers = ServersSaid(reader)
        self._figures = LiveFigures([state.row for state in self._servers.members])
        configuration = reader.running.configuration
        self._listeners, self._pools = configuration.listeners, configuration.pools
        self._workers = len(reader.workers.restarts)
        rows = (1, self._workers, len(self._listeners), len(self._pools), len(self._servers.members))
        self.tables: dict[TableName, _Table] = {
            name: _Table(name, count) for name, count in zip(_TABLES, rows, strict=True)
        }
        self._counts: list[Counter[str]] = []

    @property
    def window_s(self) -> float:
        """What rates are over."""
        return round(self._figures.window_s, 1)

    def has(self, reader: StatusReader) -> bool:
        """Say whether these are still the rows that there are."""
        if reader is not self.reader or len(reader.workers.restarts) != self._workers:
            return False
        now = members(reader)
        return len(now) == len(self._servers.members) and all(map(_is, now, self._servers.members))

    def look_at_states(self, look: int) -> None:
        """Take in what is said of everything."""
        servers = self.tables["servers"]
        changed = list(self._servers.look())
        for row in changed:
            servers.say(row, self._servers.states[row], look)
        if changed or not self._counts:
            words = map(word_of, self._servers.states)
            sizes = [len(self.reader.states.members(pool)) for pool in self._pools]
            self._counts = [Counter(islice(words, size)) for size in sizes]
        for row, (pool, counts) in enumerate(zip(self._pools, self._counts, strict=True)):
            self.tables["pools"].say(row, pool_said(pool, self.reader.pool_facts(pool), counts), look)
        for row, listener in enumerate(self._listeners):
            facts = self.reader.listener_facts(listener, self.reader.history.latest)
            self.tables["listeners"].say(row, listener_said(facts), look)
        self._look_at_engine(look)

    def _look_at_engine(self, look: int) -> None:
        engine = self.tables["engine"]
        status = self.reader.engine()
        engine.say(0, engine_said(status, engine.states[0]), look)
        engine.count(0, [status["cpu_percent"], status["memory_bytes"]], look)
        for row, worker in enumerate(status["workers"]):
            self.tables["workers"].say(row, worker_said(worker), look)
            self.tables["workers"].count(row, [worker["connections"], int(worker["heartbeat_age_s"])], look)

    def look_at_figures(self, now: Reading, earlier: Reading, look: int) -> None:
        """Take in the figures of everything."""
        figures, rows = self._figures, self.reader.running.rows
        figures.begin(now, earlier)
        for row, found in figures.servers():
            self.tables["servers"].count(row, found, look)
        for row, pool in enumerate(self._pools):
            counted = figures.of_pool(rows.pools[pool.name], self.reader.rows_of(pool))
            queued = self.reader.totals(pool).queued if pool.is_limited else None
            self.tables["pools"].count(row, [*counted, queued], look)
        for row, listener in enumerate(self._listeners):
            counted = figures.of_listener(rows.listeners[listener.name])
            refused = self.reader.overload.totals(listener)
            self.tables["listeners"].count(row, [*counted, refused.rate_limited, refused.recycled], look)


def _is(one: object, other: object) -> bool:
    return one is other


class LiveFeed:
    """The live feed of one engine. `reader` returns the present generation's; `is_over` says whether the engine leaves."""

    def __init__(self, reader: Callable[[], StatusReader], is_over: Callable[[], bool]) -> None:
        self._reader = reader
        self._is_over = is_over
        self._name = secrets.token_hex(4)  # so that a look of another engine is not taken for one of this
        self._picture: _Picture | None = None
        self._look = 0  # the number of the last look
        self._key: tuple[object, ...] = ()
        # On the monotonic clock: the last look, the last at figures, and when the next of these is due.
        self._looked_s = self._counted_s = self._next_s = 0.0
        self._gap_s = _GAP_S
        self._at = 0.0
        self._lines: dict[tuple[int, bool], bytes] = {}  # of the last look, by what had been seen before it
        self._followers = self._counting = 0  # all, and those who want figures

    async def follow(self, after: str = "", *, has_figures: bool = True) -> AsyncGenerator[bytes, None]:
        """Give a line of everything, and then one of what has changed, until the engine leaves.

        `after`: the `look` of a line that is known already; without `has_figures` states alone.
        """
        seen, is_new = self._seen(after), True
        self._followers += 1
        self._counting += has_figures
        try:
            while True:
                is_last = self._is_over()
                self.look(is_new=is_new)
                if self._look > seen or is_new:
                    line, seen, is_new = self.line(seen, has_figures=has_figures), self._look, False
                    yield line
                if is_last:
                    return
                await self._wait(seen)
        finally:
            self._followers -= 1
            self._counting -= has_figures
            if not self._followers:
                self._picture = None
                self._lines.clear()

    def _seen(self, after: str) -> int:
        """Return the number of a look that a line was named by; 0: it is not known here."""
        name, _, number = after.partition("-")
        is_known = name == self._name and number.isascii() and number.isdigit()
        return int(number) if is_known and int(number) <= self._look else 0

    async def _wait(self, seen: int) -> None:
        """Return when there may be something to send."""
        with anyio.move_on_after(max(0.0, self._next_s - time.monotonic())):
            if self._look == seen and self._key == self._present_key() and not self._is_over():
                await self._reader().states.changed.wait()
        await anyio.sleep(max(0.0, self._looked_s + self._gap_s - time.monotonic()))

    def look(self, *, is_new: bool = False) -> None:
        """Look at what is due: at figures twice a second or when somebody is new, at states whenever one may have changed."""
        started_s, reader, key = time.monotonic(), self._reader(), self._present_key()
        began_s = time.thread_time()  # what counts is what it costs, not how long others keep it waiting
        is_due = started_s >= self._next_s or (is_new and started_s - self._counted_s > LATELY_S)
        if key == self._key and self._picture is not None and not is_due and started_s - self._looked_s < self._gap_s:
            return
        look = self._look + 1
        picture = self._picture
        is_all = picture is None or not picture.has(reader)
        if picture is None or is_all:
            picture = self._picture = _Picture(reader, look)
            is_due, self._counted_s = True, 0.0
        picture.look_at_states(look)
        if is_due and self._counting:
            self._counted_s = started_s
            picture.look_at_figures(reader.history.lately(), reader.history.earlier(), look)
        self._key, self._at = key, time.time()
        self._look = look
        self._lines.clear()
        self._looked_s = time.monotonic()
        # What it takes to begin is no measure of what follows.
        self._plan(0.0 if is_all else time.thread_time() - began_s, is_due=is_due)

    def _plan(self, cost_s: float, *, is_due: bool) -> None:
        """Say when it is looked again: what one look costs is a fifth of the time until the next."""
        self._gap_s = max(_GAP_S, min(_INTERVAL_S_MAX, 5 * cost_s))
        if is_due and not self._counting:
            self._next_s = self._looked_s + STATES_EVERY_S
        elif is_due:
            steps = -(-self._gap_s // READING_INTERVAL_S)
            interval_s = steps * READING_INTERVAL_S
            self._next_s = self._looked_s + interval_s - (time.time() - _BEHIND_S) % READING_INTERVAL_S

    def _present_key(self) -> tuple[object, ...]:
        reader = self._reader()
        return reader.states.revision, reader.life.phase, reader.running.generation

    def line(self, seen: int, *, has_figures: bool = True) -> bytes:
        """Return what has changed since a look, 0 for none, or everything where that is not to be said otherwise."""
        picture, wanted = self._picture, (seen, has_figures)
        assert picture is not None
        if wanted not in self._lines:
            message: dict[str, Any] = {
                "kind": "changes",
                "look": f"{self._name}-{self._look}",
                "at": round(self._at, 3),
                "revision": self._key[0],
                "window_s": picture.window_s,
            }
            if seen < picture.began:
                message["kind"] = "whole"
                message |= {name: each.whole(has_figures=has_figures) for name, each in picture.tables.items()}
            else:
                found = {name: each.since(seen, has_figures=has_figures) for name, each in picture.tables.items()}
                message |= {name: changes for name, changes in found.items() if changes}
            self._lines[wanted] = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        return self._lines[wanted]
