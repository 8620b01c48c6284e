from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lbapp.engine.policy.ramp import ATTEMPTS_MIN, WINDOW_S, Failures, Ramp

WEIGHTS = st.integers(0, 256)


@given(WEIGHTS, WEIGHTS, st.floats(0, 1e6), st.lists(st.floats(-10, 2e6), min_size=2, max_size=20))
def test_weight_goes_one_way_only_from_the_first_to_the_last(
    before: int, after: int, over_s: float, at: list[float]
) -> None:
    ramp = Ramp(before, after, 0.0, over_s)
    weights = [ramp.weight(moment) for moment in sorted(at)]
    assert weights == sorted(weights, reverse=after < before)
    assert min(before, after) <= min(weights)
    assert max(weights) <= max(before, after)
    assert ramp.weight(over_s) == after
    assert ramp.is_over(over_s)


def test_weight_is_half_way_after_half_the_time() -> None:
    ramp = Ramp(100, 0, 1000.0, 60.0)
    assert [ramp.weight(at) for at in (0.0, 1000.0, 1030.0, 1060.0, 9999.0)] == [100, 100, 50, 0, 0]
    assert not ramp.is_over(1059.9)
    assert Ramp(0, 100, 5.0, 0.0).weight(5.0) == 100


def test_what_is_left_is_between_nothing_and_all_of_it() -> None:
    ramp = Ramp(100, 0, 1000.0, 60.0)
    assert [ramp.left_s(at) for at in (0.0, 1000.0, 1045.0, 9999.0)] == [60.0, 60.0, 15.0, 0.0]


def test_few_attempts_say_nothing_and_many_say_their_share() -> None:
    failures = Failures()
    assert failures.percent() is None
    failures.look(0.0, 1000, 500)
    failures.look(1.0, 1000 + ATTEMPTS_MIN - 1, 501)
    assert failures.percent() is None
    failures.look(2.0, 1000 + 50, 505)
    assert failures.percent() == 10.0


def test_what_is_older_than_the_window_counts_no_more() -> None:
    failures = Failures()
    for second in range(30):
        failures.look(float(second), 100 * second, 50 * min(second, 5))
    assert failures.percent() == 0.0
    assert WINDOW_S < 24


def test_where_attempts_are_few_the_window_reaches_back_to_as_many_as_it_takes() -> None:
    failures = Failures()
    for second in range(300):
        failures.look(float(second), second // 5, second // 10)
    assert failures.percent() == 50.0


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=400))
def test_what_is_remembered_of_attempts_is_bounded(steps: list[tuple[int, int]]) -> None:
    failures, attempts, failed = Failures(), 0, 0
    for number, (made, bad) in enumerate(steps):
        attempts += max(made, bad)
        failed += bad
        failures.look(number / 4, attempts, failed)
        percent = failures.percent()
        assert percent is None or 0 <= percent <= 100
    assert len(failures._samples) <= 4 * WINDOW_S + 2 * ATTEMPTS_MIN + 4
