"""Which failed attempts may be followed by another one."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lbapp.engine.policy.retry import (
    BROKEN_OFF,
    CONNECT_FAILURES,
    RetryBudget,
    backoff_s,
    has_attempt_left,
    is_safe_to_repeat,
    may_repeat_on_new_connection,
)
from lbapp.model.entities import Retry
from lbapp.model.limits import RETRY_BACKOFF_MAX_S, RETRY_WINDOW_S
from lbapp.model.outcomes import FailureKind


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"])
def test_idempotent_request_is_repeated_where_a_reused_connection_was_closed(method: bytes) -> None:
    assert may_repeat_on_new_connection(FailureKind.UPSTREAM_CLOSED, method, was_reused=True, is_body_kept=True)


@pytest.mark.parametrize("method", [b"POST", b"PATCH", b"CONNECT", b"BREW", b"get"])
def test_other_methods_are_never_repeated(method: bytes) -> None:
    assert not may_repeat_on_new_connection(FailureKind.UPSTREAM_CLOSED, method, was_reused=True, is_body_kept=True)


def test_request_is_not_repeated_where_the_connection_was_new() -> None:
    assert not may_repeat_on_new_connection(FailureKind.UPSTREAM_CLOSED, b"GET", was_reused=False, is_body_kept=True)


def test_request_whose_body_has_begun_is_not_repeated() -> None:
    assert not may_repeat_on_new_connection(FailureKind.UPSTREAM_CLOSED, b"PUT", was_reused=True, is_body_kept=False)


@pytest.mark.parametrize("kind", sorted(set(FailureKind) - {FailureKind.UPSTREAM_CLOSED}))
def test_only_a_closed_connection_is_reason_to_repeat(kind: FailureKind) -> None:
    assert not may_repeat_on_new_connection(kind, b"GET", was_reused=True, is_body_kept=True)


@pytest.mark.parametrize("kind", list(FailureKind))
@pytest.mark.parametrize("method", [b"GET", b"PUT", b"POST", b"PATCH"])
def test_another_server_is_tried_where_nothing_was_sent_or_where_twice_does_no_harm(
    kind: FailureKind, method: bytes
) -> None:
    may = is_safe_to_repeat(kind, method, is_body_kept=True)
    assert may == (kind in CONNECT_FAILURES or (kind in BROKEN_OFF and method in (b"GET", b"PUT")))
    assert not is_safe_to_repeat(kind, method, is_body_kept=False)


def test_a_timeout_is_no_reason_to_ask_another_server() -> None:
    assert not is_safe_to_repeat(FailureKind.RESPONSE_TIMEOUT, b"GET", is_body_kept=True)


def test_attempts_and_time_are_limited() -> None:
    retry = Retry(attempts=3, timeout_s=5.0)
    assert [has_attempt_left(retry, tried, 0.0) for tried in (1, 2, 3, 4)] == [True, True, False, False]
    assert not has_attempt_left(retry, 1, 5.0)
    assert not has_attempt_left(Retry(attempts=1), 1, 0.0)


@given(st.integers(0, 50), st.floats(0, 1))
def test_the_first_repeat_is_immediate_and_no_wait_is_longer_than_the_limit(tried: int, chance: float) -> None:
    assert backoff_s(0, chance) == backoff_s(1, chance) == 0.0
    assert 0.0 <= backoff_s(tried, chance) <= RETRY_BACKOFF_MAX_S


def test_the_bound_of_the_wait_doubles() -> None:
    assert [backoff_s(tried, 1.0) for tried in (2, 3, 4)] == [0.025, 0.05, 0.1]


def test_a_quiet_pool_may_repeat_a_few_requests() -> None:
    budget = RetryBudget(Retry())
    assert [budget.may_spend(0.0, 0) for _ in range(5)] == [True, True, True, False, False]
    assert budget.may_spend(RETRY_WINDOW_S, 0)


def test_a_busy_pool_may_repeat_a_share_of_its_requests_of_the_last_seconds() -> None:
    budget = RetryBudget(Retry(budget_percent=20))
    for second in range(31):
        budget.look(float(second), second * 10)
    assert sum(budget.may_spend(30.0, 300) for _ in range(100)) == 20  # of the 100 requests of the last 10 s


def test_looks_that_follow_at_once_are_not_kept() -> None:
    budget = RetryBudget(Retry(budget_min=0))
    budget.look(0.0, 0)
    for step in range(1, 100):
        budget.look(step / 1000, step)
    assert sum(budget.may_spend(0.5, 100) for _ in range(100)) == 20


LATE = [(0.0, 1, 0), (0.5, 0, 0), *[(pause, 0, 0) for pause in (2.0, 2.0, 1.75, 1.75, 1.0, 1.5, 1.75)], (0.75, 19, 4)]


@given(st.lists(st.tuples(st.floats(0, 2), st.integers(0, 30), st.integers(0, 10)), max_size=60))
@example(LATE)  # the last look comes too soon to be kept, and late enough to forget the first
def test_repeats_of_any_window_never_exceed_the_budget(steps: list[tuple[float, int, int]]) -> None:
    budget = RetryBudget(Retry())
    now_s, requests = 0.0, 0
    budget.look(now_s, requests)
    history: list[tuple[float, int]] = [(now_s, requests)]
    spent: list[float] = []
    for delay_s, more, wanted in steps:
        now_s, requests = now_s + delay_s, requests + more
        budget.look(now_s, requests)
        history.append((now_s, requests))
        granted = [now_s for _ in range(wanted) if budget.may_spend(now_s, requests)]
        spent += granted
        recent = sum(1 for each in spent if now_s - each < RETRY_WINDOW_S)
        before = max([count for at_s, count in history if now_s - at_s >= RETRY_WINDOW_S + 3], default=0)
        assert not granted or recent <= max(3, (requests - before) * 20 // 100)
