"""The states of the live feed: what is said of node, workers, listeners, pools and servers beside their figures.

Responsible for making the states of `control.live` from the facts of the Status, and for seeing cheaply which servers have to be
looked at again. Knows nothing of figures, ticks or JSON.

Invariants: what is said is what the Status says at the same moment; seconds that pass are moments that stay, so that a state
that stays the same is the same at every look.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from operator import attrgetter
from typing import Any, Final, cast

from lbapp.control.live import (
    CertificateState,
    CheckThresholds,
    DrainState,
    EngineState,
    ListenerState,
    NodeDrainState,
    PoolState,
    ProbeStreak,
    QueueState,
    WorkerState,
    without_defaults,
)
from lbapp.control.live import ServerState as ServerSaid
from lbapp.control.messages import (
    DrainStatus,
    EngineStatus,
    ListenerFacts,
    NodeDrainStatus,
    PoolFacts,
    RampStatus,
    ServerFacts,
    TlsStatus,
    WorkerStatus,
)
from lbapp.engine.supervisor.reading import StatusReader
from lbapp.engine.supervisor.server_state import ServerState
from lbapp.model.entities import CheckType, Pool
from lbapp.model.health import HealthCheck
from lbapp.model.states import AdminState, HealthState

_STEADY_S: Final = 1.0  # a moment that is worked out again is the same as long as it is no farther from what it was
# What a server's state is made of; drains and ramps go on by themselves.
_made_of: Final = attrgetter(
    "server", "admin", "is_hard", "health", "health_reason", "health_since", "probe", "wish", "is_not_found", "ejected",
    "ejected_until", "share_permille", "weight", "ramp", "is_leaving", "changed_at", "changed_by",
)  # fmt: skip


class ServersSaid:
    """The states of all servers of one generation, in the order of the configuration. `members`: whose they are."""

    def __init__(self, reader: StatusReader) -> None:
        self._reader = reader
        self.members = members(reader)
        self.states: list[dict[str, Any]] = [{} for _ in self.members]
        self._made_of: list[tuple[Any, ...]] = [() for _ in self.members]
        self._eligible: set[int] = set()
        self._revision: int | None = None

    def look(self) -> Iterator[int]:
        """Bring the states up to date, and give the numbers of those that changed."""
        eligible = self._eligible
        if self._revision != self._reader.states.revision:
            self._revision = self._reader.states.revision
            pools = self._reader.running.configuration.pools
            eligible = {each.row for pool in pools for each in self._reader.pools.eligible(pool)}
        changed_rows = eligible ^ self._eligible
        self._eligible = eligible
        for place, state in enumerate(self.members):
            made_of = _made_of(state)
            is_under_way = state.admin is AdminState.DRAIN or state.ramp is not None
            if made_of == self._made_of[place] and not is_under_way and state.row not in changed_rows:
                continue
            self._made_of[place] = made_of
            facts = self._reader.server_facts(state, is_eligible=state.row in eligible)
            said = server_said(state, facts, self.states[place])
            if said != self.states[place]:
                self.states[place] = said
                yield place


def members(reader: StatusReader) -> list[ServerState]:
    """Return all servers in the order of the configuration."""
    return [state for pool in reader.running.configuration.pools for state in reader.states.members(pool)]


def server_said(state: ServerState, facts: ServerFacts, before: Mapping[str, Any]) -> dict[str, Any]:
    """Return a server's state as it is sent. `before`: as it was sent last, whose moments stay."""
    said: ServerSaid = {
        "pool": facts["pool"],
        "name": facts["name"],
        "address": facts["address"],
        "admin": facts["admin"],
        "health": facts["health"],
        "health_reason": facts["health_reason"],
        "health_since": facts["health_since"],
        "probe": _streak(state, state.pool.health_check),
        "no_new_clients": facts["no_new_clients"],
        "is_for_nobody": facts["is_for_nobody"],
        "agent_percent": 100 if facts["agent"] is None else facts["agent"]["percent"],
        "is_eligible": facts["is_eligible"],
        "weight": facts["weight"],
        "configured_weight": facts["configured_weight"],
        "connections_max": facts["connections_max"],
        "is_leaving": facts["is_leaving"],
        "ejected": facts["ejected"],
        "ejected_until": facts["ejected_until"],
        "share_percent": facts["share_percent"],
        "is_backup": facts["is_backup"],
        "drain": _drain(facts["drain"], before.get("drain")),
        "ramp": _ramp(facts["ramp"], before.get("ramp")),
        "changed_at": facts["changed_at"],
        "changed_by": facts["changed_by"],
    }
    return without_defaults("servers", said)


def _streak(state: ServerState, check: HealthCheck) -> ProbeStreak | None:
    probe = state.probe
    if probe is None or check.type is CheckType.NONE:
        return None
    if state.checked is HealthState.UNKNOWN:
        agrees = probe["is_success"]
    else:
        agrees = probe["is_success"] is (state.checked is HealthState.UP)
    return None if agrees else {"is_success": probe["is_success"], "streak": probe["streak"]}


def _drain(drain: DrainStatus | None, before: DrainState | None) -> DrainState | None:
    if drain is None:
        return None
    now = time.time()
    oldest, finish = drain["oldest_s"], drain["finish_s"]
    return {
        "phase": drain["phase"],
        "since": drain["since"],
        "timeout_s": drain["timeout_s"],
        "until": cast(float, _steady(now + drain["remaining_s"], before and before["until"])),
        "hard": drain["hard"],
        "tunnels": drain["tunnels"],
        "oldest_since": _steady(None if oldest is None else now - oldest, before and before["oldest_since"]),
        "remembered": drain["remembered"],
        "finish_at": _steady(
            None if finish is None or not drain["in_flight"] else now + finish, before and before["finish_at"]
        ),
    }


_STEPS: Final = ("step", "step_since", "step_until", "step_why", "then_stop", "ecmp")


def _node_drain(drain: NodeDrainStatus | None, before: NodeDrainState | None) -> NodeDrainState | None:
    if drain is None:
        return None
    now, finish = time.time(), drain["finish_s"]
    said: NodeDrainState = {
        "phase": drain["phase"],
        "since": drain["since"],
        "timeout_s": drain["timeout_s"],
        "until": cast(float, _steady(now + drain["remaining_s"], before and before["until"])),
        "finish_at": _steady(
            None if finish is None or not drain["connections"] else now + finish, before and before["finish_at"]
        ),
    }
    steps = {name: drain[name] for name in _STEPS if name in drain}
    steps["step_until"] = _steady(drain.get("step_until"), before and before.get("step_until"))
    return cast(NodeDrainState, {**said, **steps})


def _ramp(ramp: RampStatus | None, before: RampStatus | None) -> RampStatus | None:
    if ramp is None:
        return None
    percent = ramp["failed_percent"]
    return {
        **ramp,
        "since": cast(float, _steady(ramp["since"], before and before["since"])),
        "until": cast(float, _steady(ramp["until"], before and before["until"])),
        "failed_percent": None if percent is None else round(percent, 1),
    }


def _steady(moment: float | None, before: float | None) -> float | None:
    """Return a moment as it was sent before, unless it is another one; to a tenth of a second."""
    if moment is None or before is None:
        return None if moment is None else round(moment, 1)
    return before if abs(moment - before) < _STEADY_S else round(moment, 1)


def pool_said(pool: Pool, facts: PoolFacts, states: Mapping[str, int]) -> dict[str, Any]:
    """Return a pool's state as it is sent. `states`: how many of its servers are in each."""
    check, persistence, queue = pool.health_check, facts["persistence"], facts["queue"]
    thresholds: CheckThresholds = {"rise": check.rise, "fall": check.fall}
    waiting: QueueState | None = None
    if queue is not None:
        waiting = {
            "length_max": queue["length_max"],
            "timeout_s": queue["timeout_s"],
            "waiting_since": queue["waiting_since"],
        }
    said: PoolState = {
        "name": facts["name"],
        "algorithm": facts["algorithm"],
        "eligible": facts["eligible"],
        "total": facts["total"],
        "states": dict(states),
        "served_by": facts["served_by"],
        "published": facts["published"],
        "check": None if check.type is CheckType.NONE else thresholds,
        "persistence": persistence and {"type": persistence["type"], "ttl_s": persistence["ttl_s"]},
        "connections_max": facts["connections_max"],
        "queue": waiting,
        "failover": facts["failover"],
        "discovered_as": facts["discovered_as"],
        "is_on_backups": facts["is_on_backups"],
        "is_in_panic": facts["is_in_panic"],
    }
    return without_defaults("pools", said)


def word_of(said: Mapping[str, Any]) -> str:
    """Return the state that a server counts under in its pool: the operator's wish before the health."""
    admin: str = said.get("admin", "ready")
    health: str = said.get("health", "up")
    return health if admin == "ready" else admin


def listener_said(facts: ListenerFacts) -> dict[str, Any]:
    """Return a listener's state as it is sent."""
    said: ListenerState = {
        "name": facts["name"],
        "protocol": facts["protocol"],
        "bind": facts["bind"],
        "pool": facts["pool"],
        "state": facts["state"],
        "turned_away": {reason: count for reason, count in facts["turned_away"].items() if count},
        "overloaded_since": facts.get("overloaded_since"),
        "certificates": _certificates(facts["tls"]),
    }
    return without_defaults("listeners", said)


def _certificates(tls: TlsStatus | None) -> list[CertificateState] | None:
    if tls is None:
        return None
    names = CertificateState.__annotations__
    return [cast(CertificateState, {name: each[name] for name in names}) for each in cast(Any, tls["certificates"])]


def worker_said(worker: WorkerStatus) -> dict[str, Any]:
    """Return a worker's state as it is sent."""
    said: WorkerState = {
        "slot": worker["slot"],
        "pid": worker["pid"],
        "generation": worker["generation"],
        "phase": worker["phase"],
        "restarts_total": worker["restarts_total"],
        "faults_total": worker["faults_total"],
    }
    return without_defaults("workers", said)


def engine_said(engine: EngineStatus, before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the node's state as it is sent. `before`: as it was sent last, whose moments stay."""
    said: EngineState = {
        "version": engine["version"],
        "node": engine["node"],
        "pid": engine["pid"],
        "started_at": engine["started_at"],
        "generation": engine["generation"],
        "configuration_path": engine["configuration_path"],
        "configuration": engine["configuration"],
        "phase": engine["phase"],
        "confirm_by": engine["confirm_by"],
        "drain": _node_drain(engine["drain"], before.get("drain")),
        "ready": engine.get("ready", True),
        "fleet": engine.get("fleet"),
    }
    return without_defaults("engine", said)
