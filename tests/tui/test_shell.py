from __future__ import annotations

from pathlib import Path

import pytest

from lbapp.tui.app import LbappConsole
from tests.tui.console import SIZE, at_servers, screen_text, until, until_shown
from tests.tui.engine_double import EngineDouble, answering

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_sort_reverse_and_problems_arrange_the_servers(tmp_path: Path) -> None:
    double = EngineDouble()
    double.servers[1]["health"], double.servers[1]["is_eligible"] = "down", False
    with answering(double, tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=SIZE) as pilot:
            await at_servers(pilot)
            assert [line[5:11] for line in screen_text(app).splitlines()[4:7]] == ["app/s2", "app/s1", "app/s3"]
            await pilot.press("less_than_sign", "less_than_sign", "less_than_sign")
            await until_shown(pilot, "sort req/s")
            await until(
                pilot,
                lambda: [line[5:11] for line in screen_text(app).splitlines()[4:7]] == ["app/s3", "app/s2", "app/s1"],
            )
            await pilot.press("r")
            await until(pilot, lambda: screen_text(app).splitlines()[4][5:11] == "app/s1")
            await pilot.press("exclamation_mark")
            await until_shown(pilot, "1 of 1, 3 in all  ! problems only  sort req/s")


async def test_paused_tables_hold_still_until_they_follow_again(tmp_path: Path) -> None:
    double = EngineDouble()
    with answering(double, tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=SIZE) as pilot:
            await at_servers(pilot)
            await pilot.press("p")
            await until_shown(pilot, "PAUSED")
            double.servers[0]["health"] = "down"

            def health() -> str:
                row = app.feed.scene.server("app/s1") if app.feed.scene else None
                return row.health if row else ""

            await until(pilot, lambda: health() == "down")
            assert "DOWN" not in screen_text(app)
            await pilot.press("p")
            await until_shown(pilot, "DOWN")


async def test_whoever_goes_elsewhere_while_paused_sees_where_he_is(tmp_path: Path) -> None:
    """Else keys would be about a server, and the screen about the one before."""
    double = EngineDouble()
    with answering(double, tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=SIZE) as pilot:
            await at_servers(pilot)
            await pilot.press("enter")
            await until_shown(pilot, "app > s1 ")
            await pilot.press("p")
            await until_shown(pilot, "PAUSED")
            await pilot.press("n")
            assert app.shell.pane.selection == ("app/s2",)
            await until_shown(pilot, "app > s2 ")
            assert "PAUSED" not in screen_text(app)


async def test_change_without_a_selected_server_says_where_to_select_one(tmp_path: Path) -> None:
    double = EngineDouble()
    with answering(double, tmp_path / "s"):
        async with LbappConsole(tmp_path / "s").run_test(size=SIZE) as pilot:
            await until_shown(pilot, "3/3")
            await pilot.press("d")
            await until_shown(pilot, "select a server first")
    assert double.patches == []
