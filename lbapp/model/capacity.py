"""How much a pool takes at a time, and who takes over what it does not.

Responsible for the settings of `[pool.queue]` and the keys beside it under the model's names. Knows nothing of files or sockets.

Invariant: a pool waits for room only where something limits it, so a queue without a limit is never built.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Queue:
    """`[pool.queue]`: requests of the node that wait until a server has room, and for how many seconds."""

    length_max: int = 1024
    timeout_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a pool takes. `connections_max`: exchanges and tunnels at all its servers together; 0: no limit.

    `fleet_connections_max`: the same over all members of the fleet, which share it. `failover`: the pool that gets the requests
    while none of the servers is eligible.
    """

    connections_max: int = 0
    queue: Queue = Queue()
    failover: str | None = None
    fleet_connections_max: int = 0


UNLIMITED: Final = Capacity()
