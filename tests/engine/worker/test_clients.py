"""What workers know of each other's clients."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lbapp.engine.scoreboard.layout import Layout
from lbapp.engine.scoreboard.segment import Segment
from lbapp.engine.worker.clients import Clients

A, B = b"\0\0\x7f\0\0\1", b"\0\0\x7f\0\0\2"


@pytest.fixture
def segment() -> Iterator[Segment]:
    with Segment.create(Layout(slots=3, listeners=1, pools=1, servers=1)) as made:
        yield made


def test_connections_of_a_client_are_counted_over_all_workers(segment: Segment) -> None:
    first, second = Clients(segment, 0), Clients(segment, 2)
    for _ in range(3):
        first.connected(A, 1)
    second.connected(A, 1)
    second.connected(B, 1)
    assert (first.connections(A), second.connections(A)) == (4, 4)
    assert (first.connections(B), second.connections(B)) == (1, 1)
    first.connected(A, -1)
    second.connected(A, -1)
    assert (first.connections(A), second.connections(A)) == (2, 2)


def test_worker_that_died_with_connections_open_leaves_none_to_its_successor(segment: Segment) -> None:
    Clients(segment, 0).connected(A, 1)
    other = Clients(segment, 1)
    assert other.connections(A) == 1
    successor = Clients(segment, 0)
    successor.clear()
    assert (other.connections(A), successor.connections(A)) == (0, 0)


def test_requests_are_those_of_the_others(segment: Segment) -> None:
    first, second = Clients(segment, 0), Clients(segment, 1)
    for _ in range(5):
        first.requested(A)
    assert (first.requests_elsewhere(A), second.requests_elsewhere(A), second.requests_elsewhere(B)) == (0, 5, 0)


def test_requests_that_a_dead_worker_let_through_are_not_taken_back(segment: Segment) -> None:
    first, second = Clients(segment, 0), Clients(segment, 1)
    first.requested(A)
    Clients(segment, 0).clear()
    assert second.requests_elsewhere(A) == 1


def test_places_are_the_same_for_all_workers_of_a_node_and_of_no_other(segment: Segment) -> None:
    places = Clients(segment, 0).places(A)
    assert Clients(segment, 1).places(A) == places
    with Segment.create(segment.layout) as other:
        assert Clients(other, 0).places(A) != places
