"""What is read of attempts from the workers' counters."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lbapp.engine.policy.outlier import Tally
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.supervisor.attempts import Counted
from lbapp.model.outcomes import FailureKind, Outcome
from tests.engine.supervisor.support import Parts, parts


@pytest.fixture
def own() -> Iterator[Parts]:
    with parts() as made:
        yield made


def count(own: Parts, cell: int, by: int, slot: int = 0) -> None:
    segment = own.running.segment
    segment.cells[segment.layout.server(slot, own.server("s1").row) + cell] += by


def test_what_was_counted_before_says_nothing_and_nothing_new_is_none(own: Parts) -> None:
    own.count_requests("s1", 5)
    counted = Counted(own.running.segment, own.server("s1").row)
    assert counted.moved() is None
    own.count_requests("s1", 3)
    moved = counted.moved()
    assert moved is not None
    assert moved.tally == Tally(3, 0)
    assert counted.moved() is None


def test_refused_attempts_are_attempts_that_failed_although_no_request_is_counted(own: Parts) -> None:
    counted = Counted(own.running.segment, own.server("s1").row)
    count(own, at.SERVER_FAILURES + FailureKind.CONNECT_REFUSED, 7)
    moved = counted.moved()
    assert moved is not None
    assert moved.tally == Tally(7, 7)
    assert moved.failures == (FailureKind.CONNECT_REFUSED,)


def test_failure_that_the_client_got_as_5xx_is_one_attempt(own: Parts) -> None:
    counted = Counted(own.running.segment, own.server("s1").row)
    count(own, at.SERVER_FAILURES + FailureKind.RESPONSE_TIMEOUT, 2)
    own.count_requests("s1", 2, status_class=5)
    own.count_requests("s1", 8)
    moved = counted.moved()
    assert moved is not None
    assert moved.tally == Tally(10, 2)


def test_tcp_connections_count_when_they_have_ended_well(own: Parts) -> None:
    counted = Counted(own.running.segment, own.server("s1").row)
    count(own, at.SERVER_OUTCOMES + Outcome.COMPLETED, 4)
    count(own, at.SERVER_FAILURES + FailureKind.CONNECT_TIMEOUT, 1)
    moved = counted.moved()
    assert moved is not None
    assert moved.tally == Tally(5, 1)


def test_all_workers_are_added(own: Parts) -> None:
    counted = Counted(own.running.segment, own.server("s1").row)
    for slot in range(own.running.segment.layout.slots):
        own.count_requests("s1", 2, slot=slot)
    moved = counted.moved()
    assert moved is not None
    assert moved.tally.requests == 2 * own.running.segment.layout.slots
