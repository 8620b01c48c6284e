from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from textual.color import Color

from lbapp.tui.app import LbappConsole
from lbapp.tui.dialogs.question import Question
from tests.tui.console import SIZE, at_servers, screen_text, until, until_shown
from tests.tui.engine_double import EngineDouble, answering, server

pytestmark = pytest.mark.anyio


async def test_overview_leads_to_the_servers_of_a_pool_and_to_one_of_them(double: EngineDouble, socket: Path) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await until_shown(pilot, "nothing needs attention")
        await until_shown(pilot, "3/3")
        await pilot.press("enter")
        await until_shown(pilot, "pool app  1 of 3")
        await until_shown(pilot, "  s3  ")
        await pilot.press("down", "enter")
        await until_shown(pilot, "server app/s2")
        await until_shown(pilot, "connect_refused 2")
        await pilot.press("escape")
        await pilot.press("escape")
        await until_shown(pilot, "UP/ALL")


async def test_d_then_y_drains_and_shows_drain_and_z_takes_it_back(double: EngineDouble, socket: Path) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        await pilot.press("d")
        await until_shown(pilot, "2 of 3 servers of app stay")
        await pilot.press("y")
        await until_shown(pilot, "DRAIN 4m5")
        await until_shown(pilot, "app/s1: state READY -> DRAIN")
        assert double.patches == [("app/s1", {"state": "drain"})]
        await pilot.press("z")
        await until_shown(pilot, "undone: app/s1: state DRAIN -> READY")
        assert "(z undoes)" not in screen_text(cast(LbappConsole, pilot.app))
        await pilot.press("5")
        await until_shown(pilot, "became drain")


async def test_enter_right_behind_d_changes_nothing(double: EngineDouble, socket: Path) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        for key in ("d", "m", "K"):
            await pilot.press(key, "enter")
            await until(pilot, lambda: not isinstance(pilot.app.screen, Question))
        assert double.changing.asked == []


async def test_w_sets_a_weight_and_plus_adds_ten(double: EngineDouble, socket: Path) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        await pilot.press("down", "w", "5", "0", "enter")
        await until_shown(pilot, "app/s2: weight 100 -> 50")
        await pilot.press("plus", "plus")
        await until_shown(pilot, "app/s2: weight 60 -> 70")
        assert [patch for _, patch in double.patches] == [{"weight": 50}, {"weight_add": 10}, {"weight_add": 10}]


async def test_weight_zero_is_asked_about_like_a_drain(double: EngineDouble, socket: Path) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        await pilot.press("w", "0", "enter")
        await until_shown(pilot, "Set the weight of app/s1")
        await until_shown(pilot, "2 of 3 servers of app stay")
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(pilot.app.screen, Question))
        assert double.patches == []


async def test_refusal_is_shown_with_its_hint(double: EngineDouble, socket: Path) -> None:
    double.refuses_with = ("app/s1 changed", "Look at it again")
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        await pilot.press("e")
        await until_shown(pilot, "! app/s1 changed. Look at it again")


async def test_read_only_console_has_no_keys_that_change(double: EngineDouble, socket: Path) -> None:
    async with LbappConsole(socket, read_only=True).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        await pilot.press("d", "m", "w", "e", "plus", "z")
        await pilot.press("question_mark")
        await until_shown(pilot, "problems only")
        app = pilot.app
        assert isinstance(app, LbappConsole)
        assert "maint" not in screen_text(app)
        assert double.patches == []


async def test_filter_takes_letters_typed_right_behind_it(double: EngineDouble, socket: Path) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        await pilot.press("slash", "d", "q", "m")
        await until_shown(pilot, "/dqm")
        await until_shown(pilot, "Enter keep the filter  Esc take it back")
        assert pilot.app.screen is pilot.app.screen_stack[1]
        await pilot.press("escape")
        await pilot.press("slash", "s", "2", "enter")
        await until_shown(pilot, "1 of 1, 3 in all")


async def test_stale_while_the_engine_is_gone_and_live_when_it_returns(socket: Path) -> None:
    double = EngineDouble()
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await until_shown(pilot, "no engine answers on")
        with answering(double, socket):
            await at_servers(pilot)
        await until_shown(pilot, "STALE")
        await until_shown(pilot, "! no engine answers on")
        with answering(double, socket):
            await until_shown(pilot, "LIVE")
            await until_shown(pilot, "the engine answers again")


async def test_names_from_outside_are_drawn_as_they_are_and_never_obeyed(socket: Path) -> None:
    hostile = server("app", "[red]x\x1b[2J\n")
    double = EngineDouble([hostile])
    with answering(double, socket):
        async with LbappConsole(socket).run_test(size=SIZE) as pilot:
            await at_servers(pilot)
            await until_shown(pilot, "app/[red]x·[2J·")
            await pilot.press("d")
            await until_shown(pilot, "NONE stays")
            await pilot.press("a", "p", "p", "enter")
            await until_shown(pilot, "DRAIN 4m5")
            assert double.forced == [True]


async def test_without_colour_text_keeps_the_colours_of_the_terminal(
    double: EngineDouble, socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        app = pilot.app
        styles = []
        for strip in app.screen._compositor.render_strips():
            segments = list(strip)
            for line_filter in app.get_line_filters():
                segments = line_filter.apply(segments, Color(0, 0, 0))
            styles += [segment.style for segment in segments if segment.style]
        colours = [colour for style in styles for colour in (style.color, style.bgcolor) if colour]
        assert colours
        assert all(colour.is_default for colour in colours)


async def test_events_open_at_the_newest_however_many_came(double: EngineDouble, socket: Path) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        await pilot.press("e")
        await until(pilot, lambda: double.patches)
        await pilot.press("5")
        await until_shown(pilot, "1 of 1")
        await pilot.press("3", *(["plus", "minus"] * 15))
        await until(pilot, lambda: len(double.events) == 31)
        await pilot.press("5")
        await until_shown(pilot, " 1 of 31")


async def test_enter_on_an_event_shows_the_whole_of_it(double: EngineDouble, socket: Path) -> None:
    double.servers[0]["id"], double.servers[0]["name"] = "app/with-a-long-name", "with-a-long-name"
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        await pilot.press("e", "5")
        await until_shown(pilot, "became ready with")
        await pilot.press("enter")
        await until_shown(pilot, "app/with-a-long-name became ready with weight 100")
        await until_shown(pilot, "alice (uid 1000, pid 4711)")
