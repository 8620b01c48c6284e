"""The past on every screen."""

from __future__ import annotations

import copy
import time
from datetime import datetime
from pathlib import Path

import pytest

from lbapp.control import calls
from lbapp.control.past import PastStatus
from lbapp.model.errors import RequestRefused
from lbapp.tui.app import LbappConsole
from lbapp.tui.feed import Feed
from lbapp.tui.past import PastSource, moment, scene_of_past
from lbapp.tui.travel import Start
from tests.tui.console import SIZE, at_servers, screen_text, until, until_shown
from tests.tui.engine_double import EngineDouble, answering, server, was

pytestmark = pytest.mark.anyio


def down_before(at: float) -> PastStatus:
    """Return a moment in which app/s2 was down and app/s1 had another weight."""
    servers = [server("app", name) for name in ("s1", "s2")]
    servers[0]["weight"], servers[1]["health"] = 77, "down"
    return was(at, servers)


def clock(at: float) -> str:
    return datetime.fromtimestamp(at).strftime("%H:%M:%S")


def test_moment_becomes_rows_and_what_was_not_recorded_stays_unknown() -> None:
    scene = scene_of_past(down_before(1000.0))
    first, second = scene.servers()
    assert (first.id, first.weight, first.health, first.requests_per_s, first.p99) == ("app/s1", 77, "up", 25.0, 40.0)
    assert (first.p90, first.connections, first.requests_total, first.health_since, first.drain) == (None,) * 5
    assert (first.address, scene.pools[0].algorithm, scene.listeners[0].protocol) == ("-", "-", "-")
    assert (second.is_eligible, scene.pools[0].eligible, scene.pools[0].total) == (False, 1, 2)
    assert scene.engine is None
    assert scene.by_target(first.target) is first


def test_hostile_names_are_made_printable_and_unlike_each_other() -> None:
    scene = scene_of_past(was(1.0, [server("app", "\x1b[2J"), server("app", "\x07[2J")]))
    assert [row.id for row in scene.servers()] == ["app/·[2J", "app/·[2J~2"]


def test_time_of_another_day_is_given_with_its_date() -> None:
    at = datetime(2026, 11, 28, 14, 5, 30).timestamp()
    assert moment(at, at + 60) == "14:05:30"
    assert moment(at, at + 86_400) == "2026-11-28 14:05:30"


async def test_past_answers_nothing_that_it_did_not_record_and_changes_nothing(tmp_path: Path) -> None:
    past = PastSource(Feed(tmp_path / "nobody", lambda: None), down_before(time.time()))
    with pytest.raises(RequestRefused, match="the past cannot be changed"):
        await past.ask(calls.patch_server("app/s1", {"weight": 1}))
    with pytest.raises(RequestRefused, match="not recorded"):
        await past.ask(calls.server("app/s1"))
    with pytest.raises(RequestRefused, match="no past"):
        async for _ in past.follow_log({}):
            pass


async def test_past_is_shown_apart_from_what_is_live_and_changes_nothing(tmp_path: Path) -> None:
    double, now = EngineDouble(), float(int(time.time()))
    double.moments = [down_before(now - 600)]
    with answering(double, tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=SIZE) as pilot:
            await at_servers(pilot)
            await pilot.press("e")
            await until(pilot, lambda: double.patches)
            await pilot.press("t", *clock(now - 600), "enter")
            await until_shown(pilot, f"{clock(now - 600)} (10m")
            text = screen_text(app)
            second, first = (line for line in text.splitlines() if "app/s" in line)  # what is DOWN stands first
            assert " 77 " in first
            assert "DOWN" in second
            assert "  RO" in text.splitlines()[0]
            assert "cpu 34%" in text.splitlines()[0]
            assert "127.0.0.1:9001" not in text
            await pilot.press("d", "m", "plus", "z", "5")
            await until_shown(pilot, "0 of 0")  # the event of today is not one of then
            await pilot.press("question_mark")
            await until_shown(pilot, "back in time")
            assert "drain" not in screen_text(app)
            await pilot.press("escape", "0", "3")
            await until_shown(pilot, "LIVE  RW")
            await until_shown(pilot, "app/s3")
    assert len(double.patches) == 1


async def test_console_can_be_opened_at_a_time_and_follows_the_engine_behind_it(tmp_path: Path) -> None:
    double, now = EngineDouble(), float(int(time.time()))
    double.moments = [down_before(now - 600)]
    with answering(double, tmp_path / "s"):
        app = LbappConsole(tmp_path / "s", start=Start(now - 600))
        async with app.run_test(size=SIZE) as pilot:
            await until_shown(pilot, f"{clock(now - 600)} (")
            await until(pilot, lambda: app.feed.is_live)
            await pilot.press("0")
            await until_shown(pilot, "LIVE  RW")


async def test_what_was_asked_of_now_is_not_shown_as_the_past(tmp_path: Path) -> None:
    double, now = EngineDouble(), float(int(time.time()))
    double.moments = [down_before(now - 30)]
    with answering(double, tmp_path / "s"):
        async with LbappConsole(tmp_path / "s").run_test(size=SIZE) as pilot:
            await at_servers(pilot)
            await pilot.press("enter")
            await until_shown(pilot, "connect_refused 2")
            await pilot.press("t", *clock(now - 30), "enter")
            await until_shown(pilot, "this is not recorded")
            await pilot.press("right")
            await until_shown(pilot, "[checks]")
            await until_shown(pilot, "this is not recorded")
            assert "not been probed" not in screen_text(pilot.app)  # type: ignore[arg-type]
            await pilot.press("left")
            # How it went is asked up to then.
            await until(pilot, lambda: float(double.asked[-1].get("until", 0)) == pytest.approx(now - 30, abs=0.01))
            await pilot.press("0")
            await until_shown(pilot, "connect_refused 2")


async def test_engine_that_goes_leaves_the_past_as_it_is(tmp_path: Path) -> None:
    double, now = EngineDouble(), float(int(time.time()))
    double.moments = [down_before(now - 30)]
    app = LbappConsole(tmp_path / "s")
    async with app.run_test(size=SIZE) as pilot:
        with answering(double, tmp_path / "s"):
            await at_servers(pilot)
            await pilot.press("t", *clock(now - 30), "enter")
            await until_shown(pilot, "PAST")
        await until(pilot, lambda: app.feed.problem)
        await pilot.press("left_square_bracket")
        await until_shown(pilot, "! no engine answers")
        assert "PAST" in screen_text(app)
        await pilot.press("0")
        await until_shown(pilot, "STALE")


async def test_pages_over_the_past_are_of_the_past_too(tmp_path: Path) -> None:
    double, now = EngineDouble(), float(int(time.time()))
    gone = copy.deepcopy(down_before(now - 45))
    gone["pools"][0]["name"] = "older"
    for one in gone["pools"][0]["servers"]:
        one["id"] = one["id"].replace("app/", "older/")
    double.moments = [gone]
    with answering(double, tmp_path / "s"):
        async with LbappConsole(tmp_path / "s").run_test(size=SIZE) as pilot:
            await at_servers(pilot)
            await pilot.press("t", *clock(now - 45), "enter")
            await until_shown(pilot, "older/s1")
            await pilot.press("1")
            await until_shown(pilot, "older")
            await pilot.press("2", "enter")
            await until_shown(pilot, "pool older")


async def test_screens_of_what_is_live_say_that_it_has_no_past(tmp_path: Path) -> None:
    double, now = EngineDouble(), float(int(time.time()))
    double.moments = [down_before(now - 30)]
    with answering(double, tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=SIZE) as pilot:
            await at_servers(pilot)
            await pilot.press("4", "t", *clock(now - 30), "enter")
            await until_shown(pilot, "PAST")
            await until_shown(pilot, "single requests are not recorded: they have no past")
            await pilot.press("i")
            await until_shown(pilot, "in flight")
            assert "close connection" not in screen_text(app)
            await pilot.press("6")
            await until_shown(pilot, "this is not recorded")
            await pilot.press("7")
            await until_shown(pilot, "of the node itself nothing is recorded of that time")
