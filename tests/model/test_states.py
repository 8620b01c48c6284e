"""States of servers and workers."""

from __future__ import annotations

from itertools import product

from lbapp.model.states import (
    HEALTH_TRANSITIONS,
    WORKER_TRANSITIONS,
    AdminState,
    HealthState,
    WorkerPhase,
    is_eligible,
    is_eligible_for_remembered,
)


def test_new_clients_go_to_servers_that_are_ready_not_down_and_have_a_weight() -> None:
    eligible = {(admin, health) for admin, health in product(AdminState, HealthState) if is_eligible(admin, health, 1)}
    assert eligible == {(AdminState.READY, HealthState.UP), (AdminState.READY, HealthState.UNKNOWN)}
    assert not is_eligible(AdminState.READY, HealthState.UP, 0)


def test_remembered_clients_are_served_while_draining() -> None:
    assert is_eligible_for_remembered(AdminState.DRAIN, HealthState.UP)
    assert not is_eligible_for_remembered(AdminState.DRAIN, HealthState.DOWN)
    assert not is_eligible_for_remembered(AdminState.MAINT, HealthState.UP)


def test_every_state_has_its_transitions() -> None:
    assert set(HEALTH_TRANSITIONS) == set(HealthState)
    assert set(WORKER_TRANSITIONS) == set(WorkerPhase)
    assert WORKER_TRANSITIONS[WorkerPhase.DRAINING] == {WorkerPhase.GONE}
