"""What was counted, second by second and minute by minute, for the history.

Responsible for making moments of readings, with the table that they need. Knows nothing of how they are kept. Invariants: every
exchange is in exactly one second and one minute, over a reload, too; a minute's percentiles are those of its requests, not made
of those of its seconds; a table is made anew only when a name, a state or a weight has changed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import anyio

from lbapp.engine.supervisor.history import History, Reading, as_long_as
from lbapp.engine.supervisor.history_keeper import HistoryKeeper, Recorded
from lbapp.engine.supervisor.running import Running
from lbapp.engine.supervisor.state import ServerStates
from lbapp.engine.supervisor.windows import Counting
from lbapp.model.amounts import Subject
from lbapp.model.history import Node, ServerWas, Table
from lbapp.model.history_file import Ring

_SECOND_S: Final = 1.0
_MINUTE_S: Final = 60.0
_CLOCK_STEP_S: Final = 0.02  # a sleep may end so much before the clock says so


@dataclass(slots=True)
class _Part:
    """A second or a minute under way: what it began with, and the most that was in flight in it."""

    began: Reading
    began_at: float  # Unix seconds
    in_flight: dict[Subject, int] = field(default_factory=dict)


class Recording:
    """The recording of one generation. `node` returns CPU and memory of the engine: thousandths of a core, bytes."""

    def __init__(
        self,
        running: Running,
        states: ServerStates,
        history: History,
        keeper: HistoryKeeper,
        node: Callable[[], tuple[int | None, int | None]],
    ) -> None:
        self._running = running
        self._states = states
        self._history = history
        self._keeper = keeper
        self._node = node
        self._counting = Counting(running, states)
        self._table: tuple[int, Table] | None = None
        now, now_at = history.now(), time.time()
        self._parts = (_Part(now, now_at), _Part(now, now_at))
        self._has_begun = False

    def take_over(self, former: Recording) -> None:
        """Go on with the second and the minute that a generation before has begun."""
        now = self._history.now()
        self._parts = former._parts
        for part in self._parts:
            part.began = as_long_as(now, part.began)

    async def run(self) -> None:
        """Record every second, until cancelled."""
        self._has_begun = True
        while True:
            await anyio.sleep(_SECOND_S - time.time() % _SECOND_S)
            self.look(time.time())

    def look(self, now_at: float) -> None:
        """Record the second that ends now (Unix seconds), and the minute, if that ends, too."""
        now = self._history.now()
        in_flight = self._in_flight(now)
        most = self._parts[Ring.MINUTES].in_flight
        for subject, count in in_flight.items():
            most[subject] = max(count, most.get(subject, 0))
        second, minute = self._parts
        second.in_flight = in_flight
        self._end(Ring.SECONDS, now, now_at)
        is_over = (now_at + _CLOCK_STEP_S) // _MINUTE_S != (minute.began_at + _CLOCK_STEP_S) // _MINUTE_S
        if is_over:
            self._end(Ring.MINUTES, now, now_at)

    def end(self) -> None:
        """Record what is left, as the engine ends."""
        if self._has_begun:
            self.look(time.time())
            if self._parts[Ring.MINUTES].began is not self._parts[Ring.SECONDS].began:
                self._end(Ring.MINUTES, self._parts[Ring.SECONDS].began, time.time())

    def _end(self, ring: Ring, now: Reading, now_at: float) -> None:
        part = self._parts[ring]
        cpu_permille, memory_bytes = self._node()
        connections = sum(now.listeners[row].connections for row in self._running.rows.listeners.values())
        self._keeper.keep(
            Recorded(
                ring,
                now_at,
                now.at_s - part.began.at_s,
                Node(cpu_permille, memory_bytes, connections),
                self._present_table(),
                self._counting.between(part.began, now),
                part.in_flight,
            )
        )
        part.began, part.began_at, part.in_flight = now, now_at, {}

    def _in_flight(self, now: Reading) -> dict[Subject, int]:
        """Return what is in flight at each that has anything."""
        found = {}
        for name, row in self._running.rows.listeners.items():
            if count := now.listeners[row].in_flight:
                found[Subject("listener", name)] = count
        pools: dict[str, int] = {}
        for state in self._states.by_id.values():
            if count := now.servers[state.row].in_flight:
                found[Subject("server", state.server.id)] = count
                pools[state.pool.name] = pools.get(state.pool.name, 0) + count
        return found | {Subject("pool", name): count for name, count in pools.items()}

    def _present_table(self) -> Table:
        revision = self._states.revision
        if self._table is None or self._table[0] != revision:
            configuration = self._running.configuration
            table = Table(
                tuple(listener.name for listener in configuration.listeners),
                tuple(pool.name for pool in configuration.pools),
                tuple(
                    ServerWas(state.server.id, state.admin.name.lower(), state.health.name.lower(), state.weight)
                    for state in self._states.by_id.values()
                ),
            )
            self._table = revision, table
        return self._table[1]
