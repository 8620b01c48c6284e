"""What is said of a fleet and of this node's part in it, in the control API.

Responsible for the names and types of these messages, as `messages` is for all others. Knows nothing of HTTP, of the store, of
routes or of DNS.

Invariants: those of `messages`; what other nodes said is passed on as they said it, after it was checked to be of this shape.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from lbapp.control.messages import Actor, EcmpWord, NodeDrainStatus

StoreWord = Literal["off", "starting", "synced", "stale"]


class Readiness(TypedDict):
    """`GET /v1/ready`: 200 where the node should get new clients, else 503. `reasons`: why not, each one sentence."""

    ready: bool
    reasons: list[str]
    at: float
    drain: NodeDrainStatus | None


class SessionReport(TypedDict):
    """A session with a router. `state`: in the daemon's words, such as "Established"; `bfd`: the same, empty without BFD."""

    name: str
    state: str
    is_up: bool
    since: str
    bfd: str


class AnnounceReport(TypedDict):
    """What `lbapp announce` has done with this node's addresses: `PUT /v1/reports/announce`, every few seconds.

    `ecmp`: what becomes of established connections when a route moves: `plain` (they end), `resilient`, `handoff` (they stay),
    `single` (one node at a time has the address: they end). `med` is null where the route has none.
    """

    at: float
    backend: Literal["bird", "exabgp", "keepalived"]
    state: Literal["starting", "withdrawn", "announced", "drained", "failed"]
    since: float
    addresses: list[str]
    med: int | None
    ecmp: EcmpWord
    sessions: list[SessionReport]
    problem: str  # one sentence; empty: none


class DnsReport(TypedDict):
    """What `lbapp dns` has done with this node's records: `PUT /v1/reports/dns`, every few seconds.

    `records`: the addresses that the name has; `own`: those of this node. `left_at`: when the node's own were taken out, and
    `gone_at`: when resolvers have forgotten them; null: they are in.
    """

    at: float
    name: str
    server: str
    ttl_s: float
    state: Literal["starting", "published", "withdrawn", "failed"]
    records: list[str]
    own: list[str]
    left_at: float | None
    gone_at: float | None
    problem: str


class MemberState(TypedDict):
    """What a node says of itself to the others, every two seconds at most."""

    at: float
    phase: Literal["starting", "serving", "draining"]
    ready: bool
    reasons: list[str]
    drain: NodeDrainStatus | None
    connections: int
    in_flight: int
    requests_total: int
    requests_per_s: float
    error_rate: float | None
    cpu_percent: float | None
    memory_bytes: int | None
    servers_eligible: int
    servers_total: int
    configuration: int  # as of EngineStatus
    fleet_configuration: int  # the number of the fleet's that serves; 0: none of them
    differs: int  # settings that are other than the fleet's intents
    fleet_revision: NotRequired[int]  # of the store: the latest intents of the fleet that were made here
    announce: AnnounceReport | None
    dns: DnsReport | None


class MemberStatus(TypedDict):
    """A node of the fleet. `state`: null where it has said nothing yet. `share`: of the fleet's requests a second, 0.0 to 1.0.

    `is_unsure`: it was a member by another store than this node asks now, so that nobody here knows whether it lives.
    """

    name: str
    is_self: bool
    is_alive: bool
    seen_at: float
    version: str
    started_at: float
    host: str
    state: MemberState | None
    share: float | None
    is_unsure: NotRequired[bool]


class IntentStatus(TypedDict):
    """An intent of the fleet. `here`: what this node has; null: it has no such thing."""

    on: str
    setting: str
    value: str | int | bool
    here: str | int | bool | None
    by: str
    node: str
    at: float
    reason: str
    until: float | None
    revision: int


class FleetConfigurationStatus(TypedDict):
    """The configuration of the fleet, and what came of it on each node."""

    number: int
    mode: Literal["all", "rolling"]
    by: str
    node: str
    at: float
    reason: str
    order: list[str]
    reached: int
    stopped: str
    results: dict[str, str]  # of nodes that have taken it: why they do not serve by it; empty: they do
    begun: NotRequired[dict[str, float]]  # the nodes that have begun to, and have not said what came of it: since when
    revision: NotRequired[int]  # of the store, when it was written last


class FleetStatus(TypedDict):
    """`GET /v1/fleet`. `age_s`: how old the view is; null: there never was one."""

    fleet: str  # its name; empty: this node is alone
    node: str
    state: StoreWord
    problem: str
    age_s: float | None
    members: list[MemberStatus]
    intents: list[IntentStatus]
    configuration: FleetConfigurationStatus | None


class PublishRequest(TypedDict):
    """`POST /v1/fleet/configuration`: all nodes serve by this node's file, or by `text`. Answers FleetConfigurationStatus."""

    mode: NotRequired[Literal["all", "rolling"]]
    text: NotRequired[str]
    reason: NotRequired[str]


class RollStop(TypedDict):
    """`POST /v1/fleet/configuration/stop`: let a roll go no further."""

    reason: NotRequired[str]


class Applied(TypedDict):
    """What an action of the fleet came to: the nodes that have made it, and those that live and have not said so yet."""

    revision: int
    actor: Actor
    done: list[str]
    waiting: list[str]


class FleetDifference(TypedDict):
    """Where this node is other than the fleet wants. `why`: one sentence; `by`, `node`, `at`: who asked the fleet for it."""

    on: str
    setting: str
    fleet: str | int | bool
    now: str | int | bool
    by: str
    node: str
    at: float
    why: str
