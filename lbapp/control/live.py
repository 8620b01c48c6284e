"""The live feed: `GET /v1/watch?as=changes`, a line of JSON for what there is and then one for what has changed.

Responsible for the names and types of these lines, as `messages` is for all others, and for what is left out of them. Knows
nothing of HTTP or of how changes are found.

The first line is a Whole, and there is another whenever rows come or go. All other lines are Changes. Everything is in five
tables, whose rows are in the order of the configuration (workers: by slot). A row has a state, which is sent again as a whole
when anything in it changes, and figures, which are sent together when any of them does: column by column, each column a text,
so that it costs next to nothing to be told of ten thousand servers what nobody looks at. `figures=no` asks for states alone;
`after=LOOK`, the `look` of a line, for what has changed since then in place of a Whole, where that can still be said.

Invariants: those of `messages`; a row keeps its number until the next Whole; what is left out of a state has the value that
stands here for it; a line that comes late says all that has changed since the line before it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NotRequired, TypedDict

from lbapp.control.messages import Actor, AdminWord, HealthWord, PhaseWord, RampStatus
from lbapp.control.standing import DrainStep, EcmpWord, FleetGlance

TableName = Literal["engine", "workers", "listeners", "pools", "servers"]
Figure = int | float | None
STATES_EVERY_S: Final = 1.0  # a line of states comes at least so often, even if nothing has changed

# The columns of figures. As of Traffic; `p50` .. `p99` are those of `latency.total`; `responses_5xx_total` of `responses`.
_TRAFFIC: Final = (
    "connections", "in_flight", "requests_per_s", "error_rate", "p50", "p90", "p99", "requests_total", "errors_total",
    "retries_total", "bytes_in_total", "bytes_out_total", "responses_5xx_total",
)  # fmt: skip
COLUMNS: Final[Mapping[TableName, tuple[str, ...]]] = {
    "engine": ("cpu_percent", "memory_bytes"),
    "workers": ("connections", "silent_s"),  # whole seconds since the last heartbeat, 0 while it beats
    "listeners": (*_TRAFFIC, "rate_limited_total", "recycled_total"),
    "pools": (*_TRAFFIC, "queued"),
    "servers": (*_TRAFFIC, "idle_connections"),
}

# What a state has where it is left out.
DEFAULTS: Final[Mapping[TableName, Mapping[str, Any]]] = {
    "engine": {"phase": "serving", "confirm_by": None, "drain": None, "ready": True, "fleet": None},
    "workers": {"phase": "serving", "restarts_total": 0, "faults_total": 0},
    "listeners": {"state": "serving", "turned_away": {}, "overloaded_since": None, "certificates": None},
    "pools": {
        "published": True,
        "check": None,
        "persistence": None,
        "connections_max": 0,
        "queue": None,
        "failover": None,
        "discovered_as": None,
        "is_on_backups": False,
        "is_in_panic": False,
    },
    "servers": {
        "admin": "ready",
        "health": "up",
        "probe": None,
        "no_new_clients": "",
        "is_for_nobody": False,
        "agent_percent": 100,
        "is_eligible": True,
        "weight": 100,
        "configured_weight": 100,
        "connections_max": 0,
        "is_leaving": False,
        "ejected": "",
        "ejected_until": None,
        "share_percent": 100.0,
        "is_backup": False,
        "drain": None,
        "ramp": None,
        "changed_at": None,
        "changed_by": None,
    },
}


class DrainState(TypedDict):
    """As a DrainStatus, with moments (Unix seconds) in place of seconds that pass; what is in flight is a figure."""

    phase: Literal["draining", "drained", "overdue"]
    since: float
    timeout_s: float
    until: float  # what is left then is closed by force
    hard: bool
    tunnels: int
    oldest_since: float | None
    remembered: int | None
    finish_at: float | None  # null: nothing is in flight, or nothing can be said


class NodeDrainState(TypedDict):
    """As a NodeDrainStatus, likewise."""

    phase: Literal["draining", "drained", "overdue"]
    since: float
    timeout_s: float
    until: float
    finish_at: float | None
    step: NotRequired[DrainStep]
    step_since: NotRequired[float]
    step_until: NotRequired[float | None]
    step_why: NotRequired[str]
    then_stop: NotRequired[bool]
    ecmp: NotRequired[EcmpWord | None]


class ProbeStreak(TypedDict):
    """Probes that speak against the health that was found: `streak` of them in a row, so far too few to change it."""

    is_success: bool
    streak: int


class ServerState(TypedDict):
    """One server. Its id is `POOL/NAME`. Fields as of a ServerStatus."""

    pool: str
    name: str
    address: str
    health_reason: str
    health_since: float
    admin: NotRequired[AdminWord]
    health: NotRequired[HealthWord]
    probe: NotRequired[ProbeStreak | None]  # null: the last probe agrees with the health, or there was none
    no_new_clients: NotRequired[str]
    is_for_nobody: NotRequired[bool]
    agent_percent: NotRequired[int]  # of the weight, by the server's agent
    is_eligible: NotRequired[bool]
    weight: NotRequired[int]
    configured_weight: NotRequired[int]
    connections_max: NotRequired[int]
    is_leaving: NotRequired[bool]
    ejected: NotRequired[str]
    ejected_until: NotRequired[float | None]
    share_percent: NotRequired[float]
    is_backup: NotRequired[bool]
    drain: NotRequired[DrainState | None]
    ramp: NotRequired[RampStatus | None]
    changed_at: NotRequired[float | None]
    changed_by: NotRequired[Actor | None]


class CheckThresholds(TypedDict):
    """So many equal probes in a row it takes: `rise` successes for UP again, `fall` failures for DOWN."""

    rise: int
    fall: int


class QueueState(TypedDict):
    """As a QueueStatus; how many wait is a figure."""

    length_max: int
    timeout_s: float
    waiting_since: float | None


class PersistenceState(TypedDict):
    """As a PersistenceStatus, without what it counts."""

    type: Literal["cookie", "ip", "header"]
    ttl_s: float


class PoolState(TypedDict):
    """One pool. Fields as of a PoolStatus.

    `states`: how many servers are in each state, the operator's wish before the health: drain, maint, up, down, unknown.
    """

    name: str
    algorithm: str
    eligible: int
    total: int
    states: dict[str, int]
    served_by: str | None
    published: NotRequired[bool]
    check: NotRequired[CheckThresholds | None]  # null: it has no health check
    persistence: NotRequired[PersistenceState | None]
    connections_max: NotRequired[int]
    queue: NotRequired[QueueState | None]
    failover: NotRequired[str | None]
    discovered_as: NotRequired[str | None]
    is_on_backups: NotRequired[bool]
    is_in_panic: NotRequired[bool]


class CertificateState(TypedDict):
    """As a CertificateStatus."""

    file: str
    names: list[str]
    issuer: str
    key_type: str
    fingerprint_sha256: str
    not_before: float
    not_after: float


class ListenerState(TypedDict):
    """One listener. Fields as of a ListenerStatus; `certificates` as of its `tls`, null where that is."""

    name: str
    protocol: Literal["http", "tcp"]
    bind: list[str]
    pool: str | None
    state: NotRequired[Literal["serving", "draining"]]
    turned_away: NotRequired[dict[str, int]]  # reasons that there were
    overloaded_since: NotRequired[float | None]
    certificates: NotRequired[list[CertificateState] | None]


class WorkerState(TypedDict):
    """One worker. Fields as of a WorkerStatus."""

    slot: int
    pid: int
    generation: int
    phase: NotRequired[PhaseWord]
    restarts_total: NotRequired[int]
    faults_total: NotRequired[int]


class EngineState(TypedDict):
    """The node itself. Fields as of an EngineStatus."""

    version: str
    node: str
    pid: int
    started_at: float
    generation: int
    configuration_path: str
    configuration: int
    phase: NotRequired[Literal["starting", "serving", "draining"]]
    confirm_by: NotRequired[float | None]
    drain: NotRequired[NodeDrainState | None]
    ready: NotRequired[bool]
    fleet: NotRequired[FleetGlance | None]


class Figures(TypedDict):
    """The figures of some rows. `rows`: their numbers, ascending; left out: all. `values`: each column, an array as text."""

    rows: NotRequired[list[int]]
    values: list[str]


class Table(TypedDict):
    """Every row of one kind. `columns` names the figures, which are left out where states alone are asked for."""

    columns: list[str]
    states: list[Any]  # EngineState, WorkerState, ListenerState, PoolState or ServerState
    figures: NotRequired[Figures]


class TableChanges(TypedDict):
    """The rows of one kind that changed."""

    states: NotRequired[list[tuple[int, Any]]]  # the row's number and its state
    figures: NotRequired[Figures]


class Whole(TypedDict):
    """Everything there is. `window_s`: what rates, error rates and percentiles are over. `look`: names this line."""

    kind: Literal["whole"]
    look: str
    at: float
    revision: int
    window_s: float
    engine: Table  # one row
    workers: Table
    listeners: Table
    pools: Table
    servers: Table


class Changes(TypedDict):
    """What changed since the line before. A table in which nothing changed is left out."""

    kind: Literal["changes"]
    look: str
    at: float
    revision: int
    window_s: float
    engine: NotRequired[TableChanges]
    workers: NotRequired[TableChanges]
    listeners: NotRequired[TableChanges]
    pools: NotRequired[TableChanges]
    servers: NotRequired[TableChanges]


Line = Whole | Changes


def without_defaults(table: TableName, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a state as it is sent."""
    defaults = DEFAULTS[table]
    return {name: value for name, value in state.items() if name not in defaults or value != defaults[name]}


def with_defaults(table: TableName, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a state that was sent, with all of its fields."""
    return {**DEFAULTS[table], **state}


def packed(rows: Sequence[Sequence[Figure]], columns: int) -> list[str]:
    """Return the figures of rows as they are sent. `columns`: how many each has."""
    by_column = zip(*rows, strict=True) if rows else [()] * columns
    return [json.dumps(column, separators=(",", ":")) for column in by_column]


def unpacked(values: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return figures that were sent, row by row. Raises ValueError."""
    return list(zip(*map(json.loads, values), strict=True))
