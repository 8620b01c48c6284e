"""The state of every server: what the operator wants of it, what checks found, and its weight.

Responsible for the supervisor's record of each server and for the only writes to the server-state, pool-
version and pool-withheld cells. Knows nothing of probes, drains' deadlines, HTTP or who may change what.

Invariants: a server's cells are written before its pool's version grows, so a worker that sees the new
version sees the new state; nothing is written, and no event made, when nothing changes; entering MAINT
forgets the health.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from lbapp.control.messages import Actor, Event
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.supervisor.events import Events, Signal
from lbapp.engine.supervisor.running import Running
from lbapp.model.entities import CheckType, Pool, Server
from lbapp.model.states import HEALTH_TRANSITIONS, WEIGHT_MAX, AdminState, HealthState, is_eligible

_WENT = {
    HealthState.UP: ("server_came_up", "is up"),
    HealthState.DOWN: ("server_went_down", "is down"),
    HealthState.UNKNOWN: ("server_became_unknown", "is not checked"),
}


@dataclass(slots=True)
class ServerState:
    """One server as it stands now.

    Times are Unix seconds; `revision` is that of its last change of state or weight.
    """

    server: Server
    pool: Pool
    row: int
    pool_row: int
    weight: int
    admin: AdminState = AdminState.READY
    health: HealthState = HealthState.UNKNOWN
    health_reason: str = "not checked yet"
    health_since: float = field(default_factory=time.time)
    changed_at: float | None = None
    changed_by: Actor | None = None
    revision: int = 0
    admin_changed: Signal = field(default_factory=Signal)

    @property
    def is_eligible(self) -> bool:
        """Say whether the server may get new clients."""
        return is_eligible(self.admin, self.health, self.weight)


class ServerStates:
    """All servers by id (`pool/server`), in the order of the file.

    `revision` grows with every change of any of them.
    """

    def __init__(self, running: Running, events: Events) -> None:
        self.revision = 0
        self.changed = Signal()
        self.by_id: dict[str, ServerState] = {}
        self._cells = running.segment.cells
        self._layout = running.segment.layout
        self._events = events
        for pool in running.configuration.pools:
            for server in pool.servers:
                state = ServerState(
                    server,
                    pool,
                    running.rows.servers[server.id],
                    running.rows.pools[pool.name],
                    server.weight,
                )
                if pool.health_check.type is CheckType.NONE:
                    state.health_reason = "no health check"
                self.by_id[server.id] = state
                self._write(state)

    def set_admin(self, state: ServerState, admin: AdminState, actor: Actor | None) -> Event | None:
        """Do what the operator wants of a server; return the event, None when it was so already."""
        before = state.admin
        if before is admin:
            return None
        state.admin = admin
        self._mark(state, actor)
        if admin is AdminState.MAINT:
            self._forget_health(state)
        self._write(state)
        state.admin_changed.fire()
        return self._events.add(
            "admin_state_changed",
            state.server.id,
            f"{state.server.id} is now {admin.name.lower()}, was {before.name.lower()}",
            actor=actor,
            change=(before.name.lower(), admin.name.lower()),
        )

    def set_weight(self, state: ServerState, weight: int, actor: Actor | None) -> Event | None:
        """Give a server another weight, 0..WEIGHT_MAX; return the event, None when it had it already."""
        if not 0 <= weight <= WEIGHT_MAX:
            raise ValueError(f"weight {weight} is not within 0..{WEIGHT_MAX}")
        before = state.weight
        if before == weight:
            return None
        state.weight = weight
        self._mark(state, actor)
        self._write(state)
        message = f"{state.server.id} has weight {weight}, had {before}"
        return self._events.add("weight_changed", state.server.id, message, actor=actor, change=(before, weight))

    def set_health(self, state: ServerState, health: HealthState, reason: str) -> Event | None:
        """Take over what checks found; return the event, None when only the reason is another."""
        before = state.health
        state.health_reason = reason
        if before is health:
            return None
        if health not in HEALTH_TRANSITIONS[before]:
            raise ValueError(f"{state.server.id} cannot go from {before.name} to {health.name}")
        state.health = health
        state.health_since = time.time()
        self.revision += 1
        self._write(state)
        kind, words = _WENT[health]
        return self._events.add(
            kind,
            state.server.id,
            f"{state.server.id} {words}: {reason}",
            change=(before.name.lower(), health.name.lower()),
        )

    def set_published(self, pool: Pool, pool_row: int, is_published: bool, actor: Actor | None) -> Event | None:
        """Give a pool requests, or none; return the event, None when it was so already. Its servers' states stay."""
        cell = self._layout.pool_withheld(pool_row)
        if bool(self._cells[cell]) is not is_published:
            return None
        self._cells[cell] = int(not is_published)
        self._cells[self._layout.pool_version(pool_row)] += 1
        self.revision += 1
        self.changed.fire()
        word = "published" if is_published else "unpublished"
        message = f"pool {pool.name} is {word}" + ("" if is_published else ": routes pass it over")
        change = ("unpublished", word) if is_published else ("published", word)
        return self._events.add(f"pool_{word}", pool.name, message, actor=actor, change=change)

    def count_close(self, state: ServerState) -> None:
        """Note in the scoreboard that every connection to a server is to be closed by force."""
        self._cells[self._layout.state(state.row) + at.STATE_CLOSE_COUNT] += 1

    def _mark(self, state: ServerState, actor: Actor | None) -> None:
        self.revision += 1
        state.revision = self.revision
        state.changed_at = time.time()
        state.changed_by = actor

    def _forget_health(self, state: ServerState) -> None:
        if state.health is not HealthState.UNKNOWN:
            state.health = HealthState.UNKNOWN
            state.health_since = time.time()
        state.health_reason = "in maintenance"

    def _write(self, state: ServerState) -> None:
        block = self._layout.state(state.row)
        self._cells[block + at.STATE_ADMIN] = state.admin
        self._cells[block + at.STATE_HEALTH] = state.health
        self._cells[block + at.STATE_WEIGHT] = state.weight
        self._cells[self._layout.pool_version(state.pool_row)] += 1
        self.changed.fire()
