"""Who looks on gets what it can read, failed exchanges first where it asks for that, and the number of the rest."""

from __future__ import annotations

import json
import socket
from types import SimpleNamespace
from typing import cast

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.engine.channel import Channel
from lbapp.engine.questions import Answer, ListSessions, Observe, Observed
from lbapp.engine.worker.observers import Observer, tell_observers
from lbapp.engine.worker.run import Worker
from lbapp.model.entities import Bind, Listener, Pool, Route
from lbapp.model.exchange_record import ExchangeRecord
from lbapp.model.log_filter import EVERYTHING, Preference
from tests.engine.worker.harness import (
    RunningWorker,
    TcpServer,
    answering,
    read_exactly,
    read_head,
    running_worker,
    server,
)

WEB = Listener("web", (Bind("127.0.0.1", 0),), pool="app", routes=(Route("bad", path="/bad"),))
PREFERENCE = Preference(slow_us=500)


@given(
    st.lists(st.tuples(st.sampled_from([200, 503]), st.integers(0, 1000)), max_size=60),
    st.integers(1, 9),
    st.booleans(),
)
def test_preferred_ones_are_there_in_their_order_others_give_way_and_each_is_told_or_counted(
    ended: list[tuple[int, int]], room: int, is_preferring: bool
) -> None:
    observer = Observer(Observe(1, EVERYTHING, room * 5.0, PREFERENCE if is_preferring else None))
    records = [
        ExchangeRecord(0.0, "::1", at, "web", method=b"GET", status=status, total_us=took)
        for at, (status, took) in enumerate(ended, 1)
    ]
    for record in records:
        observer.see(record)
    told = observer.take() or Observed(1, (), 0)
    shown = [json.loads(line)["port"] for line in told.lines]
    assert len(shown) == min(room, len(records))
    assert len(shown) + told.skipped == len(records)
    if is_preferring:
        preferred = [each.port for each in records if each.status == 503 or each.total_us >= 500]
        assert shown == sorted(shown)
        assert [port for port in shown if port in preferred] == preferred[:room]
    else:
        assert shown == list(range(1, len(shown) + 1))
    assert observer.take() is None


def failing(connection: object) -> None:
    rest = b""
    while True:
        _, rest = read_head(connection, rest)  # type: ignore[arg-type]
        connection.sendall(b"HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno")  # type: ignore[attr-defined]


async def _looks_on(worker: RunningWorker) -> None:
    """Wait until a worker has read all that it was sent: it answers in turn."""
    await worker.channel.send(ListSessions(2, 0))
    while not isinstance((await worker.channel.receive())[0], Answer):
        continue


async def _told(worker: RunningWorker, count: int) -> tuple[list[str], int]:
    lines: list[str] = []
    skipped = 0
    while len(lines) + skipped < count:
        message, _ = await worker.channel.receive()
        if isinstance(message, Observed):
            lines += message.lines
            skipped += message.skipped
    return lines, skipped


@pytest.mark.system
def test_failed_ones_among_many_are_told_of_by_a_worker_and_the_rest_is_counted() -> None:
    good, bad = TcpServer(answering(b"s1")), TcpServer(failing)
    pools = (Pool("app", (server("s1", good.port),)), Pool("bad", (server("s1", bad.port, pool="bad"),)))
    requests = [b"/bad" if at % 100 == 50 else b"/" for at in range(1000)]
    try:
        with running_worker((WEB,), pools) as worker, worker.connect() as client:

            async def look_on() -> tuple[list[str], int]:
                with anyio.fail_after(60):
                    await worker.channel.send(Observe(1, EVERYTHING, 100.0, Preference()))
                    await _looks_on(worker)
                    await anyio.to_thread.run_sync(ask)
                    return await _told(worker, len(requests))

            def ask() -> None:
                client.sendall(b"".join(b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n" % target for target in requests))
                rest = b""
                for _ in requests:
                    _, rest = read_head(client, rest)
                    rest = read_exactly(client, 2, rest)[2:]

            lines, skipped = anyio.run(look_on)
    finally:
        good.close()
        bad.close()
    assert len(lines) + skipped == len(requests)
    assert skipped > 0
    assert sum(json.loads(line)["status"] == 503 for line in lines) == 10


@pytest.mark.anyio
async def test_who_comes_a_moment_after_the_last_has_gone_is_told_by_the_task_that_there_is() -> None:
    worker = cast(Worker, SimpleNamespace(observers={1: Observer(Observe(1, EVERYTHING, 5.0))}, is_telling=False))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        channel = Channel(ours)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tell_observers, worker, channel)
            await anyio.wait_all_tasks_blocked()
            worker.observers.clear()
            worker.observers[2] = Observer(Observe(2, EVERYTHING, 5.0))
            with anyio.fail_after(5):
                await tell_observers(worker, channel)
            worker.observers.clear()
        assert not worker.is_telling
