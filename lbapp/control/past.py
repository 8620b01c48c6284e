"""What is known of the past, in the control API.

Responsible for the names and types of these messages, as `messages` is for all others. Knows nothing of HTTP or of how they come
about. Invariants: those of `messages`; what is not known of the past is null.
"""

from __future__ import annotations

from typing import TypedDict


class PastFigures(TypedDict):
    """What was counted in a second or a minute, and what was in flight at its end (of a minute: the most at a second's end)."""

    requests: int
    requests_per_s: float
    errors: int
    error_rate: float | None  # 0.0 .. 1.0; null without requests
    in_flight: int
    p50: float | None  # of whole exchanges, in milliseconds: the middle of a bucket, at most 3.2 % off
    p99: float | None


class PastListener(PastFigures):
    """A listener as it was."""

    name: str


class PastServer(PastFigures):
    """A server as it was."""

    id: str  # "pool/server"
    admin: str
    health: str
    weight: int


class PastPool(PastFigures):
    """A pool as it was, with the servers that it had."""

    name: str
    servers: list[PastServer]


class PastNode(TypedDict):
    """The node as it was."""

    cpu_percent: float | None  # of all engine processes, 100 = one core
    memory_bytes: int | None
    connections: int  # of clients


class PastStatus(TypedDict):
    """`GET /v1/history?at=UNIX`: the last second before that, or the minute around it where seconds are not kept any more."""

    at: float  # the end of what was counted in `seconds`
    seconds: float
    node: PastNode
    listeners: list[PastListener]
    pools: list[PastPool]


class PastPoint(PastFigures):
    """One second or minute of a Course. A minute that was put together from its seconds has no percentiles."""

    at: float  # its end
    seconds: float
    admin: str | None  # of a server, as the two behind it
    health: str | None
    weight: int | None
    ready: int | None  # of a pool: servers that were READY and not DOWN ...
    servers: int | None  # ... of so many
    node: PastNode | None  # of the node


class Course(TypedDict):
    """`GET /v1/history?pool=P&last=1800&step=60`; `server=P/S` or `listener=L` instead of the pool, neither: the node.

    `last` is in seconds, `step` 1 or 60; `until=UNIX`: up to then instead of up to now. `GET /v1/history/file`: all of it,
    as the file that it is kept in.
    """

    kind: str  # "pool", "server", "listener", "node"
    name: str
    step_s: int
    points: list[PastPoint]


class PastRates(TypedDict):
    """`GET /v1/history?rates=20`: requests per second of every pool and server in the last 20 seconds; `until` as of a Course.

    Seconds that are not kept any more have none. null: there was no such server then.
    """

    at: list[float]  # the ends of the seconds; the lists below are as long
    pools: dict[str, list[float | None]]
    servers: dict[str, list[float | None]]  # by "pool/server"
