"""How old figures are that have come a long way."""

from __future__ import annotations

import pytest

from lbapp.tui.clock import EngineClock

HOUR = 3600


def heard(*times: tuple[float, float]) -> EngineClock:
    clock = EngineClock()
    for at, now_s in times:
        clock.hear(at, now_s)
    return clock


def test_figures_grow_old_from_when_they_were_made_whatever_the_clocks_say() -> None:
    clock = heard((1_000_000.0, 50.0), (1_000_000.5, 50.5))
    assert clock.age_s(50.5) == pytest.approx(0.0)
    assert clock.age_s(53.0) == pytest.approx(2.5)
    assert clock.now(53.0) == pytest.approx(1_000_003.0)


def test_figures_that_come_late_are_old_when_they_come() -> None:
    clock = heard((1000.0, 50.0), (1000.5, 53.5), (1001.0, 54.0))
    assert clock.age_s(54.0) == pytest.approx(3.0, abs=0.01)
    clock.hear(1004.5, 54.5)  # the link has caught up
    assert clock.age_s(54.5) == pytest.approx(0.0, abs=0.01)


def test_clock_that_drifts_does_not_make_fresh_figures_old() -> None:
    clock = EngineClock()
    for second in range(24 * HOUR):
        clock.hear(1000.0 + second * 0.9996, float(second))
    assert clock.age_s(24.0 * HOUR - 1) < 0.1


def test_clock_that_is_put_back_or_on_tells_the_time_anew() -> None:
    clock = heard((1000.0, 50.0), (400.0, 50.5))
    assert clock.age_s(50.5) == pytest.approx(0.0)
    clock.hear(5000.0, 51.0)
    assert clock.age_s(51.0) == pytest.approx(0.0)
    clock.restart()
    clock.hear(10.0, 60.0)
    assert clock.now(61.0) == pytest.approx(11.0)


def test_figures_of_an_engine_that_is_gone_go_on_growing_old_while_it_is_called_again() -> None:
    clock = heard((1_000_000.0, 50.0), (1_000_000.5, 50.5))
    for now_s in (51.0, 53.0, 57.0):  # each time it is called, and does not answer
        clock.restart()
        assert clock.age_s(now_s) == pytest.approx(now_s - 50.5)
        assert clock.now(now_s) == pytest.approx(1_000_000.0 + now_s - 50.0)
