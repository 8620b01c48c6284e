"""How connections are made on either side: their sockets, the PROXY protocol, and what may become a tunnel.

Responsible for the values that a listener and a pool carry for it. Knows nothing of TOML, of sockets or of who applies them.
Invariant: the defaults are what is safe between strangers: keepalive on, no PROXY header believed, no tunnel but WebSocket, no
socket file that everybody may write to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Network, IPv6Network
from typing import Final

WEBSOCKET: Final = "websocket"
UNIX_PREFIX: Final = "unix:"


class ProxyVersion(str, Enum):
    """The form of a PROXY header that goes to servers."""

    V1 = "v1"
    V2 = "v2"


@dataclass(frozen=True, slots=True)
class TcpOptions:
    """Options of TCP connections. `user_timeout_s` 0: the system's own patience with bytes nobody acknowledges."""

    keepalive: bool = True
    keepalive_idle_s: float = 60.0
    keepalive_interval_s: float = 15.0
    keepalive_count: int = 4
    user_timeout_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ListenerTransport:
    """How a listener takes in connections. `upgrades` None: any protocol; `tunnel_idle_timeout_s` None: that of the limits.

    `upgrades` are lower case. Where `proxy_protocol` is on, only the networks of `proxy_protocol_from` are let in, and peers over
    Unix sockets if `trusts_unix`; each has to send a PROXY header.
    """

    upgrades: frozenset[str] | None = frozenset((WEBSOCKET,))
    connect: bool = False
    tunnel_idle_timeout_s: float | None = None
    proxy_protocol: bool = False
    proxy_protocol_from: tuple[IPv4Network | IPv6Network, ...] = ()
    trusts_unix: bool = False
    ipv6_only: bool = True
    unix_mode: int = 0o660
    unix_user: str | None = None
    unix_group: str | None = None
    fastopen: bool = False
    defer_accept: bool = False
    tcp: TcpOptions = field(default_factory=TcpOptions)


@dataclass(frozen=True, slots=True)
class PoolTransport:
    """How connections to the servers of a pool are made. `source` None: the system chooses the address they come from."""

    proxy_protocol: ProxyVersion | None = None
    source: str | None = None
    tcp: TcpOptions = field(default_factory=TcpOptions)
