"""Who may come in: what a listener asks of its clients before it serves them, and why one is turned away.

Responsible for the values that configuration, worker and supervisor agree on. Knows nothing of who decides. Invariant: the
numbers of TurnedAway index scoreboard cells, are consecutive from 0 and keep their meaning.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Network, IPv6Network
from typing import Final


class TurnedAway(IntEnum):
    """Why a connection was not let in. It was answered at once or just closed, and carried no exchange."""

    NODE_FULL = 0  # all connections of the worker's share are in use, and none is idle
    LISTENER_FULL = 1
    CLIENT_FULL = 2  # the client has as many connections as one may have
    NETWORK = 3  # by `allow` and `deny`


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in so many seconds. `count` 0: no limit."""

    count: int = 0
    period_s: float = 1.0

    @property
    def per_s(self) -> float:
        """The same for one second."""
        return self.count / self.period_s


NO_RATE: Final = Rate()


@dataclass(frozen=True, slots=True)
class Admission:
    """What a listener asks of its clients. 0: no limit; empty networks: everybody.

    Limits are per node, but `fleet_connections_max`, which all members of the fleet share. A client is one IPv4 address or one
    IPv6 network of 64 bits; peers on Unix sockets are not limited. `client_burst` 0: as many at once as the rate names.
    """

    connections_max: int = 0
    client_connections_max: int = 0
    client_request_rate: Rate = NO_RATE
    client_burst: int = 0
    allow: tuple[IPv4Network | IPv6Network, ...] = ()
    deny: tuple[IPv4Network | IPv6Network, ...] = ()
    fleet_connections_max: int = 0
