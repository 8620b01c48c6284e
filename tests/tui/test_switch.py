"""Turning from one source to another under whoever looks at them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import anyio
import pytest

from lbapp.control import calls
from lbapp.control.calls import Answer, Call
from lbapp.control.looking import LogLine, Skipped
from lbapp.model.errors import RequestRefused
from lbapp.tui.feed import Feed
from lbapp.tui.past import PastSource
from lbapp.tui.switch import Switch
from tests.tui.engine_double import EngineDouble, answering, server, was

pytestmark = pytest.mark.anyio


class LateFeed(Feed):
    """A feed whose answers wait for a word, as on a slow link."""

    def __init__(self, socket: Path) -> None:
        super().__init__(socket, lambda: None)
        self.may_answer = anyio.Event()

    async def ask(self, call: Call[Answer]) -> Answer:
        answer = await super().ask(call)
        await self.may_answer.wait()
        return answer

    async def follow_log(self, query: Mapping[str, str]) -> AsyncIterator[LogLine | Skipped]:
        while True:
            yield {"skipped": 1}
            await self.may_answer.wait()


async def test_answer_of_now_is_not_taken_for_one_of_the_past_but_a_change_is_told(tmp_path: Path) -> None:
    with answering(EngineDouble(), tmp_path / "s"):
        feed = LateFeed(tmp_path / "s")
        switch = Switch(feed)
        told: list[str] = []

        async def ask(call: Call[Answer]) -> None:
            try:
                await switch.ask(call)
            except RequestRefused as error:
                told.append(error.code)
            else:
                told.append(call.method)

        async def follow() -> None:
            try:
                async for _ in switch.follow_log({}):
                    following.set()
            except RequestRefused as error:
                told.append(error.code)

        following = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, calls.server("app/s1"))
            tasks.start_soon(ask, calls.patch_server("app/s1", {"weight": 5}))
            tasks.start_soon(follow)
            await following.wait()
            switch.turn(PastSource(feed, was(1.0, [server("app", "s1")])))
            feed.may_answer.set()
        assert sorted(told) == ["PATCH", "turned", "turned"]


async def test_tables_that_hold_the_trends_see_those_of_what_is_looked_at(tmp_path: Path) -> None:
    feed = Feed(tmp_path / "s", lambda: None)
    feed.trends.add(("app",), [3.0])
    switch = Switch(feed)
    held = switch.trends.of
    assert held("app") == (3.0,)
    switch.turn(PastSource(feed, was(1.0, [server("app", "s1")])))
    assert held("app") == ()
    assert (switch.is_away, switch.is_of_now, switch.is_live, switch.now()) == (True, False, False, 1.0)
    switch.turn(feed)
    assert held("app") == (3.0,)
    assert not switch.is_away
