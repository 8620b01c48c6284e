"""What a configuration is made of: listeners, routes, pools and servers, as plain immutable values.

Responsible for the shape that the whole of lbapp agrees on once a file has been read. Knows nothing of TOML, sockets or
what happens at run time. Invariant: a Configuration is whole and valid; whoever builds one has checked it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from ipaddress import ip_address

from lbapp.model.limits import Limits
from lbapp.model.persistence import Persistence


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


class CheckType(str, Enum):
    """How a server's health is probed."""

    HTTP = "http"
    TCP = "tcp"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """The rule by which a pool's servers are probed. Durations in seconds."""

    type: CheckType = CheckType.TCP
    path: str = "/"
    interval_s: float = 5.0
    timeout_s: float = 2.0
    fall: int = 3
    rise: int = 2


@dataclass(frozen=True, slots=True)
class Server:
    """One backend server: one address and weight in one pool.

    `host` is a name, an IPv4 or an IPv6 address without brackets.
    """

    pool: str
    name: str
    host: str
    port: int
    weight: int = 100

    @property
    def id(self) -> str:
        """The name that operators, events and the control API use: `POOL/SERVER`."""
        return f"{self.pool}/{self.name}"

    @property
    def address(self) -> str:
        """`host:port`, with brackets around an IPv6 address."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_named(self) -> bool:
        """Say whether the host is a name that has to be resolved."""
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
    persistence: Persistence | None = None
    retry: Retry = field(default_factory=Retry)


@dataclass(frozen=True, slots=True)
class Route:
    """An ordered match from request to pool. What is None matches everything.

    `host` is lower case, without port; `path` is a prefix; `method` is upper case; `headers` are (lower-case name, value).
    """

    pool: str
    host: str | None = None
    path: str | None = None
    method: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


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


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """The `[engine]` table. `control_socket` and `state_dir` None: the default of the user who runs it."""

    workers: int = 1
    control_socket: str | None = None
    state_dir: str | None = None


@dataclass(frozen=True, slots=True)
class Configuration:
    """One whole, valid configuration, as applied by one generation."""

    engine: EngineSettings
    listeners: tuple[Listener, ...]
    pools: tuple[Pool, ...]
    limits: Limits = field(default_factory=Limits)

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
