"""Percentiles over a window, in the control API.

Responsible for the names and types of these messages, as `messages` is for all others. Knows nothing of HTTP or of how they
come about. Invariants: those of `messages`.
"""

from __future__ import annotations

from typing import TypedDict

from lbapp.control.messages import Percentiles


class PhaseLatency(Percentiles):
    """Percentiles, and of how many: `count` is that of the window. Each is the middle of a bucket, at most 3.2 % off."""

    count: int


class LatencyOf(TypedDict):
    """One listener, pool or server over the window. Rates are differences of counters over its seconds.

    `queue`: of those who had to wait for room (of a server: who then got it); `connect`: new connections to servers;
    `first_byte`: request sent to response head; `total`: whole exchanges and TCP connections.
    """

    name: str  # of a server: POOL/SERVER
    requests: int
    requests_per_s: float
    errors: int  # 5xx answers and exchanges that ended without a whole response
    error_rate: float | None  # 0.0 .. 1.0; null without requests
    queue: PhaseLatency
    connect: PhaseLatency
    first_byte: PhaseLatency
    total: PhaseLatency


class PoolLatency(LatencyOf):
    """One pool, and its servers. What reached none of them, or one that is gone by now, is in the pool's figures alone."""

    servers: list[LatencyOf]


class LatencyReport(TypedDict):
    """`GET /v1/latency?window=60&pool=app`: the last 10, 60 or 300 seconds. With a pool, `listeners` is empty.

    `window_s`: how long it really was: up to one step (10 s; 2 s of the shortest window) longer, or less in an engine that has
    not lived so long.
    """

    at: float
    window_s: float
    listeners: list[LatencyOf]
    pools: list[PoolLatency]
