"""What `lbapp announce` is told: which addresses are this node's, who tells routers of them, and when.

Responsible for the settings under their names. Knows nothing of files, of daemons or of an engine. Invariant: all values are
immutable; addresses are written as Python writes them, without a prefix length.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class RouteBackend(str, Enum):
    """Who tells routers, or the other nodes, that clients may come here."""

    BIRD = "bird"
    EXABGP = "exabgp"
    KEEPALIVED = "keepalived"


class RouteDrain(str, Enum):
    """What a drain of the node makes of its routes."""

    MED = "med"  # worse than any other node's: the last node stays reachable
    WITHDRAW = "withdraw"


class Ecmp(str, Enum):
    """What becomes of established connections when a route moves, as the operator knows his routers."""

    PLAIN = "plain"  # they end
    RESILIENT = "resilient"  # those of other nodes stay
    HANDOFF = "handoff"  # they stay
    SINGLE = "single"  # one node at a time has the address: they end


@dataclass(frozen=True, slots=True)
class Neighbor:
    """A router that a session is held with. `next_hop_ipv6`: where it sends IPv6, if the session is over IPv4."""

    address: str
    asn: int
    local_address: str
    next_hop_ipv6: str | None = None


@dataclass(frozen=True, slots=True)
class BgpSettings:
    """Sessions with routers. `bfd`: whether each side notices within 300 ms that the other is gone."""

    router_id: str
    asn: int
    neighbors: tuple[Neighbor, ...]
    hold_time_s: int = 9
    bfd: bool = True


@dataclass(frozen=True, slots=True)
class KeepalivedSettings:
    """VRRP between the nodes. `peers`: addresses of the others; `source`: this node's own.

    `track_file`: what keepalived reads how this node stands from; `fifo`: what it says its own state on. Both outlive the engine,
    whose own folder does not: where even the folder of the track file is gone, keepalived does not look at it at all.
    """

    interface: str = ""
    virtual_router_id: int = 51
    source: str = ""
    peers: tuple[str, ...] = ()
    priority: int = 100
    advert_interval_s: float = 0.1
    track_file: str = "/run/lbapp-vrrp/track"
    fifo: str = "/run/lbapp-vrrp/fifo"


@dataclass(frozen=True, slots=True)
class AnnounceSettings:
    """The file of `lbapp announce`. `rise`, `fall`: so many answers of the engine in a row count.

    `interval_s`: how often it is asked; `fast_interval_s`: while a change is in the air.
    `hold_down_s`: how long addresses stay withdrawn at the least, once the engine was not ready. `med`: of a drained node's
    routes. `socket`: of the engine; None: the usual one.
    """

    backend: RouteBackend
    addresses: tuple[str, ...]
    rise: int = 2
    fall: int = 3
    interval_s: float = 1.0
    fast_interval_s: float = 0.2
    hold_down_s: float = 10.0
    drain: RouteDrain = RouteDrain.MED
    med: int = 100
    ecmp: Ecmp = Ecmp.PLAIN
    socket: str | None = None
    bgp: BgpSettings | None = None
    bird_socket: str = "/run/bird/bird.ctl"
    exabgp_command: str | None = None  # None: the one beside this Python
    keepalived: KeepalivedSettings = field(default_factory=KeepalivedSettings)
