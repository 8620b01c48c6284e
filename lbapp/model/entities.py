"""What a configuration is made of: listeners, routes, pools and servers, as plain immutable values.

Responsible for the shape that the whole of lbapp agrees on once a file has been read. Knows nothing of TOML, sockets or
what happens at run time. Invariant: a Configuration is whole and valid; whoever builds one has checked it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from ipaddress import ip_address
from typing import TYPE_CHECKING

from lbapp.model.access_log import NO_LOG, AccessLog
from lbapp.model.actions import NO_RULES, FixedResponse, Forwarding, HeaderRules, Hsts, PrefixChange, Redirect, Share
from lbapp.model.admission import Admission
from lbapp.model.capacity import UNLIMITED, Capacity
from lbapp.model.discovery import Discover
from lbapp.model.hashing import BY_ADDRESS, Hash
from lbapp.model.health import CheckType as CheckType
from lbapp.model.health import HealthCheck as HealthCheck
from lbapp.model.limits import Limits
from lbapp.model.passive import CALM, Passive
from lbapp.model.persistence import Persistence
from lbapp.model.readiness import LENIENT, ReadinessSettings
from lbapp.model.tls import ListenerTls, PoolTls
from lbapp.model.tracing import NO_TRACING, Tracing
from lbapp.model.transport import UNIX_PREFIX, ListenerTransport, PoolTransport

if TYPE_CHECKING:
    from lbapp.model.fleet import ClusterSettings


class Protocol(str, Enum):
    """What a listener speaks."""

    HTTP = "http"
    TCP = "tcp"


class AlgorithmName(str, Enum):
    """How a pool orders its eligible servers."""

    ROUND_ROBIN = "round_robin"
    WEIGHTED_ROUND_ROBIN = "weighted_round_robin"
    LEAST_CONNECTIONS = "least_connections"
    IP_HASH = "ip_hash"
    LEAST_RESPONSE_TIME = "least_response_time"
    TWO_CHOICES = "two_choices"
    HASH = "hash"
    RENDEZVOUS = "rendezvous"
    FIRST = "first"
    PREQUAL = "prequal"

    @property
    def learns(self) -> bool:
        """Say whether it goes by how fast servers have been."""
        return self in (AlgorithmName.LEAST_RESPONSE_TIME, AlgorithmName.PREQUAL)

    @property
    def hashes(self) -> bool:
        """Say whether it goes by what a request is known by."""
        return self in (AlgorithmName.HASH, AlgorithmName.IP_HASH, AlgorithmName.RENDEZVOUS)


@dataclass(frozen=True, slots=True)
class Server:
    """One backend server: one address and weight in one pool.

    `host` is a name, an IPv4 or an IPv6 address without brackets, or the absolute path of a Unix socket, with port 0.
    `connections_max`: exchanges and tunnels at a time, 0 for no limit; `fleet_connections_max`: over all members of the fleet,
    which share it. A backup is for when no other server is eligible.
    """

    pool: str
    name: str
    host: str
    port: int
    weight: int = 100
    connections_max: int = 0
    is_backup: bool = False
    fleet_connections_max: int = 0

    @property
    def id(self) -> str:
        """The name that operators, events and the control API use: `POOL/SERVER`."""
        return f"{self.pool}/{self.name}"

    @property
    def address(self) -> str:
        """`host:port`, with brackets around an IPv6 address, or `unix:/path`."""
        if self.is_unix:
            return UNIX_PREFIX + self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_unix(self) -> bool:
        """Say whether the server listens on a Unix socket."""
        return self.host.startswith("/")

    @property
    def authority(self) -> str:
        """What Host says in a request that brings none of its own. A path is no authority."""
        return "localhost" if self.is_unix else self.address

    @property
    def is_named(self) -> bool:
        """Say whether the host is a name that has to be resolved."""
        if self.is_unix:
            return False
        try:
            ip_address(self.host)
        except ValueError:
            return True
        return False


@dataclass(frozen=True, slots=True)
class Retry:
    """`[pool.retry]`: when a request is sent to another server. `attempts` counts the first; seconds for all together."""

    attempts: int = 2
    timeout_s: float = 10.0
    budget_percent: int = 20
    budget_min: int = 3
    on_status: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Pool:
    """A named group of servers with its algorithm, health check and limits."""

    name: str
    servers: tuple[Server, ...]
    algorithm: AlgorithmName = AlgorithmName.ROUND_ROBIN
    health_check: HealthCheck = field(default_factory=HealthCheck)
    drain_timeout_s: float = 300.0
    transport: PoolTransport = field(default_factory=PoolTransport)
    persistence: Persistence | None = None
    retry: Retry = field(default_factory=Retry)
    tls: PoolTls | None = None
    discover: Discover | None = None
    hash: Hash = BY_ADDRESS
    capacity: Capacity = UNLIMITED
    passive: Passive = CALM

    @property
    def is_limited(self) -> bool:
        """Say whether requests may have to wait for room."""
        capacity = self.capacity
        if capacity.connections_max or capacity.fleet_connections_max or self.health_check.agent is not None:
            return True
        return any(server.connections_max or server.fleet_connections_max for server in self.servers)


@dataclass(frozen=True, slots=True)
class Route:
    """An ordered match from request to action: exactly one of `pool`, `split`, `redirect`, `respond`.

    What is None or empty matches everything. `host` is lower case, without port; `path` is a prefix; `path_regex` has to match
    the whole path; `method` is upper case; header names are lower case, `headers` want a whole value, `header_regexes` a
    match of one, `headers_present` say whether the field has to be there or must not be. `sni` is what a TLS client of a TCP
    listener asks for, in lower case: such a route has a pool and nothing else.
    """

    pool: str | None = None
    host: str | None = None
    path: str | None = None
    method: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    path_regex: str | None = None
    headers_present: tuple[tuple[str, bool], ...] = ()
    header_regexes: tuple[tuple[str, str], ...] = ()
    split: tuple[Share, ...] = ()
    split_by_client: bool = True
    redirect: Redirect | None = None
    respond: FixedResponse | None = None
    prefix_change: PrefixChange | None = None
    request_headers: HeaderRules = NO_RULES
    response_headers: HeaderRules = NO_RULES
    sni: str | None = None

    @property
    def pools(self) -> tuple[str, ...]:
        """The pools that requests may go to."""
        return (self.pool,) if self.pool is not None else tuple(share.pool for share in self.split)


@dataclass(frozen=True, slots=True)
class Bind:
    """One address to accept on: host and port, or the path of a Unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Listener:
    """Addresses to accept on, a protocol, and the routes from there. `pool` None: what matches no route gets 404."""

    name: str
    binds: tuple[Bind, ...]
    protocol: Protocol = Protocol.HTTP
    pool: str | None = None
    routes: tuple[Route, ...] = ()
    request_headers: HeaderRules = NO_RULES
    response_headers: HeaderRules = NO_RULES
    hsts: Hsts | None = None
    forwarding: Forwarding = field(default_factory=Forwarding)
    transport: ListenerTransport = field(default_factory=ListenerTransport)
    tls: ListenerTls | None = None
    admission: Admission = field(default_factory=Admission)
    is_logged: bool = True  # where there is an access log
    tracing: Tracing = NO_TRACING


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """The `[engine]` table. `control_socket` and `state_dir` None: the default of the user who runs it.

    `operators` and `viewers` are groups whose members may use the control socket, beside that user and root.
    """

    workers: int = 1
    control_socket: str | None = None
    state_dir: str | None = None
    nameservers: tuple[tuple[str, int], ...] = ()
    operators: str | None = None
    viewers: str | None = None


@dataclass(frozen=True, slots=True)
class Configuration:
    """One whole, valid configuration, as applied by one generation."""

    engine: EngineSettings
    listeners: tuple[Listener, ...]
    pools: tuple[Pool, ...]
    limits: Limits = field(default_factory=Limits)
    access_log: AccessLog = NO_LOG
    metrics_bind: Bind | None = None  # None: they are on the control socket only
    cluster: ClusterSettings | None = None  # None: this node is alone
    readiness: ReadinessSettings = LENIENT

    @property
    def led_to(self) -> tuple[str, ...]:
        """The pools that requests of some listener may go to, those that take over for others included."""
        routes = [route for listener in self.listeners for route in listener.routes]
        found = dict.fromkeys(listener.pool for listener in self.listeners if listener.pool is not None)
        found |= dict.fromkeys(name for route in routes for name in route.pools)
        for name in (waiting := list(found)):
            failover = self.pool(name).capacity.failover
            if failover is not None and failover not in found:
                found[failover] = None
                waiting.append(failover)
        return tuple(found)

    def pool(self, name: str) -> Pool:
        """Return the pool of that name. Raises KeyError."""
        for pool in self.pools:
            if pool.name == name:
                return pool
        raise KeyError(name)

    @property
    def servers(self) -> tuple[Server, ...]:
        """Every server of every pool, in the order of the file."""
        return tuple(server for pool in self.pools for server in pool.servers)
