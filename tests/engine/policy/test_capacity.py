from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lbapp.engine.policy.capacity import MINUTES, PEAK_MIN, Left, Peaks, too_little


def test_peaks_are_those_of_the_last_hour_and_no_more_is_remembered() -> None:
    peaks = Peaks()
    assert (peaks.total(0.0), peaks.of("s1", 0.0)) == (0, 0)
    peaks.note(0.0, {"s1": 50, "s2": 1})
    peaks.note(1.0, {"s1": 5, "s2": 9})
    assert (peaks.total(2.0), peaks.of("s1", 2.0), peaks.of("s2", 2.0)) == (51, 50, 9)
    for minute in range(1, 200):
        peaks.note(60.0 * minute, {"s1": 3})
    assert (peaks.total(60.0 * 199), peaks.of("s1", 60.0 * 199), peaks.of("s2", 60.0 * 199)) == (3, 3, 0)
    assert peaks.total(60.0 * (199 + MINUTES)) == 0, "also when nobody has looked since"


def test_limits_say_what_servers_can_carry() -> None:
    left = [Left(100, 10, 8), Left(100, 10, 8)]
    assert too_little(left, 20) == ""
    assert (
        too_little(left, 21)
        == "the 2 servers left may have 20 in flight together, and 21 were at the peak of the last hour"
    )


def test_what_no_server_has_carried_half_of_is_too_much() -> None:
    left = [Left(100, 0, 10), Left(100, 0, 12)]
    assert too_little(left, 48) == ""
    told = too_little(left, 60)
    assert told.startswith(
        "60 were in flight at the peak of the last hour; of the 2 servers left none has had more than 12"
    )
    assert told.endswith("and each would get 30")


def test_nothing_is_refused_where_nothing_is_known() -> None:
    assert too_little([Left(1, 0, 0)], 1000) == ""
    assert too_little([Left(1, 1, 1)], PEAK_MIN - 1) == ""
    assert too_little([], 1000) == ""


@given(st.integers(1, 50), st.integers(0, 10_000), st.data())
def test_taking_away_up_to_half_of_equal_servers_is_never_refused(half: int, peak: int, data: st.DataObject) -> None:
    """At the moment of the peak, one of those left had its share at least, if clients were spread evenly."""
    servers = 2 * half
    left = data.draw(st.integers(half, servers))
    carried = -(-peak // servers)
    assert too_little([Left(100, 0, carried) for _ in range(left)], peak) == ""
