"""What a pool's health check is: the question a probe asks, when it asks, and what the answers mean.

Responsible for the settings of `[pool.health_check]` under the model's names. Knows nothing of files, sockets or states.

Invariant: two checks with the same `question` ask a server the same thing, however often they ask and whatever they make of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum


class CheckType(str, Enum):
    """How a server's health is probed."""

    HTTP = "http"
    TCP = "tcp"
    NONE = "none"


class StartPolicy(str, Enum):
    """Whether a server that no check has found good yet may get clients."""

    ELIGIBLE = "eligible"
    CHECKED = "checked"  # not before its first success


class NotFoundMeans(str, Enum):
    """What a 404 to a probe says."""

    FAILURE = "failure"
    NO_NEW_CLIENTS = "no_new_clients"


@dataclass(frozen=True, slots=True)
class AgentCheck:
    """A port on which the server itself says in a line of text how it wants to be treated."""

    port: int
    interval_s: float = 5.0
    timeout_s: float = 2.0


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """The rule by which a pool's servers are probed. Durations in seconds.

    `down_interval_s` None: as `interval_s`. `host` None: the server's address. `port` None: the server's. `tls` None: as the
    pool speaks. Statuses are ranges, both ends included. `send` and `expect` are for tcp, all that is asked is for http.
    """

    type: CheckType = CheckType.TCP
    path: str = "/"
    interval_s: float = 5.0
    timeout_s: float = 2.0
    fall: int = 3
    rise: int = 2
    fast_interval_s: float = 1.0
    down_interval_s: float | None = None
    jitter_percent: int = 10
    method: str = "GET"
    host: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    expect_status: tuple[tuple[int, int], ...] = ((200, 399),)
    expect_body: str | None = None
    expect_body_regex: str | None = None
    expect_header: tuple[tuple[str, str], ...] = ()
    port: int | None = None
    tls: bool | None = None
    send: str | None = None
    expect: str | None = None
    not_found: NotFoundMeans = NotFoundMeans.FAILURE
    start: StartPolicy = StartPolicy.ELIGIBLE
    agent: AgentCheck | None = None

    @property
    def question(self) -> HealthCheck:
        """What a probe asks, without when it asks and what is made of the answer: equal for checks that can share a probe."""
        plain = HealthCheck()
        return replace(
            self,
            interval_s=plain.interval_s,
            fast_interval_s=plain.fast_interval_s,
            down_interval_s=None,
            jitter_percent=plain.jitter_percent,
            fall=plain.fall,
            rise=plain.rise,
            not_found=plain.not_found,
            start=plain.start,
            agent=None,
        )

    def is_expected(self, status: int) -> bool:
        """Say whether a status is one of a healthy server."""
        return any(low <= status <= high for low, high in self.expect_status)
