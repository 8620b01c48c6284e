"""What the engine looks like now: the Status of the control API.

Responsible for putting figures, states, drains and workers together under their names. Knows nothing of HTTP,
and changes nothing. Invariant: one Status is made from one reading of the scoreboard, so its figures belong
together.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, cast

from lbapp import __version__
from lbapp.control.fleet import Readiness
from lbapp.control.messages import (
    AdminWord,
    AgentStatus,
    EngineStatus,
    FleetGlance,
    HealthWord,
    ListenerFacts,
    ListenerStatus,
    PersistenceStatus,
    PhaseWord,
    PoolFacts,
    PoolStatus,
    QueueStatus,
    ServerFacts,
    ServerStatus,
    Status,
    TlsStatus,
    WorkerStatus,
)
from lbapp.engine.policy.readiness import Standing, reasons_against
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.scoreboard.totals import PoolTotals, pool_totals
from lbapp.engine.supervisor.certificates import Certificates
from lbapp.engine.supervisor.configurations import Kept
from lbapp.engine.supervisor.drains import Drains
from lbapp.engine.supervisor.history import History, Reading
from lbapp.engine.supervisor.life import Life
from lbapp.engine.supervisor.overload import OverloadWatch
from lbapp.engine.supervisor.pool_watch import PoolWatch, Situation
from lbapp.engine.supervisor.processes import ProcessFigures
from lbapp.engine.supervisor.running import Running, rows_by_pool
from lbapp.engine.supervisor.server_state import ServerState
from lbapp.engine.supervisor.sockets import Listening
from lbapp.engine.supervisor.state import ServerStates
from lbapp.engine.supervisor.traffic import Figures, of_listener, of_pool, of_server, traffic
from lbapp.engine.supervisor.workers import Workers
from lbapp.model.admission import TurnedAway
from lbapp.model.entities import Listener, Pool
from lbapp.model.limits import HEARTBEAT_AGE_MAX_S
from lbapp.model.persistence import PersistenceVerdict
from lbapp.model.states import WorkerPhase
from lbapp.model.tls import HandshakeEnd

STATUS_AGE_MAX_S: Final = 0.1  # several watches get the same Status


@dataclass(slots=True)
class StatusReader:
    """Makes Status values of one engine."""

    running: Running
    life: Life
    listening: Listening
    states: ServerStates
    drains: Drains
    workers: Workers
    history: History
    overload: OverloadWatch
    pools: PoolWatch
    certificates: Certificates | None = None
    applied: Callable[[], Kept | None] = lambda: None
    why_file_is_other: Callable[[], str] = lambda: ""
    glance: Callable[[bool], FleetGlance | None] = lambda _: None  # of the fleet; given whether this node is ready
    _processes: ProcessFigures = field(default_factory=ProcessFigures)
    _last: tuple[object, float, Status] | None = None
    _by_pool: dict[str, list[int]] | None = None
    _eligible_at: int = -1  # the revision of the states that these were counted at
    _eligible: tuple[tuple[str, ...], dict[str, int], list[str]] = ((), {}, [])

    def take_over(self, former: StatusReader) -> None:
        """Go on with the figures of processes that a generation before has kept."""
        self._processes = former._processes

    def status(self) -> Status:
        """Return everything as it is now, or was at most STATUS_AGE_MAX_S ago when nothing changed since."""
        key = (self.states.revision, self.life.phase, self.running.generation)
        now_s = time.monotonic()
        if self._last and self._last[0] == key and now_s - self._last[1] < STATUS_AGE_MAX_S:
            return self._last[2]
        now, earlier = self.history.now(), self.history.earlier()
        configuration = self.running.configuration
        status: Status = {
            "at": time.time(),
            "revision": self.states.revision,
            "engine": self.engine(),
            "listeners": [self._listener(listener, now, earlier) for listener in configuration.listeners],
            "pools": [self._pool(pool, now, earlier) for pool in configuration.pools],
        }
        self._last = (key, now_s, status)
        return status

    def pool(self, pool: Pool) -> PoolStatus:
        """Return one pool as it is now."""
        return self._pool(pool, self.history.now(), self.history.earlier())

    def is_published(self, pool: Pool) -> bool:
        """Say whether a pool takes requests."""
        segment = self.running.segment
        return not segment.cells[segment.layout.pool_withheld(self.running.rows.pools[pool.name])]

    def server(self, state: ServerState) -> ServerStatus:
        """Return one server as it is now."""
        return self.servers([state])[0]

    def servers(self, states: Sequence[ServerState]) -> list[ServerStatus]:
        """Return several servers as they are now."""
        pools = {state.pool.name: state.pool for state in states}.values()
        eligible = {each.row for pool in pools for each in self.pools.eligible(pool)}
        now, earlier = self.history.now(), self.history.earlier()
        return [self._server(state, state.row in eligible, now, earlier) for state in states]

    def figures(self) -> tuple[Reading, list[tuple[Pool, Figures]]]:
        """Return a reading, and the totals of each pool in it (for the metrics)."""
        now = self.history.now()
        return now, [(pool, self._pool_figures(pool, now)) for pool in self.running.configuration.pools]

    def totals(self, pool: Pool) -> PoolTotals:
        """Return what the workers have counted of a pool's persistence and retries."""
        return pool_totals(self.running.segment, self.running.rows.pools[pool.name])

    def worker_statuses(self) -> list[WorkerStatus]:
        """Return every worker slot that is in use."""
        return [self._worker(slot) for slot in range(len(self.workers.restarts))]

    def cost(self) -> tuple[int | None, int | None]:
        """Return CPU, in thousandths of a core, and memory, in bytes, of all engine processes; None: not known yet."""
        self._processes.look([self.running.pid, *self.workers.pids])
        cpu = self._processes.cpu_percent
        return None if cpu is None else round(10 * cpu), self._processes.memory_bytes

    def engine(self) -> EngineStatus:
        """Return the node itself as it is now."""
        running = self.running
        self._processes.look([running.pid, *self.workers.pids])
        return {
            "version": __version__,
            "node": socket.gethostname(),
            "pid": running.pid,
            "phase": self.life.phase,
            "started_at": running.started_at,
            "uptime_s": round(time.time() - running.started_at, 3),
            "generation": running.generation,
            "configuration_path": str(running.path),
            "configuration": 0 if (applied := self.applied()) is None else applied.number,
            "confirm_by": None if applied is None else applied.confirm_by,
            "file_is_other": self.why_file_is_other(),
            "ready": (is_ready := not self.reasons_against()),
            "fleet": self.glance(is_ready),
            "drain": self.drains.node.status(),
            "workers": self.worker_statuses(),
            "cpu_percent": self._processes.cpu_percent,
            "memory_bytes": self._processes.memory_bytes,
        }

    def reasons_against(self) -> list[str]:
        """Return why this node should get no new clients; empty: it should. It costs no look at a server's figures."""
        configuration = self.running.configuration
        if self._eligible_at != self.states.revision:
            self._eligible_at, self._eligible = self.states.revision, self._count_eligible()
        led_to, eligible, withheld = self._eligible
        standing = Standing(
            phase=self.life.phase,
            is_stopping=self.life.is_stopping,
            is_draining=self.drains.node.is_on,
            unbound=[each.name for each in configuration.listeners if not self.listening.binds(each.name)],
            workers=sum(
                each["phase"] == "serving" and each["heartbeat_age_s"] < HEARTBEAT_AGE_MAX_S
                for each in self.worker_statuses()
            ),
            led_to=led_to,
            eligible=eligible,
            unpublished=withheld,
        )
        return reasons_against(standing, configuration.readiness)

    def _count_eligible(self) -> tuple[tuple[str, ...], dict[str, int], list[str]]:
        """Return the pools that requests may go to, the eligible servers of each that is asked for, and the unpublished."""
        configuration = self.running.configuration
        led_to = configuration.led_to
        asked = [configuration.pool(name) for name in dict.fromkeys([*led_to, *configuration.readiness.pools])]
        withheld = [pool.name for pool in asked if not self.is_published(pool)]
        # Where health is ignored in a panic, servers that are down are chosen, too: they make no node ready.
        eligible = {
            pool.name: sum(state.is_eligible for state in self.states.members(pool))
            for pool in asked
            if pool.name not in withheld
        }
        return led_to, eligible, withheld

    def readiness(self) -> Readiness:
        """Return whether this node should get new clients."""
        reasons = self.reasons_against()
        return {"ready": not reasons, "reasons": reasons, "at": time.time(), "drain": self.drains.node.status()}

    def _worker(self, slot: int) -> WorkerStatus:
        cells = self.running.segment.cells
        block = self.running.segment.layout.worker(slot)
        beat_ns = cells[block + at.WORKER_HEARTBEAT_NS]
        phase = WorkerPhase(cells[block + at.WORKER_PHASE])
        return {
            "slot": slot,
            "pid": cells[block + at.WORKER_PID],
            "phase": cast(PhaseWord, phase.name.lower()),
            "generation": cells[block + at.WORKER_GENERATION],
            "heartbeat_age_s": round(max(0, time.monotonic_ns() - beat_ns) / 1e9, 3) if beat_ns else 0.0,
            "connections": cells[block + at.WORKER_CONNECTIONS],
            "restarts_total": self.workers.restarts[slot],
            "faults_total": cells[block + at.WORKER_FAULTS],
        }

    def _listener(self, listener: Listener, now: Reading, earlier: Reading) -> ListenerStatus:
        row = self.running.rows.listeners[listener.name]
        figures = traffic(of_listener(now.listeners[row]), of_listener(earlier.listeners[row]), now.at_s - earlier.at_s)
        return {**figures, **self.listener_facts(listener, now)}

    def listener_facts(self, listener: Listener, now: Reading) -> ListenerFacts:
        """Return what is said of a listener beside its figures."""
        totals = self.overload.totals(listener)
        return {
            "name": listener.name,
            "protocol": listener.protocol.value,
            "bind": [str(bind) for bind in self.listening.binds(listener.name)],
            "pool": listener.pool,
            "turned_away": {reason.name.lower(): totals.turned_away[reason] for reason in TurnedAway},
            "rate_limited_total": totals.rate_limited,
            "recycled_total": totals.recycled,
            "overloaded_since": self.overload.overloaded_since(listener),
            "state": "draining" if self.life.phase == "draining" or self.drains.node.is_on else "serving",
            "tls": self._tls(listener, now),
        }

    def _tls(self, listener: Listener, now: Reading) -> TlsStatus | None:
        if listener.tls is None or self.certificates is None:
            return None
        totals = now.listeners[self.running.rows.listeners[listener.name]]
        return {
            "certificates": self.certificates.of_listener(listener.name),
            "handshakes": {end.name.lower(): totals.handshakes[end] for end in HandshakeEnd},
            "resumed_total": totals.resumed,
        }

    def _pool(self, pool: Pool, now: Reading, earlier: Reading) -> PoolStatus:
        figures = traffic(self._pool_figures(pool, now), self._pool_figures(pool, earlier), now.at_s - earlier.at_s)
        members, eligible = self.states.members(pool), {each.row for each in self.pools.eligible(pool)}
        servers = [self._server(member, member.row in eligible, now, earlier) for member in members]
        return {**figures, **self.pool_facts(pool), "servers": servers}

    def pool_facts(self, pool: Pool) -> PoolFacts:
        """Return what is said of a pool beside its figures and servers."""
        totals = self.totals(pool)
        return {
            "name": pool.name,
            "algorithm": pool.algorithm.value,
            "published": self.is_published(pool),
            "eligible": len(self.pools.eligible(pool)),
            "total": len(self.states.members(pool)),
            "persistence": _persistence(pool, totals),
            "retries_refused_total": totals.retries_refused,
            "connections_max": pool.capacity.connections_max,
            "fleet_connections_max": pool.capacity.fleet_connections_max,
            "connections_max_here": self._limit_here(pool),
            "queue": self._queue(pool, totals),
            "failover": pool.capacity.failover,
            "discovered_as": None if pool.discover is None else pool.discover.name,
            "served_by": self.pools.served_by(pool),
            "is_on_backups": self.pools.situation(pool) is Situation.BACKUPS,
            "is_in_panic": self.pools.is_panic(pool),
        }

    def _limit_here(self, pool: Pool) -> int:
        segment = self.running.segment
        return segment.cells[segment.layout.pool_connections_max(self.running.rows.pools[pool.name])]

    def _queue(self, pool: Pool, totals: PoolTotals) -> QueueStatus | None:
        if not pool.is_limited:
            return None
        return {
            "queued": totals.queued,
            "length_max": pool.capacity.queue.length_max,
            "timeout_s": pool.capacity.queue.timeout_s,
            "queued_total": totals.queued_total,
            "waiting_since": self.pools.waiting_since(pool),
        }

    def _pool_figures(self, pool: Pool, reading: Reading) -> Figures:
        servers = [of_server(reading.servers[row]) for row in self.rows_of(pool)]
        row = self.running.rows.pools[pool.name]
        return of_pool(servers, reading.pools[row], reading.queue_waits[row])

    def rows_of(self, pool: Pool) -> Sequence[int]:
        """Return every row that is, was or may be one of the pool's, so that totals never go back when a server goes."""
        if self._by_pool is None:
            self._by_pool = rows_by_pool(self.running.rows)
        return self._by_pool[pool.name]

    def _server(self, state: ServerState, is_eligible: bool, now: Reading, earlier: Reading) -> ServerStatus:
        row = state.row
        figures = traffic(of_server(now.servers[row]), of_server(earlier.servers[row]), now.at_s - earlier.at_s)
        idle = now.servers[row].idle
        return {**figures, **self.server_facts(state, is_eligible=is_eligible), "idle_connections": idle}

    def server_facts(self, state: ServerState, *, is_eligible: bool) -> ServerFacts:
        """Return what is said of a server beside its figures."""
        server = state.server
        return {
            "id": server.id,
            "pool": server.pool,
            "name": server.name,
            "address": server.address,
            "admin": cast(AdminWord, state.admin.name.lower()),
            "health": cast(HealthWord, state.health.name.lower()),
            "health_reason": state.health_reason,
            "health_since": state.health_since,
            "health_because": state.because,
            "probe": state.probe,
            "no_new_clients": state.no_new_clients,
            "is_for_nobody": state.is_for_nobody,
            "agent": agent_status(state),
            "is_eligible": is_eligible,
            "weight": state.weight,
            "configured_weight": server.weight,
            "connections_max": server.connections_max,
            "fleet_connections_max": server.fleet_connections_max,
            "connections_max_here": state.connections_max,
            "is_backup": server.is_backup,
            "is_leaving": state.is_leaving,
            "ejected": state.ejected,
            "ejected_until": state.ejected_until if state.ejected else None,
            "share_percent": state.share_permille / 10,
            "drain": self.drains.status(state),
            "ramp": self.drains.ramps.status(state),
            "changed_at": state.changed_at,
            "changed_by": state.changed_by,
        }


def agent_status(state: ServerState) -> AgentStatus | None:
    """Return what a server's agent says; None without one."""
    if state.pool.health_check.agent is None:
        return None
    wish = state.wish
    return {
        "at": state.agent.at,
        "line": state.agent.line,
        "error": state.agent.error,
        "down": wish.down,
        "no_new_clients": wish.no_new_clients,
        "percent": wish.percent,
        "connections_max": wish.connections_max,
    }


def _persistence(pool: Pool, totals: PoolTotals) -> PersistenceStatus | None:
    settings = pool.persistence
    if settings is None:
        return None
    return {
        "type": settings.type.value,
        "ttl_s": settings.ttl_s,
        "verdicts": {verdict.name.lower(): totals.verdicts[verdict] for verdict in PersistenceVerdict},
        "not_remembered_total": totals.not_remembered,
    }
