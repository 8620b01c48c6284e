"""What a server's probes add up to.

Responsible for the thresholds between UNKNOWN, UP and DOWN, for when the next probe is due, and for what a 404 means. Knows
nothing of sockets, and keeps no clock: randomness comes in. The states are drawn in lbapp.model.states.

Invariants: a state changes only by `fall` failures or `rise` successes in a row (the first success ends UNKNOWN), or when
traffic has shown that the server is down; every change carries the reason of what caused it. No wait is longer than the
interval it stands for, so that `interval + (fall - 1) * fast_interval` holds whatever the jitter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Final

from lbapp.model.health import HealthCheck, NotFoundMeans
from lbapp.model.states import HealthState

NOT_FOUND: Final = 404


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One run of a health check.

    `reason` says what was found, such as `HTTP 200` or `connection refused`; `layer` how far the probe came; `status` is that
    of HTTP, 0 without one; `excerpt` is the beginning of an answer that was not the one expected, printable.
    """

    is_success: bool
    reason: str
    duration_s: float = 0.0
    layer: str = ""
    status: int = 0
    excerpt: str = ""


@dataclass(frozen=True, slots=True)
class HealthRecord:
    """What is remembered of one server's probes; `streak` counts equal results in a row."""

    state: HealthState = HealthState.UNKNOWN
    streak: int = 0
    last_was_success: bool | None = None

    @property
    def is_in_transition(self) -> bool:
        """Say whether the state may change soon: nothing is known yet, or the last result contradicts it."""
        if self.state is HealthState.UNKNOWN:
            return True
        return self.last_was_success is not (self.state is HealthState.UP)


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


def found_down() -> HealthRecord:
    """Return the record of a server that traffic has found to be down: `rise` successes bring it back."""
    return HealthRecord(HealthState.DOWN, 1, last_was_success=False)


def asks_for_no_new_clients(result: ProbeResult, check: HealthCheck) -> bool:
    """Say whether the answer means that the server serves whom it has, and wants no others."""
    return (
        check.not_found is NotFoundMeans.NO_NEW_CLIENTS
        and result.status == NOT_FOUND
        and not check.is_expected(NOT_FOUND)
    )


def as_the_check_reads_it(result: ProbeResult, check: HealthCheck) -> ProbeResult:
    """Return what a result of a shared probe means to one check: a server that asks for no new clients is healthy."""
    return replace(result, is_success=True) if asks_for_no_new_clients(result, check) else result


def detail(result: ProbeResult) -> str:
    """Return all that is known of a result, as an event says it: `HTTP 503 (http, 12 ms), it said "..."`."""
    where = f"{result.layer}, " if result.layer else ""
    said = f', it said "{result.excerpt}"' if result.excerpt else ""
    return f"{result.reason} ({where}{result.duration_s * 1000:.0f} ms){said}"


def interval_s(record: HealthRecord, check: HealthCheck, fast_left: int = 0) -> float:
    """Return the time from the start of one probe to that of the next. `fast_left`: traffic has cast doubt on the server."""
    if fast_left or record.is_in_transition:
        return min(check.fast_interval_s, check.interval_s)
    if record.state is HealthState.DOWN and check.down_interval_s is not None:
        return check.down_interval_s
    return check.interval_s


def first_probe_delay_s(random: Random, interval_s: float) -> float:
    """Return when to probe first, so that the probes of many servers do not start together."""
    return random.uniform(0.0, min(interval_s, 1.0))


def next_probe_delay_s(random: Random, interval_s: float, jitter_percent: int, *, is_second: bool = False) -> float:
    """Return the time to the next probe: the interval, up to `jitter_percent` shorter.

    The first probes are close together, so that all is known soon; the second ones are spread over the whole interval.
    """
    return interval_s * random.uniform(0.0 if is_second else 1.0 - jitter_percent / 100, 1.0)


def soonest_s(last_start_s: float, check: HealthCheck) -> float:
    """Return when a probe that was asked for may start: not sooner than a quarter of a fast interval after the last one."""
    return last_start_s + min(check.fast_interval_s, check.interval_s) / 4
