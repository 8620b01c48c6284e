"""What the console shows of an engine at one moment: its node, listeners, pools and servers as rows.

Responsible for the rows that every screen reads, and for their order. Knows nothing of where they come from: of an engine that
answers, of its past, or of a file.

Invariants: rows have printable text only; ids are unique, and each leads to exactly one real server; a figure that is not known
is None, never 0; a time is Unix seconds and belongs to the clock of `at`.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any

from lbapp.control.messages import CertificateStatus, EngineStatus, FleetGlance
from lbapp.control.past import PastNode


@dataclass(frozen=True, slots=True)
class Target:
    """The names of a server as the engine knows them."""

    pool: str
    name: str

    @property
    def id(self) -> str:
        """Return POOL/SERVER, as the engine says it."""
        return f"{self.pool}/{self.name}"


@dataclass(slots=True)
class Figures:
    """What a listener, pool or server carried. Latencies are milliseconds, `error_rate` is 0.0 to 1.0, totals never go back."""

    connections: int | None = None
    in_flight: int | None = None
    requests_per_s: float | None = None
    error_rate: float | None = None
    p50: float | None = None
    p90: float | None = None
    p99: float | None = None
    requests_total: int | None = None
    errors_total: int | None = None
    retries_total: int | None = None
    bytes_in_total: int | None = None
    bytes_out_total: int | None = None


@dataclass(frozen=True, slots=True)
class DrainRow:
    """A drain under way: `phase` is draining, drained or overdue; `ends_at`: when it closes by force."""

    phase: str
    ends_at: float
    is_hard: bool = False
    in_flight: int = 0
    finish_s: float | None = None


@dataclass(frozen=True, slots=True)
class RampRow:
    """A weight that changes over time."""

    after: int
    ends_at: float


@dataclass(slots=True)
class ServerRow(Figures):
    """One server of one pool. `streak` and `is_last_good` are of its probes: so many alike in a row."""

    id: str = ""
    target: Target = field(default_factory=lambda: Target("", ""))
    pool: str = ""
    name: str = ""
    address: str = ""
    admin: str = "ready"
    health: str = "unknown"
    health_reason: str = ""
    health_since: float | None = None
    streak: int = 0
    is_last_good: bool | None = None
    rise: int | None = None
    fall: int | None = None
    weight: int = 0
    configured_weight: int | None = None
    agent_percent: int = 100
    share_percent: float = 100.0
    connections_max: int | None = None
    idle: int | None = None
    is_eligible: bool = False
    is_backup: bool = False
    is_leaving: bool = False
    is_for_nobody: bool = False
    no_new_clients: str = ""
    ejected: str = ""
    drain: DrainRow | None = None
    ramp: RampRow | None = None
    changed_at: float | None = None
    changed_by: str = ""

    def still(self, copies: dict[int, Any]) -> ServerRow:
        """Return a copy that stays as it is. `copies`: by identity, of what many rows have in common."""
        return copy(self)


@dataclass(slots=True)
class PoolRow(Figures):
    """One pool. `served_by`: who gets its requests now, empty for nobody; None where that is not known."""

    name: str = ""
    algorithm: str = ""
    is_published: bool = True
    eligible: int = 0
    total: int = 0
    served_by: str | None = None
    failover: str | None = None
    is_on_backups: bool = False
    is_in_panic: bool = False
    queued: int | None = None
    queue_max: int | None = None
    waiting_since: float | None = None
    connections_max: int | None = None
    persistence: str = ""
    discovered_as: str | None = None
    servers: list[ServerRow] = field(default_factory=list)


@dataclass(slots=True)
class ListenerRow(Figures):
    """One listener. `state` is serving or draining; `turned_away`: connections not let in, by reason, since the start."""

    name: str = ""
    protocol: str = ""
    bind: list[str] = field(default_factory=list)
    pool: str | None = None
    state: str = "serving"
    overloaded_since: float | None = None
    turned_away: dict[str, int] = field(default_factory=dict)
    certificates: list[CertificateStatus] = field(default_factory=list)


@dataclass(slots=True)
class Scene:
    """Everything at one moment. `engine` is None of a past that did not record it."""

    at: float = 0.0
    revision: int = 0
    engine: EngineStatus | None = None
    node_was: PastNode | None = None  # of a past, what was recorded of the node
    listeners: list[ListenerRow] = field(default_factory=list)
    pools: list[PoolRow] = field(default_factory=list)
    _servers: dict[str, ServerRow] = field(default_factory=dict)
    _by_target: dict[Target, ServerRow] = field(default_factory=dict)

    def index(self) -> None:
        """Find servers by their ids again, after rows came or went."""
        self._servers = {server.id: server for pool in self.pools for server in pool.servers}
        self._by_target = {server.target: server for server in self._servers.values()}

    @property
    def fleet(self) -> FleetGlance | None:
        """How the fleet of the node stands, in short; None: it is alone, or that is not known."""
        return self.engine.get("fleet") if self.engine else None

    @property
    def requests_per_s(self) -> float | None:
        """What the node carries: of its listeners, or of its pools where only those are known; None: nobody knows."""
        for rows in (self.listeners, self.pools):
            if rates := [each.requests_per_s for each in rows if each.requests_per_s is not None]:
                return sum(rates)
        return None

    def still(self) -> Scene:
        """Return a copy that stays as it is, whatever becomes of these rows."""
        copies: dict[int, Any] = {}
        pools = [replace(pool, servers=[server.still(copies) for server in pool.servers]) for pool in self.pools]
        found = replace(self, listeners=[copy(each) for each in self.listeners], pools=pools)
        found.index()
        return found

    def servers(self) -> Iterable[ServerRow]:
        """Return every server, in the order of the configuration."""
        return self._servers.values()

    def server(self, server_id: str) -> ServerRow | None:
        """Return the server of that id."""
        return self._servers.get(server_id)

    def by_target(self, target: Target) -> ServerRow | None:
        """Return the server that the engine knows by these names."""
        return self._by_target.get(target)

    def pool(self, name: str) -> PoolRow | None:
        """Return the pool of that name."""
        return next((pool for pool in self.pools if pool.name == name), None)
