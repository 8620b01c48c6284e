from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from lbapp.tui.feed import Feed
from tests.tui.engine_double import EngineDouble, answering, server

pytestmark = pytest.mark.anyio


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline
        await anyio.sleep(0.02)


async def test_feed_follows_loses_and_finds_the_engine_again(tmp_path: Path) -> None:
    socket, double = tmp_path / "s", EngineDouble()
    feed = Feed(socket, lambda: None)
    assert feed.freshness == "WAITING"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(feed.run)
        await until(lambda: feed.problem)
        assert feed.problem == f"no engine answers on {socket}; start one with: lbapp run -c FILE"
        with answering(double, socket):
            await until(lambda: feed.is_live and len(feed.trends.of("app/s1")) > 2)
            assert feed.problem == ""
            assert [one.id for one in (feed.scene.servers() if feed.scene else ())] == ["app/s1", "app/s2", "app/s3"]
        await until(lambda: feed.freshness.startswith("STALE"))
        assert feed.scene is not None
        with answering(double, socket):
            await until(lambda: feed.freshness == "LIVE")
        tasks.cancel_scope.cancel()


async def test_answer_of_a_change_is_shown_at_once_and_clean(tmp_path: Path) -> None:
    socket = tmp_path / "s"
    feed = Feed(socket, lambda: None)
    with answering(EngineDouble(), socket):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(feed.run)
            await until(lambda: feed.is_live)
            tasks.cancel_scope.cancel()
        changed = server("app", "s1")
        changed["health_reason"] = "\x1b"
        feed.adopt(changed)
        shown = feed.scene.server("app/s1") if feed.scene else None
        assert shown is not None
        assert shown.health_reason == "·"


async def test_what_is_no_engine_of_this_version_is_said_to_be_none(tmp_path: Path) -> None:
    socket, double = tmp_path / "s", EngineDouble()
    double.is_old = True
    feed = Feed(socket, lambda: None)
    with answering(double, socket):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(feed.run)
            await until(lambda: "no engine of this version" in feed.problem)
            tasks.cancel_scope.cancel()
