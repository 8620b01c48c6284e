"""The public contract of the control API: the JSON that engine, command line and TUI exchange.

Responsible for the names and types of every field. Knows nothing of HTTP, sockets or how the figures are made.
Plain TypedDicts: a message is what `json.loads` gives, so neither side pays for a model class.

Invariants: fields are added, never renamed or given another meaning. Times are Unix seconds, durations seconds, latencies
milliseconds; an unknown figure is null, never 0. States are lower-case words: see the Literals below.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from lbapp.control.standing import DrainStatus as DrainStatus
from lbapp.control.standing import DrainStep as DrainStep
from lbapp.control.standing import EcmpWord as EcmpWord
from lbapp.control.standing import FleetGlance as FleetGlance
from lbapp.control.standing import NodeDrainStatus as NodeDrainStatus
from lbapp.control.standing import RampStatus as RampStatus

AdminWord = Literal["ready", "drain", "maint"]
HealthWord = Literal["unknown", "up", "down"]
PhaseWord = Literal["starting", "serving", "draining", "gone"]


class Percentiles(TypedDict):
    """Latencies in milliseconds over the last `window_s`; null where nothing was measured in it."""

    p50: float | None
    p90: float | None
    p99: float | None
    p999: float | None


class Latency(TypedDict):
    """Where the time went. `connect`: new upstream connections only. `first_byte`: request sent to response head."""

    window_s: float
    connect: Percentiles
    first_byte: Percentiles
    total: Percentiles


class Traffic(TypedDict):
    """What a listener, pool or server carried. `_total` fields count since the engine started and never go back."""

    connections: int  # open now: downstream ones of a listener, upstream ones of a pool or server
    connections_total: int
    in_flight: int  # exchanges (HTTP) and relayed connections (TCP) now
    requests_total: int
    requests_per_s: float
    responses: dict[str, int]  # "1xx" .. "5xx": totals
    errors_total: int  # 5xx answers and exchanges that ended without a whole response
    error_rate: float | None  # share of the exchanges of the last 10 s, 0.0 .. 1.0; null without traffic
    bytes_in_total: int  # from clients
    bytes_out_total: int  # to clients
    retries_total: int
    failures: dict[str, int]  # kind -> total, such as "connect_refused"
    outcomes: dict[str, int]  # how exchanges ended -> total, such as "completed"
    latency: Latency


class Actor(TypedDict):
    """Who changed something, by the peer credentials of the control socket; `engine` for lbapp itself."""

    uid: int | None
    user: str
    pid: int | None


class ProbeDone(TypedDict):
    """One run of a server's health check."""

    at: float
    is_success: bool
    reason: str
    layer: str  # how far it came: "name", "connect", "tls", "tcp", "http"
    duration_s: float


class ProbesDone(TypedDict):
    """`GET /v1/pools/P/servers/S/probes`: the last 60, the latest last."""

    server: str  # "pool/server"
    probes: list[ProbeDone]


class ProbeStatus(ProbeDone):
    """The last run of a server's health check. `streak`: equal results in a row, this one included.

    `POST /v1/pools/P/servers/S/check` runs it at once and answers with this; 409 no_check, in_maintenance, checking, reloaded.
    """

    streak: int
    excerpt: str  # the beginning of an answer that was not expected


class AgentStatus(TypedDict):
    """What a server's agent said last. `down` and `no_new_clients` are empty while it says nothing of the kind.

    `at`: when it was asked last; `line`: what it answered then; `error`: why it could not be asked or understood.
    """

    at: float | None
    line: str
    error: str

    down: str
    no_new_clients: str
    percent: int  # of the weight
    connections_max: int  # 0: no limit


class ServerFacts(TypedDict):
    """What is said of a server beside its figures."""

    id: str  # "pool/server"
    pool: str
    name: str
    address: str
    admin: AdminWord
    health: HealthWord
    health_reason: str  # of the last probe, such as "HTTP 503" or "connection refused"
    health_since: float
    health_because: str  # all that is known of what changed it last
    probe: ProbeStatus | None  # null: none yet
    no_new_clients: str  # why the server itself asks for none; empty: it does not
    is_for_nobody: bool  # nor for who had it before: its agent says maint
    agent: AgentStatus | None  # null: it has none
    is_eligible: bool
    weight: int
    configured_weight: int
    connections_max: int  # in flight at a time, of the node; 0: no limit
    fleet_connections_max: NotRequired[int]  # of all members together, which share it; 0: no limit
    connections_max_here: NotRequired[int]  # what holds now, by these, the agent and a slow start; 0: no limit
    is_leaving: bool  # its pool's name does not stand for it any more: it finishes what it has
    ejected: str  # why traffic has it ejected; empty: it has not
    ejected_until: float | None
    share_percent: float  # of its weight: below 100 during a slow start
    is_backup: bool  # eligible only while no other server of the pool is
    drain: DrainStatus | None
    ramp: RampStatus | None
    changed_at: float | None  # the operator's last change while running
    changed_by: Actor | None


class ServerStatus(Traffic, ServerFacts):
    """One server of one pool."""

    idle_connections: int


class PersistenceStatus(TypedDict):
    """How a pool's clients keep their server. `verdicts` and `not_remembered_total` count since the engine started."""

    type: Literal["cookie", "ip", "header"]
    ttl_s: float
    verdicts: dict[str, int]  # "none", "valid", "invalid", "expired", ..., "inserted", "updated"
    not_remembered_total: int  # clients that could not be written down: a full table or disk


class QueueStatus(TypedDict):
    """Who waits for room at a pool. `queued_total` counts since the engine started."""

    queued: int
    length_max: int
    timeout_s: float
    queued_total: int
    waiting_since: float | None  # since when requests have had to wait again and again; null: they do not


class PoolFacts(TypedDict):
    """What is said of a pool beside its figures and its servers."""

    name: str
    algorithm: str
    published: bool  # false: routes pass it over; its servers are checked all the same
    eligible: int
    total: int
    persistence: PersistenceStatus | None  # null: the pool has none
    retries_refused_total: int  # attempts not made because the pool's retry budget was spent
    connections_max: int  # in flight at all its servers; 0: no limit
    fleet_connections_max: NotRequired[int]  # of all members together, which share it; 0: no limit
    connections_max_here: NotRequired[int]  # what holds on this node now, by these two; 0: no limit
    queue: QueueStatus | None  # null: neither pool nor servers have a limit
    failover: str | None  # the pool that takes over
    discovered_as: str | None  # the name that its servers are found by; null: they are those of the file
    served_by: str | None  # the pool that gets the requests now: itself, one that takes over, null: nobody
    is_on_backups: bool
    is_in_panic: bool  # too few servers are available: health is ignored


class PoolStatus(Traffic, PoolFacts):
    """One pool and its servers, in the order of the configuration."""

    servers: list[ServerStatus]


class RememberedClient(TypedDict):
    """One client that the node remembers. `key`: an address, or `#` and the digest of a header's value."""

    pool: str
    key: str
    server: str  # "pool/server"
    expires_at: float


class RememberedClients(TypedDict):
    """`GET /v1/persistence?pool=P&key=K&limit=N`. `total`: of the whole table, all pools."""

    clients: list[RememberedClient]
    total: int
    is_truncated: bool


class PersistenceCleared(TypedDict):
    """`DELETE /v1/persistence?pool=P&key=K`: how many clients are no longer remembered."""

    cleared: int


class CertificateStatus(TypedDict):
    """A certificate that a listener shows."""

    file: str
    names: list[str]
    issuer: str
    key_type: str
    fingerprint_sha256: str
    not_before: float
    not_after: float
    days_left: float  # below 0: expired


class TlsStatus(TypedDict):
    """How a listener speaks TLS. Totals count since the engine started."""

    certificates: list[CertificateStatus]  # the first is for who asks for no name, or for one that none has
    handshakes: dict[str, int]  # how they ended -> total, such as "done" or "no_common_version"
    resumed_total: int  # of those done


class ListenerFacts(TypedDict):
    """What is said of a listener beside its figures. `state` follows the node: serving or draining."""

    name: str
    protocol: Literal["http", "tcp"]
    bind: list[str]
    turned_away: dict[str, int]  # connections not let in -> total, such as "node_full" or "network"
    rate_limited_total: int  # requests answered with 429
    recycled_total: int  # idle connections closed to make room for new clients
    overloaded_since: NotRequired[
        float | None
    ]  # since when clients are turned away for want of room; null: they are not
    pool: str | None
    state: Literal["serving", "draining"]
    tls: TlsStatus | None  # null: it speaks plain text, or passes TLS on unopened


class ListenerStatus(Traffic, ListenerFacts):
    """One listener."""


class WorkerStatus(TypedDict):
    """One worker process."""

    slot: int
    pid: int
    phase: PhaseWord
    generation: int
    heartbeat_age_s: float
    connections: int
    restarts_total: int
    faults_total: int  # connections of this slot that ended with an error in lbapp itself


class EngineStatus(TypedDict):
    """The node itself."""

    version: str
    node: str
    pid: int
    phase: Literal["starting", "serving", "draining"]
    started_at: float
    uptime_s: float
    generation: int
    configuration_path: str
    configuration: int  # the number of what serves, in GET /v1/configurations; 0: it could not be kept
    confirm_by: float | None  # Unix seconds: when what serves is taken back, unless it is confirmed
    file_is_other: NotRequired[str]  # why the file is not what serves, as of a few seconds ago; empty: it is
    ready: NotRequired[bool]  # as of GET /v1/ready
    fleet: NotRequired[FleetGlance | None]  # null: this node is alone
    drain: NodeDrainStatus | None
    workers: list[WorkerStatus]
    cpu_percent: float | None  # of all engine processes, 100 = one core
    memory_bytes: int | None


class Status(TypedDict):
    """`GET /v1/status`, and each line of `GET /v1/watch`; as changes: `lbapp.control.live`."""

    at: float
    revision: int  # grows with every change of a state or weight
    engine: EngineStatus
    listeners: list[ListenerStatus]
    pools: list[PoolStatus]


class Event(TypedDict):
    """Something that happened, in the order of `seq`. `GET /v1/events?after=SEQ&before=SEQ&limit=N&kind=K,K&subject=S`.

    The newest of those, oldest first. A pool is the subject of what happens to its servers, too.
    """

    seq: int
    at: float
    kind: str  # past tense: server_went_down, server_came_up, admin_state_changed, weight_changed, worker_died, ...
    subject: str  # "pool/server", "worker 0", "node"
    message: str  # one sentence for people
    actor: Actor | None
    before: str | int | None
    after: str | int | None


class Events(TypedDict):
    """`GET /v1/events`. With `follow=1` the answer is one Event a line, as they happen."""

    events: list[Event]


class StopRequest(TypedDict):
    """`POST /v1/stop`: drain the node, then stop. Answers {"accepted": true} at once."""

    timeout_s: NotRequired[float]


class ProblemFound(TypedDict):
    """What is wrong with a configuration. `line` counts from 1; 0: the file as a whole. `key`: such as `pool[0].name`."""

    file: str
    line: int
    key: str
    message: str  # the whole sentence
    allowed: str  # the end of it that says what is allowed; empty: it does not


class ErrorDetail(TypedDict):
    """The one shape of every error."""

    code: str
    message: str
    hint: str
    problems: NotRequired[list[ProblemFound]]  # of invalid_configuration: all of them, in the order of lines


class ErrorAnswer(TypedDict):
    """The body of every answer that is not 2xx."""

    error: ErrorDetail
