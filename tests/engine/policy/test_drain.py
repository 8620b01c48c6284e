"""How far a drain has come."""

from __future__ import annotations

import pytest

from lbapp.engine.policy.drain import DrainPhase, DrainProgress, drain_progress, predicted_finish_s


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


def test_finish_is_predicted_from_how_fast_it_fell_and_never_later_than_the_force() -> None:
    halving = [(float(at), 64 >> at) for at in range(4)]  # 64, 32, 16, 8 a second apart
    assert predicted_finish_s(halving, 100.0) == pytest.approx(4.0)
    assert predicted_finish_s(halving, 2.5) == 2.5
    assert predicted_finish_s([(0.0, 3), (1.0, 0)], 10.0) == 0.0


def test_nothing_is_predicted_from_too_little_or_from_what_does_not_fall() -> None:
    for samples in ([], [(0.0, 5)], [(0.0, 5), (0.5, 1)], [(0.0, 5), (9.0, 5)], [(0.0, 5), (9.0, 6)]):
        assert predicted_finish_s(samples, 60.0) is None
