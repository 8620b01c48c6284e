"""What this node may take of limits of the fleet, told to its workers.

Responsible for the limits of pools, servers and listeners in the scoreboard, and for saying when the node's part is another.
Knows nothing of the store or of who is a member. Invariant: a limit is another from the moment in which the members are.
"""

from __future__ import annotations

from lbapp.engine.policy.shares import ALONE, Place
from lbapp.engine.supervisor.events import Events
from lbapp.engine.supervisor.running import Running
from lbapp.engine.supervisor.state import ServerStates
from lbapp.model.entities import Listener, Pool


class Shares:
    """The limits of one generation."""

    def __init__(self, running: Running, states: ServerStates, events: Events) -> None:
        self._running = running
        self._states = states
        self._events = events
        self.place: Place = ALONE

    def begin(self, place: Place) -> None:
        """Let workers know the limits, before they serve by this generation."""
        self.place = place
        self._states.share(place)
        self._write()

    def take(self, place: Place) -> None:
        """Divide anew, as there are other members."""
        if place == self.place:
            return
        before = self.place
        self.begin(place)
        if self._is_any_shared():
            message = f"limits of the fleet are shared by {place.count} members now, and were by {before.count}"
            self._events.add("shares_changed", "node", message, change=(before.count, place.count))

    def of_pool(self, pool: Pool) -> int:
        """Return what a pool may have in flight here; 0: there is no limit."""
        return self.place.limit(pool.capacity.connections_max, pool.capacity.fleet_connections_max)

    def of_listener(self, listener: Listener) -> int:
        """Return how many connections a listener may have here; 0: there is no limit of its own."""
        return self.place.limit(listener.admission.connections_max, listener.admission.fleet_connections_max)

    def _write(self) -> None:
        segment, rows = self._running.segment, self._running.rows
        for pool in self._running.configuration.pools:
            row = rows.pools[pool.name]
            segment.cells[segment.layout.pool_connections_max(row)] = self.of_pool(pool)
            segment.cells[segment.layout.pool_version(row)] += 1
        for listener in self._running.configuration.listeners:
            cell = segment.layout.listener_connections_max(rows.listeners[listener.name])
            segment.cells[cell] = self.of_listener(listener)

    def _is_any_shared(self) -> bool:
        configuration = self._running.configuration
        totals = [
            *(pool.capacity.fleet_connections_max for pool in configuration.pools),
            *(listener.admission.fleet_connections_max for listener in configuration.listeners),
            *(state.server.fleet_connections_max for state in self._states.by_id.values()),
        ]
        return any(totals)
