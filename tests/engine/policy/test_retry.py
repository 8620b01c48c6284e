"""Which failed attempts may be followed by another one."""

from __future__ import annotations

import pytest

from lbapp.engine.policy.retry import CONNECT_FAILURES, may_repeat_on_new_connection, may_try_another_server
from lbapp.model.limits import CONNECT_ATTEMPTS_MAX
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
def test_another_server_is_tried_only_where_connecting_failed(kind: FailureKind) -> None:
    assert may_try_another_server(kind, 1) == (kind in CONNECT_FAILURES)


def test_no_more_servers_are_tried_than_the_limit_says() -> None:
    tried = [count for count in range(1, 10) if may_try_another_server(FailureKind.CONNECT_REFUSED, count)]
    assert len(tried) == CONNECT_ATTEMPTS_MAX - 1
