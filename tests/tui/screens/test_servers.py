from __future__ import annotations

from pathlib import Path

import pytest
from textual import events

from lbapp.tui.app import LbappConsole
from lbapp.tui.place import Place
from lbapp.tui.screens.servers import ServersPane
from tests.tui.console import SIZE, at_servers, screen_text, until, until_shown
from tests.tui.engine_double import EngineDouble, answering, server

pytestmark = pytest.mark.anyio


def many() -> EngineDouble:
    servers = [server("api", f"s{number:02}") for number in range(20)] + [server("web", "w1")]
    servers[17]["health"], servers[17]["is_eligible"] = "down", False
    return EngineDouble(servers)


def lines(app: LbappConsole) -> list[str]:
    return screen_text(app).splitlines()


async def test_seventeen_servers_fit_on_80x24_with_the_problem_on_top(tmp_path: Path) -> None:
    with answering(many(), tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=SIZE) as pilot:
            await at_servers(pilot)
            await until_shown(pilot, "sort status")
            listed = [line for line in lines(app) if "  UP  " in line or "  DOWN  " in line]
            assert len(listed) == 17
            assert listed[0].startswith("  ▼  api/s17")
            assert listed[1].startswith("  ▲  api/s00")
            assert all(len(line) == 80 for line in lines(app))


@pytest.mark.parametrize("width", [30, 60, 80, 120])
async def test_each_set_of_columns_is_named_and_shown_at_any_width(tmp_path: Path, width: int) -> None:
    with answering(many(), tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=(width, 24)) as pilot:
            await until_shown(pilot, "req/s")
            await pilot.press("3")
            for name, title in (("load", "CONN"), ("latency", "P90"), ("errors", "ERRORS"), ("checks", "CHECK")):
                await until_shown(pilot, "columns")
                if width >= 60:
                    await until_shown(pilot, f"[{name}]")
                if width >= 80:
                    await until_shown(pilot, title)
                await until_shown(pilot, "▼")
                await pilot.press("right")
            if width >= 60:
                await pilot.press("left")
                await until_shown(pilot, "[checks]")


async def test_marks_are_what_an_action_is_about_until_escape_takes_them_back(tmp_path: Path) -> None:
    with answering(many(), tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=SIZE) as pilot:
            await at_servers(pilot)
            await until_shown(pilot, "1 of 21")
            pane = app.shell.pane
            assert isinstance(pane, ServersPane)
            assert list(pane.selection) == ["api/s17"]
            await pilot.press("down", "space", "space")
            await until_shown(pilot, "marked 2")
            await pilot.press("slash", "w", "1", "enter")
            await until_shown(pilot, "1 of 1, 21 in all  marked 2 (2 hidden)")
            assert list(pane.selection) == ["api/s00", "api/s01"]
            await pilot.press("escape")
            await until_shown(pilot, "marked 2")
            await pilot.press("escape")
            await until(pilot, lambda: "marked" not in screen_text(app))
            assert app.shell.here == Place("servers")
            assert len(pane.selection) == 1


async def test_wrong_filter_says_why_and_hides_nothing(tmp_path: Path) -> None:
    with answering(many(), tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=(120, 40)) as pilot:
            await at_servers(pilot)
            await pilot.press("slash", *"pool")
            await pilot.press("colon", *"web")
            await until_shown(pilot, "1 of 1, 21 in all")
            await pilot.press("space", *"p99", "greater_than_sign")
            await until_shown(pilot, "1 of 1, 21 in all  ! p99>: something is missing")


async def test_place_of_the_servers_may_come_with_a_filter(tmp_path: Path) -> None:
    with answering(many(), tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=SIZE) as pilot:
            await until_shown(pilot, "LIVE")
            app.shell.go(Place("servers", "pool:web"))
            await until_shown(pilot, "1 of 1, 21 in all")
            await pilot.press("2", "3")
            await until_shown(pilot, "1 of 1, 21 in all")
            await pilot.press("escape")
            await until_shown(pilot, "1 of 21")


async def test_key_typed_right_behind_a_move_is_about_where_the_move_has_led(tmp_path: Path) -> None:
    with answering(double := many(), tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=SIZE) as pilot:
            await at_servers(pilot)
            await until_shown(pilot, "1 of 21")
            await pilot.press("end", "d")
            await until_shown(pilot, "Drain web/w1 ")
            assert double.patches == []


async def test_change_typed_right_before_a_move_is_about_where_the_cursor_was(tmp_path: Path) -> None:
    with answering(double := many(), tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=SIZE) as pilot:
            await at_servers(pilot)
            await until_shown(pilot, "1 of 21")
            for key, character in (("end", None), ("minus", "-"), ("home", None), ("2", "2")):
                app.post_message(events.Key(key, character))
            await until(pilot, lambda: double.patches)
            assert [server_id for server_id, _ in double.patches] == ["web/w1"]
            assert app.shell.here == Place("pools")
