"""What configuration, workers and supervisor agree on about letting clients in."""

from __future__ import annotations

from lbapp.model.admission import NO_RATE, Rate, TurnedAway


def test_reasons_index_cells_so_they_are_consecutive_from_zero() -> None:
    assert [reason.value for reason in TurnedAway] == list(range(len(TurnedAway)))


def test_rate_is_the_same_however_long_its_time() -> None:
    assert Rate(600, 60.0).per_s == Rate(10, 1.0).per_s == Rate(36_000, 3600.0).per_s == 10.0
    assert NO_RATE.per_s == 0.0
