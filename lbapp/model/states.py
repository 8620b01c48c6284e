"""The states of servers and workers, and which of them may follow which.

Responsible for the words AdminState, HealthState and WorkerPhase, their numbers in the scoreboard, and the one
place that says what they allow together. Knows nothing of who changes them or when.

Invariant: what the operator wants (AdminState) and what checks found (HealthState) are never merged into one value.

    AdminState: any state may follow any other, on the operator's word.

        READY <----> DRAIN <----> MAINT <----> READY

    HealthState: probes move it; entering MAINT forgets it.

        UNKNOWN --rise or first success--> UP
        UNKNOWN --fall failures----------> DOWN
        UP      --fall failures----------> DOWN
        DOWN    --rise successes---------> UP
        any     --MAINT------------------> UNKNOWN

    WorkerPhase:

        STARTING --> SERVING --> DRAINING --> GONE      (a killed worker goes to GONE from anywhere)
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

WEIGHT_MAX: Final = 256


class AdminState(IntEnum):
    """What the operator wants of a server. The number is what stands in its scoreboard cell."""

    READY = 0
    DRAIN = 1
    MAINT = 2


class HealthState(IntEnum):
    """What probes and traffic found of a server. The number is what stands in its scoreboard cell."""

    UNKNOWN = 0
    UP = 1
    DOWN = 2


class WorkerPhase(IntEnum):
    """Where a worker process is in its life. The number is what stands in its scoreboard cell."""

    GONE = 0
    STARTING = 1
    SERVING = 2
    DRAINING = 3


HEALTH_TRANSITIONS: Final[dict[HealthState, frozenset[HealthState]]] = {
    HealthState.UNKNOWN: frozenset({HealthState.UP, HealthState.DOWN}),
    HealthState.UP: frozenset({HealthState.DOWN, HealthState.UNKNOWN}),
    HealthState.DOWN: frozenset({HealthState.UP, HealthState.UNKNOWN}),
}

WORKER_TRANSITIONS: Final[dict[WorkerPhase, frozenset[WorkerPhase]]] = {
    WorkerPhase.GONE: frozenset({WorkerPhase.STARTING}),
    WorkerPhase.STARTING: frozenset({WorkerPhase.SERVING, WorkerPhase.DRAINING, WorkerPhase.GONE}),
    WorkerPhase.SERVING: frozenset({WorkerPhase.DRAINING, WorkerPhase.GONE}),
    WorkerPhase.DRAINING: frozenset({WorkerPhase.GONE}),
}
