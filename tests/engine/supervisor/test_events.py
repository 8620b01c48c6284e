from __future__ import annotations

import logging

import anyio
import pytest

from lbapp.control.messages import Event
from lbapp.engine.supervisor.events import Events

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
