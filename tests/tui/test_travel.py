"""Steps in time."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import anyio
import pytest
from textual.pilot import Pilot

from lbapp.control.calls import Answer, Call
from lbapp.tui.app import LbappConsole
from lbapp.tui.switch import Switch
from lbapp.tui.travel import Travel
from tests.tui.console import SIZE, at_servers, screen_text, until, until_shown
from tests.tui.engine_double import EngineDouble, answering, was
from tests.tui.test_switch import LateFeed

pytestmark = pytest.mark.anyio


def clock(at: float) -> str:
    return datetime.fromtimestamp(at).strftime("%H:%M:%S")


def recorded(now: float) -> EngineDouble:
    """Return an engine that has seconds of the last five minutes, but for some, and minutes of the last hour."""
    double = EngineDouble()
    minutes = [was(now - 60 * back, double.servers, 60.0) for back in range(60, 4, -1)]
    # The newest is always a second ago, however long the console takes to start here.
    seconds = [was(now - back, double.servers) for back in range(300, -60, -1) if not 150 < back < 200]
    double.moments = [*minutes, *seconds]
    return double


@asynccontextmanager
async def travelling(tmp_path: Path) -> AsyncIterator[tuple[LbappConsole, Pilot[None]]]:
    """Run a console, at its servers, over an engine that has recorded what was."""
    with answering(recorded(time.time()), tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=SIZE) as pilot:
            await at_servers(pilot)
            yield app, pilot


async def test_steps_are_seconds_at_first_then_minutes_and_lead_back_to_now(tmp_path: Path) -> None:
    async with travelling(tmp_path) as (app, pilot):
        await pilot.press("right_square_bracket")
        await until_shown(pilot, "this is the newest there is")
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: app.shell.source.is_away)
        at = app.shell.source.now()
        await pilot.press(*["left_curly_bracket"] * 3)
        await until(pilot, lambda: round(at - app.shell.source.now()) == 30)
        await until_shown(pilot, "move by 1s")
        await pilot.press("t", *"-4m", "enter")
        await until_shown(pilot, "move by 1m")
        at = app.shell.source.now()
        await pilot.press("left_curly_bracket")
        await until_shown(pilot, "counted over 1m00s")
        assert 9 * 60 < at - app.shell.source.now() < 11 * 60
        at = app.shell.source.now()
        await pilot.press("left_square_bracket", "left_square_bracket", "left_square_bracket")
        await until(pilot, lambda: round(at - app.shell.source.now()) == 180)
        await pilot.press("right_square_bracket", "right_square_bracket")
        await until(pilot, lambda: round(at - app.shell.source.now()) == 60)
        await pilot.press(*["right_curly_bracket"] * 3)
        await until_shown(pilot, "LIVE")


async def test_time_to_the_second_is_left_by_seconds(tmp_path: Path) -> None:
    async with travelling(tmp_path) as (app, pilot):
        await pilot.press("t", *"-120s", "enter")
        await until_shown(pilot, "move by 1s")
        at = app.shell.source.now()
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: round(at - app.shell.source.now()) == 1)


async def test_where_nothing_is_recorded_the_moment_stays_and_it_is_said(tmp_path: Path) -> None:
    async with travelling(tmp_path) as (app, pilot):
        await pilot.press("t", *"-59m", "enter")
        await until_shown(pilot, "PAST")
        at = app.shell.source.now()
        await pilot.press("left_curly_bracket")
        await until_shown(pilot, "! nothing is recorded of")
        assert app.shell.source.now() == at
        await pilot.press("t", *"2099-01-01 10:00", "enter")
        await until_shown(pilot, "! 2099-01-01 10:00:00 is still to come")
        assert f"{clock(at)} (" in screen_text(app)  # with the date, when that is another day


async def test_every_step_counts_however_fast_they_come(tmp_path: Path) -> None:
    async with travelling(tmp_path) as (app, pilot):
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: app.shell.source.is_away)
        at = app.shell.source.now()
        await pilot.press(*["left_square_bracket"] * 20)
        await until(pilot, lambda: round(at - app.shell.source.now()) == 20)


async def test_escape_leads_back_to_now_when_there_is_nothing_else_to_leave(tmp_path: Path) -> None:
    async with travelling(tmp_path) as (_, pilot):
        await pilot.press("t", *"-4m", "enter")
        await until_shown(pilot, "PAST")
        await pilot.press("slash", "s", "2", "enter")
        await until_shown(pilot, "1 of 1, 3 in all")
        await pilot.press("escape")
        await until_shown(pilot, "2 of 3")
        await until_shown(pilot, "PAST")
        await pilot.press("escape", "escape")  # to the overview, then to now
        await until_shown(pilot, "LIVE")


async def test_answer_that_comes_after_the_way_home_does_not_lead_away_again(tmp_path: Path) -> None:
    now = time.time()
    with answering(recorded(now), tmp_path / "s"):
        feed = LateFeed(tmp_path / "s")
        switch = Switch(feed)
        travel = Travel(switch, lambda _outcome: None, lambda: None)
        async with anyio.create_task_group() as tasks:
            travel.step(-1)
            tasks.start_soon(travel.walk)
            await anyio.wait_all_tasks_blocked()
            travel.come_home()
            feed.may_answer.set()
        assert not travel.is_away
        travel.step(-1)
        await travel.walk()
        assert travel.is_away


async def test_key_that_leads_home_exists_from_the_step_on_not_from_its_answer(tmp_path: Path) -> None:
    async with travelling(tmp_path) as (app, pilot):
        assert not app.shell.check_action("now", ())
        feed = app.shell.travel._switch.home
        ask, may_answer = feed.ask, anyio.Event()

        async def late(call: Call[Answer]) -> Answer:
            answer = await ask(call)
            await may_answer.wait()
            return answer

        feed.ask = late  # type: ignore[method-assign]
        for away in (["left_square_bracket"], ["t", *"-4m", "enter"]):
            await pilot.press(*away)
            assert app.shell.check_action("now", ())
            assert not app.shell.source.is_away
            await pilot.press("0")
            may_answer.set()
            await until(pilot, lambda: not app.shell.travel.is_away)
            assert not app.shell.source.is_away
            may_answer = anyio.Event()


async def test_lists_of_a_moment_have_the_sparklines_of_the_seconds_before_it(tmp_path: Path) -> None:
    with answering(recorded(time.time()), tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=(160, 40)) as pilot:
            await at_servers(pilot)
            await pilot.press("left_square_bracket")
            await until(pilot, lambda: app.shell.source.is_away)
            assert list(app.shell.source.trends.of("app/s1"))[-8:] == [25.0] * 8
            assert app.shell.source.trends.of("app")
            row = next(line for line in screen_text(app).splitlines() if "app/s1" in line)
            assert "████████" in row
            await pilot.press("t", *"-30m", "enter")  # of which only minutes are recorded
            await until_shown(pilot, "counted over 1m00s")
            assert app.shell.source.trends.of("app/s1") == ()
