from __future__ import annotations

import logging
from typing import Any

import anyio
import pytest

from lbapp.control.messages import Event
from lbapp.engine.supervisor.events import EventFilter, Events

pytestmark = pytest.mark.anyio


def add(events: Events, count: int) -> None:
    for number in range(count):
        events.add("weight_changed", "app/s1", f"change {number}")


async def test_events_are_numbered_and_bounded_and_the_newest_are_given() -> None:
    events = Events(capacity=5)
    add(events, 8)
    assert [event["seq"] for event in events.after(0)] == [4, 5, 6, 7, 8]
    assert [event["seq"] for event in events.after(6)] == [7, 8]
    assert [event["seq"] for event in events.after(0, limit=2)] == [7, 8]
    assert events.after(8) == []
    assert events.after(100) == []
    assert events.after(0, limit=0) == []


async def test_follower_gets_old_and_new_events_and_ends_with_the_engine() -> None:
    events = Events()
    add(events, 2)
    seen: list[int] = []

    async def follow() -> None:
        seen.extend([event["seq"] async for event in events.follow(0)])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follow)
        await anyio.lowlevel.checkpoint()
        add(events, 1)
        await anyio.lowlevel.checkpoint()
        events.close()
    assert seen == [1, 2, 3]


async def test_slow_follower_is_told_how_many_events_it_missed() -> None:
    events = Events(capacity=3)
    add(events, 1)
    following = events.follow(0)
    assert (await anext(following))["seq"] == 1
    add(events, 6)
    missed: Event = await anext(following)
    assert (missed["kind"], missed["before"], missed["after"]) == ("events_missed", 1, 4)
    assert "3 events" in missed["message"]
    assert [(await anext(following))["seq"] for _ in range(3)] == [5, 6, 7]


async def test_event_is_logged_as_one_line_with_its_actor(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "lbapp"):
        Events().add("weight_changed", "app/s1", "app/s1 has weight 5", actor={"uid": 7, "user": "eve", "pid": 12})
        Events().add("server_went_down", "app/s1", "app/s1 is down")
    assert [record.getMessage() for record in caplog.records] == [
        "weight_changed: app/s1 has weight 5 (by eve, pid 12)",
        "server_went_down: app/s1 is down",
    ]
    assert [record.levelno for record in caplog.records] == [logging.INFO, logging.WARNING]


def test_events_are_paged_backwards_and_picked_by_kind_and_subject() -> None:
    events = Events(capacity=10)
    for number in range(12):
        events.add("up" if number % 2 else "down", ("app/s1", "app/s2", "app", "apple/s1")[number % 4], "")

    def seqs(limit: int = 100, **wanted: Any) -> list[int]:
        return [event["seq"] for event in events.page(EventFilter(**wanted), limit)]

    assert seqs(4) == [9, 10, 11, 12]
    assert seqs(4, before=9) == [5, 6, 7, 8]
    assert seqs(4, before=5) == [3, 4]
    assert seqs(before=3) == seqs(0) == []
    assert seqs(after=4, before=7) == [5, 6]
    assert seqs(kinds=frozenset({"up"})) == [4, 6, 8, 10, 12]
    assert seqs(1, kinds=frozenset({"up", "down"}), subject="app/s1") == [9]
    assert seqs(subject="app") == [3, 5, 6, 7, 9, 10, 11], "its servers, and not those of another"
    assert seqs(subject="node") == []
