"""Drains under way: servers that finish what they have.

Responsible for each drain's deadline, for closing by force what is left then, and for saying once that a
server has nothing in flight any more. Knows nothing of HTTP or of how a worker closes. Invariants: a server
has a drain exactly while it is in DRAIN; a drain closes by force at most once; `server_drained` and
`drain_timed_out` are each said at most once in a drain.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Final

import anyio

from lbapp.control.messages import DrainStatus
from lbapp.engine.channel import CloseServer
from lbapp.engine.policy.drain import DrainPhase, Sample, drain_progress, predicted_finish_s
from lbapp.engine.scoreboard import totals
from lbapp.engine.scoreboard.segment import Segment
from lbapp.engine.supervisor.events import Events, Signal
from lbapp.engine.supervisor.node_drain import NodeDrain
from lbapp.engine.supervisor.ramps import Ramps
from lbapp.engine.supervisor.running import Tell
from lbapp.engine.supervisor.server_state import ServerState
from lbapp.engine.supervisor.state import ServerStates
from lbapp.model.states import AdminState

_LOOK_INTERVAL_S: Final = 0.2
_SAMPLES_MAX: Final = 150  # looks that a prediction is made from: half a minute
_COUNT_INTERVAL_S: Final = 5.0  # of remembered clients: the table may have a million

Count = Callable[[ServerState], Awaitable[int | None]]


async def _nobody(_: ServerState) -> int | None:
    return None


@dataclass(slots=True)
class Drain:
    """One server's drain. `since` in Unix seconds, `started_s` on the monotonic clock."""

    state: ServerState
    timeout_s: float
    since: float
    started_s: float
    samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=_SAMPLES_MAX))
    remembered: int | None = None  # clients that may come back, as of the last count
    has_drained: bool = False
    has_closed: bool = False


class Drains:
    """All drains, by server id."""

    def __init__(self, segment: Segment, states: ServerStates, events: Events, tell: Tell) -> None:
        self._segment = segment
        self._states = states
        self._events = events
        self._tell = tell
        self._drains: dict[str, Drain] = {}
        self.count_remembered: Count = _nobody
        self.node = NodeDrain(segment, events, tell)
        self.ramps = Ramps(segment, states, events)
        self._begun = Signal()

    def take_over(self, former: Drains) -> None:
        """Go on with the drains of the node, and of servers that are still there."""
        self.node = former.node
        self.ramps.take_over(former.ramps)
        for name, drain in former._drains.items():
            state = self._states.by_id.get(name)
            if state is not None and state.admin is AdminState.DRAIN:
                self._drains[name] = replace(drain, state=state)

    def begin(self, state: ServerState, timeout_s: float | None) -> None:
        """Start a server's drain, or give the one under way another timeout, counted from now."""
        seconds = state.pool.drain_timeout_s if timeout_s is None else timeout_s
        self._drains[state.server.id] = Drain(state, seconds, time.time(), time.monotonic())
        self._begun.fire()

    def cancel(self, state: ServerState) -> None:
        """Forget a server's drain, if there is one."""
        self._drains.pop(state.server.id, None)

    def status(self, state: ServerState) -> DrainStatus | None:
        """Return how far a server's drain is; None when it has none."""
        drain = self._drains.get(state.server.id)
        if drain is None:
            return None
        found = totals.still_open(self._segment, state.row)
        progress = drain_progress(drain.started_s, drain.timeout_s, found.in_flight, time.monotonic())
        finish_s = predicted_finish_s(drain.samples, progress.remaining_s) if found.in_flight else 0.0
        return {
            "phase": progress.phase.value,
            "since": drain.since,
            "timeout_s": drain.timeout_s,
            "remaining_s": round(progress.remaining_s, 3),
            "hard": state.is_hard,
            "in_flight": found.in_flight,
            "tunnels": min(found.tunnels, found.in_flight),
            "oldest_s": round((time.monotonic_ns() - found.oldest_ns) / 1e9, 3) if found.oldest_ns else None,
            "remembered": None if state.is_hard else drain.remembered,
            "finish_s": None if finish_s is None else round(finish_s, 1),
        }

    async def run(self) -> None:
        """Look after all drains, until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._count)
            tasks.start_soon(self.node.run)
            tasks.start_soon(self.ramps.run)
            await self._look()

    async def _count(self) -> None:
        """Count the clients that may come back to servers that drain."""
        while True:
            if not self._drains:
                await self._begun.wait()
            for drain in list(self._drains.values()):
                drain.remembered = await self.count_remembered(drain.state)
            await anyio.sleep(_COUNT_INTERVAL_S)

    async def _look(self) -> None:
        while True:
            if all(drain.has_drained for drain in self._drains.values()):
                await self._begun.wait()
            await anyio.sleep(_LOOK_INTERVAL_S)  # also the time in which workers see that the server drains
            for drain in list(self._drains.values()):
                self._look_after(drain)

    def _look_after(self, drain: Drain) -> None:
        server = drain.state.server
        in_flight = totals.in_flight(self._segment, drain.state.row)
        drain.samples.append((time.monotonic(), in_flight))
        progress = drain_progress(drain.started_s, drain.timeout_s, in_flight, time.monotonic())
        if progress.phase is DrainPhase.DRAINED and not drain.has_drained:
            drain.has_drained = True
            took_s = time.monotonic() - drain.started_s
            self._events.add("server_drained", server.id, f"{server.id} has nothing in flight after {took_s:.1f} s")
            self._states.changed.fire()
        elif progress.phase is DrainPhase.OVERDUE and not drain.has_closed:
            drain.has_closed = True
            self._states.count_close(drain.state)
            self._tell(CloseServer(drain.state.row))
            message = f"{server.id} still has {in_flight} in flight after {drain.timeout_s:g} s: closed by force"
            self._events.add("drain_timed_out", server.id, message)
            self._states.changed.fire()
