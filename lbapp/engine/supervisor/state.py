"""The state of every server: what the operator wants of it, what checks found, what its agent says, and its weight.

Responsible for the supervisor's record of each server and for the only writes to the server-state, pool-
version and pool-withheld cells. Knows nothing of probes, drains' deadlines, HTTP or who may change what.

Invariants: a server's cells are written before its pool's version grows, so a worker that sees the new
version sees the new state; nothing is written, and no event made, when nothing changes; entering MAINT
forgets the health. An agent's word is kept beside the operator's wish and the checks' findings, and changes neither.
"""

from __future__ import annotations

import time

from lbapp.control.messages import Actor, Event
from lbapp.engine.policy import slow_start
from lbapp.engine.policy.agent import NO_WISH, Wish
from lbapp.engine.policy.shares import ALONE, Place
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.supervisor.events import Events, Signal
from lbapp.engine.supervisor.running import Running
from lbapp.engine.supervisor.server_state import AgentSaid, ServerState, said_by_agent
from lbapp.model.entities import CheckType, Pool, Server
from lbapp.model.states import HEALTH_TRANSITIONS, WEIGHT_MAX, AdminState, HealthState

_WENT = {
    HealthState.UP: ("server_came_up", "is up"),
    HealthState.DOWN: ("server_went_down", "is down"),
    HealthState.UNKNOWN: ("server_became_unknown", "is not checked"),
}


class ServerStates:
    """All servers by id (`pool/server`), in the order of the file.

    `revision` grows with every change of any of them.
    """

    def __init__(self, running: Running, events: Events, *, is_published: bool = True) -> None:
        self.revision = 0
        self.changed = Signal()
        self.by_id: dict[str, ServerState] = {}
        self._cells = running.segment.cells
        self._layout = running.segment.layout
        self._events = events
        self._is_published = is_published
        self._place = ALONE
        self._pools = {pool.name: pool for pool in running.configuration.pools}
        self._rows = running.rows
        self._by_row: dict[int, ServerState] = {}
        self._members: dict[str, list[ServerState]] = {pool.name: [] for pool in running.configuration.pools}
        for pool in running.configuration.pools:
            for server in pool.servers:
                self.add(server, pool, running.rows.servers[server.id])
        self.revision = 0  # a beginning is no change
        for state in self.by_id.values():
            state.revision = 0

    def take_over(self, former: ServerStates) -> None:
        """Know what a generation before has known. To be called before `publish`."""
        self.revision = former.revision + 1
        for name, row in self._rows.pools.items():
            if name in self._pools and name not in former._pools:
                self._cells[self._layout.pool_withheld(row)] = 0  # it is new, or was gone: the intentions say more
        for state in self.by_id.values():
            before = former.by_id.get(state.server.id)
            if before is not None and before.row == state.row:
                state.take_over(before)
            else:
                state.revision = self.revision  # whoever saw one of this name before has not seen this one

    def share(self, place: Place) -> None:
        """Have limits of the fleet be divided otherwise."""
        self._place = place
        for state in self.by_id.values():
            if state.server.fleet_connections_max:
                self._changed(state)

    def publish(self) -> None:
        """Let workers see the states, all of them at once, and each change from now on."""
        self._is_published = True
        for state in self.by_id.values():
            self._write(state)

    def members(self, pool: Pool) -> list[ServerState]:
        """Return the servers of a pool: those of the file, or those found."""
        return self._members[pool.name]

    def by_row(self, row: int) -> ServerState:
        """Return the server that has a row. Raises KeyError."""
        return self._by_row[row]

    def add(self, server: Server, pool: Pool, row: int) -> ServerState:
        """Take in a server."""
        state = ServerState(server, pool, row, self._rows.pools[pool.name], server.weight)
        if pool.health_check.type is CheckType.NONE:
            state.health_reason = state.checked_reason = "no health check"
        self.by_id[server.id] = self._by_row[row] = state
        self._members[pool.name].append(state)
        self._changed(state)
        if self._is_published:
            state.revision = self.revision  # as in `take_over`
        return state

    def replace(self, row: int, server: Server) -> None:
        """Take over what else is known of a server of the same name. A weight that an operator gave it stays."""
        state = self._by_row[row]
        if state.weight == state.server.weight:
            state.weight = server.weight
        state.server = server
        self._changed(state)

    def leave(self, state: ServerState, *, is_leaving: bool) -> None:
        """Give a server nothing any more, because it is not found any more; or take that back."""
        state.is_leaving = is_leaving
        self._changed(state)

    def remove(self, state: ServerState) -> None:
        """Forget a server."""
        del self.by_id[state.server.id], self._by_row[state.row]
        self._members[state.pool.name].remove(state)
        self._changed(state)

    def set_admin(
        self, state: ServerState, admin: AdminState, actor: Actor | None, *, reason: str = "", is_hard: bool = False
    ) -> Event | None:
        """Do what the operator wants of a server; return the event, None when it was so already. `is_hard`: of a drain."""
        before = state.word
        if (state.admin, state.is_hard) == (admin, is_hard):
            return None
        state.admin, state.is_hard = admin, is_hard
        self._mark(state, actor)
        if admin is AdminState.MAINT:
            state.maintenances += 1
            self._forget_health(state)
        self._write(state)
        for watcher in state.admin_watchers:
            watcher.fire()
        return self._events.add(
            "admin_state_changed",
            state.server.id,
            f"{state.server.id} is now {_plain(state.word)}, was {_plain(before)}{_because(reason)}",
            actor=actor,
            change=(before, state.word),
        )

    def set_weight(
        self, state: ServerState, weight: int, actor: Actor | None, *, reason: str = "", is_step: bool = False
    ) -> Event | None:
        """Give a server another weight, 0..WEIGHT_MAX; return the event, None when it had it already, or for a step of many."""
        if not 0 <= weight <= WEIGHT_MAX:
            raise ValueError(f"weight {weight} is not within 0..{WEIGHT_MAX}")
        before = state.weight
        if before == weight:
            return None
        state.weight = weight
        if is_step:
            self._changed(state)
            return None
        self._mark(state, actor)
        self._write(state)
        message = f"{state.server.id} has weight {weight}, had {before}{_because(reason)}"
        return self._events.add("weight_changed", state.server.id, message, actor=actor, change=(before, weight))

    def set_health(self, state: ServerState, health: HealthState, reason: str, detail: str = "") -> Event | None:
        """Take over what checks or traffic found; return the event, None when only the reason is another.

        `detail` is what the event says, where more than the reason is known.
        """
        state.checked, state.checked_reason = health, reason
        return self._settle(state, detail)

    def set_wish(self, state: ServerState, wish: Wish) -> None:
        """Take over what the server's agent says."""
        before, asked = state.wish, (state.no_new_clients, state.is_for_nobody)
        if before == wish:
            return
        state.wish = wish
        if before.percent != wish.percent:
            message = f"{state.server.id} has {wish.percent}% of its weight, had {before.percent}%: its agent says so"
            self._events.add("agent_weight_changed", state.server.id, message, change=(before.percent, wish.percent))
        if before.down != wish.down:
            self._settle(state, "")
        self._say_whom_it_takes(state, asked)
        self._changed(state)

    def set_not_found(self, state: ServerState, *, is_not_found: bool) -> None:
        """Take over whether the health check says that the server wants no new clients."""
        if state.is_not_found is not is_not_found:
            asked = state.no_new_clients, state.is_for_nobody
            state.is_not_found = is_not_found
            self._say_whom_it_takes(state, asked)
            self._changed(state)

    def eject(self, state: ServerState, reason: str, for_s: float) -> None:
        """Give a server no clients for a while, for what traffic has shown."""
        state.ejected, state.ejected_until = reason, time.time() + for_s
        self._changed(state)
        message = f"{state.server.id} is ejected for {for_s:g} s: {reason}"
        self._events.add("server_ejected", state.server.id, message, change=(None, reason))

    def end_ejection(self, state: ServerState) -> None:
        """Give a server clients again that was ejected."""
        reason, state.ejected = state.ejected, ""
        self._changed(state)
        self._events.add(
            "server_ejection_ended", state.server.id, f"{state.server.id} is no longer ejected", change=(reason, None)
        )

    def grow(self) -> None:
        """Have the servers on their slow start grow."""
        for state in self.by_id.values():
            if state.warming_since is not None:
                self._write(state)

    def _settle(self, state: ServerState, detail: str) -> Event | None:
        before = state.health
        health, reason = state.checked, state.checked_reason
        if state.wish.down:
            health, reason = HealthState.DOWN, said_by_agent(state.wish)
        if health is not before and health not in HEALTH_TRANSITIONS[before]:
            raise ValueError(f"{state.server.id} cannot go from {before.name} to {health.name}")
        state.health_reason = reason
        if before is health:
            return None
        state.health = health
        state.health_since = time.time()
        state.because = reason if state.wish.down else detail or reason
        self._changed(state)
        kind, words = _WENT[health]
        return self._events.add(
            kind,
            state.server.id,
            f"{state.server.id} {words}: {state.because}",
            change=(before.name.lower(), health.name.lower()),
        )

    def _say_whom_it_takes(self, state: ServerState, before: tuple[str, bool]) -> None:
        """Make an event where a server asks for others than `before`: why for no new clients, and whether for nobody."""
        name, why, was_for_nobody = state.server.id, state.no_new_clients, before[1]
        if (bool(why), state.is_for_nobody) == (bool(before[0]), was_for_nobody):
            return
        if state.is_for_nobody:
            kind, message = "server_asks_for_nobody", f"{name} asks for nobody, not even for who had it: {why}"
        elif why:
            again = "; who had it may come back" if was_for_nobody else ""
            kind, message = "server_asks_for_no_new_clients", f"{name} asks for no new clients: {why}{again}"
        else:
            kind, message = "server_takes_new_clients", f"{name} takes new clients again"
        self._events.add(kind, name, message, change=(before[0] or None, why or None))

    def _changed(self, state: ServerState) -> None:
        self.revision += 1
        self._write(state)

    def set_published(
        self, pool: Pool, pool_row: int, is_published: bool, actor: Actor | None, *, reason: str = ""
    ) -> Event | None:
        """Give a pool requests, or none; return the event, None when it was so already. Its servers' states stay."""
        cell = self._layout.pool_withheld(pool_row)
        if bool(self._cells[cell]) is not is_published:
            return None
        self._cells[cell] = int(not is_published)
        self._cells[self._layout.pool_version(pool_row)] += 1
        self.revision += 1
        self.changed.fire()
        word = "published" if is_published else "unpublished"
        message = f"pool {pool.name} is {word}" + ("" if is_published else ": routes pass it over") + _because(reason)
        change = ("unpublished", word) if is_published else ("published", word)
        return self._events.add(f"pool_{word}", pool.name, message, actor=actor, change=change)

    def touch(self) -> None:
        """Note that something else is to be shown of a server."""
        self.revision += 1
        self.changed.fire()

    def tell_of_node(self, message: str, actor: Actor) -> None:
        """Make an event of what an operator wants of the node."""
        self.revision += 1
        self._events.add("node_state_changed", "node", message, actor=actor)

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
        state.health_reason = state.checked_reason = "in maintenance"
        state.checked, state.probe = HealthState.UNKNOWN, None
        state.wish, state.agent, state.is_not_found = NO_WISH, AgentSaid(), False

    def _write(self, state: ServerState) -> None:
        if not self._is_published:
            return
        self._warm_up(state)
        state.fleet_part = self._place.part_of(state.server.fleet_connections_max)
        block = self._layout.state(state.row)
        self._cells[block + at.STATE_ADMIN] = state.admin_for_workers
        self._cells[block + at.STATE_HEALTH] = state.health_for_workers
        self._cells[block + at.STATE_WEIGHT] = state.weight_for_workers
        self._cells[block + at.STATE_CONNECTIONS_MAX] = state.connections_max
        self._cells[block + at.STATE_EJECTED] = int(bool(state.ejected))
        self._cells[block + at.STATE_SHARE_PERMILLE] = state.share_permille
        self._cells[block + at.STATE_NO_NEW_CLIENTS] = int(bool(state.no_new_clients))
        self._cells[self._layout.pool_version(state.pool_row)] += 1
        self.changed.fire()

    def _warm_up(self, state: ServerState) -> None:
        """Begin the slow start of a server that has come back, or go on with it."""
        settings = state.pool.passive.slow_start
        # A server that asks for no new clients is too busy, or restarts: all of them at once would bring it back there.
        is_out = state.admin is AdminState.MAINT or not state.is_healthy or bool(state.no_new_clients)
        now_s = time.monotonic()
        if settings is not None and state.was_out and not is_out:
            state.warming_since = now_s
        state.was_out = is_out
        if is_out:
            state.warming_since = None
        state.share_permille = slow_start.WHOLE
        if state.warming_since is not None:
            state.share_permille = slow_start.share_permille(settings, now_s - state.warming_since)
            if state.share_permille == slow_start.WHOLE:
                state.warming_since = None


def _plain(word: str) -> str:
    return word.replace("_", " ")


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""
