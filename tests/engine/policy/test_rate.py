"""Shares, token buckets and the slowest that a body may be, on a clock of the tests' own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.engine.policy.rate import Stretch, TokenBuckets, share_of
from lbapp.model.admission import Rate

# -- shares --------------------------------------------------------------------------------------------------------------


@given(st.integers(1, 100_000), st.integers(1, 64))
def test_shares_of_a_generation_add_up_to_the_limit_and_differ_by_one_at_most(limit: int, workers: int) -> None:
    shares = [share_of(limit, slot, workers) for slot in range(workers)]
    assert sum(shares) == max(limit, workers)  # nobody gets none
    assert max(shares) - min(shares) <= 1


@given(st.integers(1, 100_000), st.integers(1, 64), st.integers(0, 200))
def test_another_generations_slots_have_the_same_shares(limit: int, workers: int, slot: int) -> None:
    assert share_of(limit, slot, workers) == share_of(limit, slot % workers, workers)


# -- token buckets -------------------------------------------------------------------------------------------------------


def test_burst_is_let_through_at_once_and_then_one_at_a_time() -> None:
    buckets = TokenBuckets(Rate(10, 1.0), 5, 100)
    assert [buckets.wait_s(b"a", 0.0, 0) for _ in range(5)] == [0.0] * 5
    assert buckets.wait_s(b"a", 0.0, 0) == pytest.approx(0.1)
    assert buckets.wait_s(b"a", 0.1, 0) == 0.0
    assert buckets.wait_s(b"a", 0.1, 0) > 0.0


def test_without_a_burst_of_its_own_it_is_what_the_rate_names() -> None:
    buckets = TokenBuckets(Rate(3, 60.0), 0, 100)
    assert [bool(buckets.wait_s(b"a", 0.0, 0)) for _ in range(4)] == [False, False, False, True]
    assert buckets.wait_s(b"a", 0.0, 0) == pytest.approx(20.0)


def test_refusal_takes_nothing_so_whoever_waits_as_told_is_let_through() -> None:
    buckets = TokenBuckets(Rate(1, 10.0), 1, 100)
    assert buckets.wait_s(b"a", 0.0, 0) == 0.0
    for now_s in range(1, 10):
        assert buckets.wait_s(b"a", float(now_s), 0) == pytest.approx(10.0 - now_s)
    assert buckets.wait_s(b"a", 10.001, 0) == 0.0


def test_one_client_does_not_use_up_anothers_tokens() -> None:
    buckets = TokenBuckets(Rate(1, 1.0), 1, 100)
    assert buckets.wait_s(b"a", 0.0, 0) == 0.0
    assert buckets.wait_s(b"a", 0.0, 0) > 0.0
    assert buckets.wait_s(b"b", 0.0, 0) == 0.0


def test_what_other_workers_let_through_counts_too() -> None:
    buckets = TokenBuckets(Rate(10, 1.0), 10, 100)
    assert buckets.wait_s(b"a", 0.0, 0) == 0.0
    assert buckets.wait_s(b"a", 0.0, 9) > 0.0  # nine elsewhere: none is left
    assert buckets.wait_s(b"a", 0.1, 9) == 0.0


def test_flood_through_other_workers_is_paid_off_in_twice_the_time_of_a_burst() -> None:
    buckets = TokenBuckets(Rate(10, 1.0), 10, 100)
    buckets.wait_s(b"a", 0.0, 0)
    assert buckets.wait_s(b"a", 0.0, 1_000_000) == pytest.approx(1.1)


def test_table_holds_no_more_than_it_may_and_forgets_who_was_quiet_longest() -> None:
    buckets = TokenBuckets(Rate(1, 1000.0), 1, 3)
    for client in (b"a", b"b", b"c"):
        assert buckets.wait_s(client, 0.0, 0) == 0.0
    assert buckets.wait_s(b"a", 0.0, 0) > 0.0  # heard of again
    assert buckets.wait_s(b"d", 0.0, 0) == 0.0  # b goes
    assert len(buckets) == 3
    assert buckets.wait_s(b"a", 0.0, 0) > 0.0
    assert buckets.wait_s(b"b", 0.0, 0) == 0.0


@given(
    st.integers(1, 50),
    st.integers(1, 20),
    st.lists(st.floats(0, 0.5, allow_nan=False), min_size=1, max_size=200),
)
def test_never_more_than_the_burst_and_the_rate_are_let_through(count: int, burst: int, gaps: list[float]) -> None:
    buckets, now_s, passed = TokenBuckets(Rate(count, 1.0), burst, 10), 0.0, 0
    for gap in gaps:
        now_s += gap
        passed += not buckets.wait_s(b"a", now_s, 0)
        assert passed <= burst + now_s * count + 1e-6


# -- slow bodies ---------------------------------------------------------------------------------------------------------


def test_stretch_is_judged_by_what_moved_while_it_was_waited_for() -> None:
    stretch = Stretch(1000)
    assert not stretch.has_waited(10.0, 30.0)
    assert not stretch.has_waited(10.0, 30.0)
    assert stretch.has_waited(10.0, 30.0)
    assert not stretch.is_too_slow(1000 + 30 * 64, 64)
    assert stretch.has_waited(30.0, 30.0)
    assert stretch.is_too_slow(1000 + 2 * 30 * 64 - 1, 64), "the next stretch begins with what moved before it"
