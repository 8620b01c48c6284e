"""Percentiles and rates over the last seconds and minutes.

Responsible for turning readings into steps, for putting a window together, and for the LatencyReport of the control API. Knows
nothing of HTTP. A window is a sum of differences of what all workers have counted, so its percentiles are those of all requests
in it, whichever worker served them: nothing is averaged.

Invariants: a window goes on over a reload and over the death of a worker; what a server counted that is gone by now stays in its
pool's window; a server that takes over the row of another gets nothing of what that one had counted but in the step under way.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import anyio
import anyio.to_thread

from lbapp.control.latency import LatencyOf, LatencyReport, PhaseLatency
from lbapp.engine.policy.windows import Steps, Window
from lbapp.engine.supervisor.history import History, Reading, as_long_as
from lbapp.engine.supervisor.running import Running, rows_by_pool
from lbapp.engine.supervisor.state import ServerStates
from lbapp.engine.supervisor.traffic import Figures, in_milliseconds, of_listener, of_pool, of_server
from lbapp.model.amounts import NOTHING, Amounts, Kind, Phase, Subject, added
from lbapp.model.entities import Pool
from lbapp.model.histogram import counts
from lbapp.model.limits import LATENCY_STEP_S, LATENCY_WINDOW_MAX_S, RATE_WINDOW_S

Counted = dict[Subject, Amounts]


class Counting:
    """What was counted between two readings of one generation, by name. Who counted nothing is left out."""

    def __init__(self, running: Running, states: ServerStates) -> None:
        self._rows = running.rows
        self._by_pool = rows_by_pool(running.rows)
        self._states = states

    def between(self, earlier: Reading, now: Reading) -> Counted:
        """Return it. Rows whose counters did not move cost next to nothing: readings share them."""
        by_row = {
            row: _difference(of_server(after), of_server(before))
            for row, (after, before) in enumerate(zip(now.servers, earlier.servers, strict=True))
            if after is not before
        }
        found: Counted = {}
        for name, row in self._rows.listeners.items():
            after, before = now.listeners[row], earlier.listeners[row]
            if after is not before:
                found[Subject("listener", name)] = _difference(of_listener(after), of_listener(before))
        for name, row in self._rows.pools.items():
            servers = [by_row[each] for each in self._by_pool[name] if each in by_row]
            found[Subject("pool", name)] = _of_pool(_unserved(now, row), _unserved(earlier, row), servers)
        for state in self._states.by_id.values():
            if state.row in by_row:
                found[Subject("server", state.server.id)] = by_row[state.row]
        return {subject: amounts for subject, amounts in found.items() if not amounts.is_nothing}


def _difference(now: Figures, earlier: Figures) -> Amounts:
    return Amounts(
        now.requests - earlier.requests,
        now.errors - earlier.errors,
        (
            now.queue - earlier.queue,
            now.connect - earlier.connect,
            now.first_byte - earlier.first_byte,
            now.total - earlier.total,
        ),
    )


def _unserved(reading: Reading, pool: int) -> Figures:
    return of_pool((), reading.pools[pool], reading.queue_waits[pool])


def _of_pool(now: Figures, earlier: Figures, servers: Sequence[Amounts]) -> Amounts:
    own = _difference(now, earlier)
    every = added([own, *servers])
    waits = own.histograms[Phase.QUEUE]  # of all who waited, whether they got a server or not
    return every._replace(histograms=(waits, *every.histograms[Phase.QUEUE + 1 :]))


class Windows:
    """The windows of one generation."""

    def __init__(self, running: Running, states: ServerStates, history: History) -> None:
        self.counting = Counting(running, states)
        self._configuration = running.configuration
        self._states = states
        self._history = history
        self._last = history.now()
        self._steps = Steps(round(LATENCY_WINDOW_MAX_S / LATENCY_STEP_S))

    def take_over(self, former: Windows) -> None:
        """Go on with the steps of a generation before."""
        self._last = as_long_as(self._history.now(), former._last)
        self._steps = former._steps

    async def run(self) -> None:
        """Keep a step every LATENCY_STEP_S, until cancelled."""
        while True:
            await anyio.sleep(max(0.0, self._last.at_s + LATENCY_STEP_S - time.monotonic()))
            self.end_step()

    def end_step(self) -> None:
        """Keep what was counted since the last step."""
        now = self._history.now()
        self._steps.add(self._last.at_s, self.counting.between(self._last, now))
        self._last = now

    async def report(self, window_s: float, pools: Sequence[Pool], *, with_listeners: bool) -> LatencyReport:
        """Return figures over the last `window_s`: as many seconds more as it takes to come to the end of a step."""
        now = self._history.now()
        if window_s <= RATE_WINDOW_S:
            earlier = self._history.earlier()
            rest, window = self.counting.between(earlier, now), Window(earlier.at_s, ())
        else:
            rest = self.counting.between(self._last, now)
            window = self._steps.since(now.at_s - window_s, self._last.at_s)
        names = [(pool.name, [state.server.id for state in self._states.members(pool)]) for pool in pools]
        listeners = [each.name for each in self._configuration.listeners] if with_listeners else []
        seconds = now.at_s - window.began_s

        def figures(kind: Kind, name: str) -> LatencyOf:
            subject = Subject(kind, name)
            return latency_of(name, window.amounts(subject, rest.get(subject, NOTHING)), seconds)

        def report() -> LatencyReport:
            return {
                "at": time.time(),
                "window_s": round(seconds, 1),
                "listeners": [figures("listener", name) for name in listeners],
                "pools": [
                    {**figures("pool", name), "servers": [figures("server", each) for each in servers]}
                    for name, servers in names
                ],
            }

        return await anyio.to_thread.run_sync(report)  # with very many servers it takes a moment


def latency_of(name: str, amounts: Amounts, seconds: float) -> LatencyOf:
    """Return the figures of one, over so many seconds."""
    requests = amounts.requests
    return {
        "name": name,
        "requests": requests,
        "requests_per_s": round(requests / seconds, 2) if seconds > 0 else 0.0,
        "errors": amounts.errors,
        "error_rate": round(min(1.0, amounts.errors / requests), 4) if requests else None,
        "queue": _phase(amounts.histograms[Phase.QUEUE]),
        "connect": _phase(amounts.histograms[Phase.CONNECT]),
        "first_byte": _phase(amounts.histograms[Phase.FIRST_BYTE]),
        "total": _phase(amounts.histograms[Phase.TOTAL]),
    }


def _phase(total: int) -> PhaseLatency:
    return {"count": sum(counts(total)), **in_milliseconds(total)}
