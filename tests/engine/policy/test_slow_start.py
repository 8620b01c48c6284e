"""The curve of a slow start."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.engine.policy.slow_start import WHOLE, share_permille
from lbapp.model.passive import SlowStart

Settings = st.builds(SlowStart, st.floats(0.1, 600.0), st.floats(0.1, 10.0), st.integers(1, 100))


@given(Settings, st.lists(st.floats(-1.0, 1000.0), min_size=2))
def test_share_grows_and_is_whole_at_the_end(settings: SlowStart, times: list[float]) -> None:
    shares = [share_permille(settings, time_s) for time_s in sorted(times)]
    assert shares == sorted(shares)
    assert all(settings.percent_min * 10 <= share <= WHOLE for share in shares)
    assert share_permille(settings, settings.window_s) == WHOLE


@pytest.mark.parametrize(
    ("aggression", "shares"), [(1.0, [100, 250, 500, 750, 1000]), (2.0, [100, 500, 707, 866, 1000])]
)
def test_curve_is_the_one_of_the_docs(aggression: float, shares: list[int]) -> None:
    settings = SlowStart(40.0, aggression)
    assert [share_permille(settings, time_s) for time_s in (0, 10, 20, 30, 40)] == shares


def test_without_a_slow_start_the_share_is_whole_at_once() -> None:
    assert share_permille(None, 0.0) == WHOLE
