from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from lbapp.control.ssh import Host
from lbapp.model.errors import EngineUnreachable
from lbapp.tui.feed import Feed
from tests.tui.engine_double import EngineDouble, answering, server

pytestmark = pytest.mark.anyio


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 25
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
        await until(lambda: feed.age_s > 3.0)  # it has called the engine again by then, more than once
        assert feed.scene is not None
        with answering(double, socket):
            await until(lambda: feed.freshness == "LIVE")
        tasks.cancel_scope.cancel()


class Unreachable:
    """A way to another host that is not there."""

    host = Host("lb1")

    def ensure(self) -> None:
        raise EngineUnreachable("no way there", "Look for it")


@pytest.mark.parametrize(
    ("link", "waits"), [(None, [0.25, 0.5, 0.5, 0.5]), (Unreachable(), [0.25, 0.5, 1.0, 2.0, 2.0])]
)
async def test_engine_that_was_long_gone_here_is_found_within_a_second_and_no_host_is_pestered(
    link: Any, waits: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        await anyio.lowlevel.checkpoint()

    feed = Feed(tmp_path / "s", lambda: None, link)
    monkeypatch.setattr("lbapp.tui.feed.anyio.sleep", sleep)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(feed.run)
        while len(waited) < len(waits):
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    assert waited[: len(waits)] == waits


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


async def test_resting_feed_hears_of_states_at_once_and_of_figures_when_it_rests_no_more(tmp_path: Path) -> None:
    socket, double = tmp_path / "s", EngineDouble()
    feed = Feed(socket, lambda: None)
    with answering(double, socket):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(feed.run)
            await until(lambda: feed.is_live)
            assert feed.has_figures
            feed.rest(is_resting=True)
            await until(lambda: not feed.has_figures)
            assert double.followed[-1] == {"as": "changes", "figures": "no", "after": "double-1"}
            double.servers[0]["health"], double.servers[0]["in_flight"] = "down", 99
            await until(lambda: feed.scene and feed.scene.server("app/s1").health == "down")  # type: ignore[union-attr]
            assert feed.scene is not None
            row = feed.scene.server("app/s1")
            assert row is not None
            assert row.in_flight != 99
            assert feed.is_live
            await feed.have_figures()
            row = feed.scene.server("app/s1")
            assert row is not None
            assert (feed.has_figures, row.in_flight, row.health) == (True, 99, "down")
            tasks.cancel_scope.cancel()


async def test_figures_that_somebody_waits_for_come_also_when_nobody_sees_them_any_more(tmp_path: Path) -> None:
    socket, double = tmp_path / "s", EngineDouble()
    feed = Feed(socket, lambda: None)
    with answering(double, socket):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(feed.run)
            await until(lambda: feed.is_live)
            feed.rest(is_resting=True)
            await until(lambda: not feed.has_figures)
            async with anyio.create_task_group() as waiting:
                waiting.start_soon(feed.have_figures)
                await anyio.lowlevel.checkpoint()  # it has begun to wait
                assert not feed.has_figures
                feed.rest(is_resting=True)  # the dialog is gone before they came
            await until(lambda: not feed.has_figures)
            tasks.cancel_scope.cancel()


async def test_rest_that_is_ended_again_and_again_leaves_one_way_of_listening(tmp_path: Path) -> None:
    socket, double = tmp_path / "s", EngineDouble()
    feed = Feed(socket, lambda: None)
    with answering(double, socket):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(feed.run)
            await until(lambda: feed.is_live)
            for number in range(20):
                feed.rest(is_resting=number % 2 == 0)
            await feed.have_figures()
            await until(lambda: len(feed._streams) == 1)
            double.servers[0]["in_flight"] = 99
            await until(lambda: feed.scene and feed.scene.server("app/s1").in_flight == 99)  # type: ignore[union-attr]
            tasks.cancel_scope.cancel()


async def test_feed_that_follows_no_more_is_told_to_rest_and_does_nothing(tmp_path: Path) -> None:
    socket = tmp_path / "s"
    feed = Feed(socket, lambda: None)
    with answering(EngineDouble(), socket):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(feed.run)
            await until(lambda: feed.is_live)
            tasks.cancel_scope.cancel()
        for is_resting in (True, False):  # as the clock of a console does that is about to leave
            feed.rest(is_resting=is_resting)
        assert feed._listen_anew is None


async def test_engine_that_is_lost_while_the_feed_rests_leaves_figures_as_old_as_they_are(tmp_path: Path) -> None:
    socket, double = tmp_path / "s", EngineDouble()
    feed = Feed(socket, lambda: None)
    async with anyio.create_task_group() as tasks:
        with answering(double, socket):
            tasks.start_soon(feed.run)
            await until(lambda: feed.is_live)
            feed.rest(is_resting=True)
            await until(lambda: not feed.has_figures)
            assert feed.scene is not None
            counted_at = feed._counted_at
            await until(lambda: feed.scene and feed.scene.at > counted_at + 1.0)
        await until(lambda: not feed.is_live)
        assert feed.freshness.startswith("STALE ")
        assert feed.freshness != "STALE 0s"
        with pytest.raises(EngineUnreachable, match="no figures came from"):
            await feed.have_figures()
        tasks.cancel_scope.cancel()
