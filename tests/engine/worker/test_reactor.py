"""The reactor by itself, over socket pairs: deadlines, turns, interruptions."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from lbapp.engine.worker.reactor import NEVER, Aborted, DeadlinePassed, Endpoint, Reactor
from lbapp.engine.worker.relay import receive
from lbapp.model.limits import OVERDUE_PER_TURN_MAX, RECEIVE_BYTES


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def reactor(clock: Clock) -> Iterator[Reactor]:
    reactor = Reactor(clock)
    yield reactor
    reactor.close()


def pair(reactor: Reactor) -> tuple[Endpoint, socket.socket]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    return Endpoint(reactor, ours), theirs


def test_deadline_of_a_wait_that_is_over_does_not_end_the_next_one(reactor: Reactor, clock: Clock) -> None:
    (first, first_peer), (second, second_peer) = pair(reactor), pair(reactor)
    log: list[str] = []

    async def earlier() -> None:
        await second.readable(0.5)
        log.append("read")

    async def later() -> None:
        try:
            await first.readable(1.0)
        except DeadlinePassed:
            log.append("first")
        await second.readable(clock.now + 10.0)
        log.append("again")

    reactor.start(earlier())
    second_peer.send(b"x")
    reactor.select(0)
    reactor.start(later())
    assert second.socket.recv(1) == b"x"
    clock.now = 2.0
    list(reactor.sweep())
    assert log == ["read", "first"]
    assert second.reader is not None
    second_peer.send(b"x")
    reactor.select(0)
    assert log == ["read", "first", "again"]
    first_peer.close()
    second_peer.close()


def test_coroutine_that_lets_others_go_first_can_be_interrupted(reactor: Reactor) -> None:
    endpoint, peer = pair(reactor)
    log: list[str] = []

    async def busy() -> None:
        try:
            await endpoint.next_turn()
        except Aborted:
            log.append("aborted")

    reactor.start(busy())
    endpoint.interrupt(Aborted())
    reactor.select(0)
    assert log == ["aborted"]
    assert reactor.faults == 0
    peer.close()


def test_full_read_lets_others_go_first(reactor: Reactor) -> None:
    (fast, fast_peer), (other, other_peer) = pair(reactor), pair(reactor)
    fast.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    fast_peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    log: list[str] = []

    async def read(name: str, endpoint: Endpoint, times: int) -> None:
        for _ in range(times):
            await receive(endpoint, NEVER)
            log.append(name)

    reactor.start(read("other", other, 1))
    fast_peer.setblocking(False)
    assert fast_peer.send(b"x" * (3 * RECEIVE_BYTES)) == 3 * RECEIVE_BYTES
    other_peer.send(b"x")
    reactor.start(read("fast", fast, 3))
    for _ in range(5):
        reactor.select(0)
    assert log == ["other", "fast", "fast", "fast"]
    fast_peer.close()
    other_peer.close()


def test_crowd_that_is_late_at_one_moment_does_not_keep_the_others_waiting(reactor: Reactor, clock: Clock) -> None:
    log: list[str] = []

    async def late(endpoint: Endpoint) -> None:
        try:
            await endpoint.readable(1.0)
        except DeadlinePassed:
            log.append("late")

    async def served(endpoint: Endpoint) -> None:
        await endpoint.readable(100.0)
        log.append("served")

    crowd = [pair(reactor) for _ in range(3 * OVERDUE_PER_TURN_MAX)]
    other, other_peer = pair(reactor)
    for endpoint, _ in crowd:
        reactor.start(late(endpoint))
    reactor.start(served(other))
    clock.now = 2.0
    other_peer.send(b"x")
    list(reactor.sweep())
    reactor.select(0)
    assert log.index("served") == OVERDUE_PER_TURN_MAX
    reactor.select(0)
    assert log.count("late") == len(crowd)
    for _, peer in [*crowd, (other, other_peer)]:
        peer.close()
