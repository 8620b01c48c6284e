"""States of servers and workers."""

from __future__ import annotations

from lbapp.model.states import (
    HEALTH_TRANSITIONS,
    WORKER_TRANSITIONS,
    HealthState,
    WorkerPhase,
)


def test_every_state_has_its_transitions() -> None:
    assert set(HEALTH_TRANSITIONS) == set(HealthState)
    assert set(WORKER_TRANSITIONS) == set(WorkerPhase)
    assert WORKER_TRANSITIONS[WorkerPhase.DRAINING] == {WorkerPhase.GONE}
