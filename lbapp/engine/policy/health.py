"""What a server's probes add up to.

Responsible for the thresholds between UNKNOWN, UP and DOWN, and for when the next probe is due. Knows nothing of sockets,
and keeps no clock: randomness comes in. The states are drawn in lbapp.model.states.

Invariants: a state changes only by `fall` failures or `rise` successes in a row (the first success ends UNKNOWN); every
change carries the reason of the probe that caused it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Final

from lbapp.model.entities import HealthCheck
from lbapp.model.states import HealthState

_JITTER: Final = 0.1


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One run of a health check. `reason` says what was found, such as `HTTP 200` or `connection refused`."""

    is_success: bool
    reason: str
    duration_s: float = 0.0


@dataclass(frozen=True, slots=True)
class HealthRecord:
    """What is remembered of one server's probes; `streak` counts equal results in a row."""

    state: HealthState = HealthState.UNKNOWN
    streak: int = 0
    last_was_success: bool | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of health."""

    before: HealthState
    after: HealthState
    reason: str


def observe(record: HealthRecord, result: ProbeResult, check: HealthCheck) -> tuple[HealthRecord, Transition | None]:
    """Take one result into account; return the new record and the transition it caused, if any."""
    streak = record.streak + 1 if record.last_was_success == result.is_success else 1
    seen = replace(record, streak=streak, last_was_success=result.is_success)
    after = record.state
    if result.is_success:
        if record.state is HealthState.UNKNOWN or (record.state is HealthState.DOWN and streak >= check.rise):
            after = HealthState.UP
    elif record.state is not HealthState.DOWN and streak >= check.fall:
        after = HealthState.DOWN
    if after is record.state:
        return seen, None
    return replace(seen, state=after), Transition(record.state, after, result.reason)


def first_probe_delay_s(random: Random, interval_s: float) -> float:
    """Return when to probe first, so that the probes of many servers do not start together."""
    return random.uniform(0.0, min(interval_s, 1.0))


def next_probe_delay_s(random: Random, interval_s: float) -> float:
    """Return the time to the next probe: the interval, give or take a tenth."""
    return interval_s * random.uniform(1.0 - _JITTER, 1.0 + _JITTER)
