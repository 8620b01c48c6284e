"""The queue of a pool by itself: a fault in choosing for one that waits is that one's alone."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import cast

from lbapp.engine.scoreboard.layout import Layout
from lbapp.engine.scoreboard.segment import Segment
from lbapp.engine.worker.downstream import Downstream
from lbapp.engine.worker.queueing import PoolQueue
from lbapp.engine.worker.reactor import Reactor
from lbapp.engine.worker.record import Book, ListenerCells, PoolCells, ServerCells
from lbapp.engine.worker.upstream import UpstreamServer
from lbapp.model.capacity import Queue


@dataclass
class Wish:
    is_faulty: bool
    server: UpstreamServer

    def choose(self) -> UpstreamServer | None:
        if self.is_faulty:
            raise ZeroDivisionError
        return self.server

    def wants(self) -> Hashable:
        return None

    def is_hopeless(self) -> bool:
        return False


def test_a_fault_in_choosing_ends_that_wait_and_no_other() -> None:
    came_to: list[object] = []

    async def scenario() -> None:  # the queue's timer belongs to a loop
        reactor = Reactor(lambda: 0.0)
        segment = Segment.create(Layout(slots=1, listeners=1, pools=1, servers=1))
        listener = SimpleNamespace(cells=ListenerCells(segment, 0, 0, Book()))
        server = cast("UpstreamServer", SimpleNamespace(cells=ServerCells(segment, 0, 0, Book())))
        queue = PoolQueue(Queue(timeout_s=60.0), PoolCells(segment, 0, 0), "app")

        async def wait(wish: Wish) -> None:
            client = cast("Downstream", SimpleNamespace(reactor=reactor, partner=None, listener=listener))
            try:
                came_to.append(await queue.wait(client, wish) is server)
            except ZeroDivisionError as error:
                came_to.append(type(error))

        for is_faulty in (False, True, False):
            reactor.start(wait(Wish(is_faulty, server)))
        assert came_to == []
        queue.look()
        assert not queue
        reactor.close()

    asyncio.run(scenario())
    assert came_to == [True, ZeroDivisionError, True]
