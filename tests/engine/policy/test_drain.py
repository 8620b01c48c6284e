"""How far a drain has come."""

from __future__ import annotations

from lbapp.engine.policy.drain import DrainPhase, DrainProgress, drain_progress


def test_server_with_work_left_is_draining_until_its_timeout() -> None:
    assert drain_progress(100.0, 30.0, 2, 110.0) == DrainProgress(DrainPhase.DRAINING, 20.0)


def test_server_with_nothing_in_flight_is_drained_at_once() -> None:
    assert drain_progress(100.0, 30.0, 0, 100.0) == DrainProgress(DrainPhase.DRAINED, 30.0)


def test_server_with_work_left_at_its_timeout_is_overdue() -> None:
    assert drain_progress(100.0, 30.0, 1, 130.0) == DrainProgress(DrainPhase.OVERDUE, 0.0)
    assert drain_progress(100.0, 30.0, 1, 500.0) == DrainProgress(DrainPhase.OVERDUE, 0.0)


def test_server_that_finished_after_its_timeout_is_drained() -> None:
    assert drain_progress(100.0, 30.0, 0, 500.0) == DrainProgress(DrainPhase.DRAINED, 0.0)


def test_timeout_of_nothing_is_overdue_from_the_start() -> None:
    assert drain_progress(100.0, 0.0, 1, 100.0).phase is DrainPhase.OVERDUE
