from __future__ import annotations

from pathlib import Path

import pytest

from lbapp.tui.app import LbappConsole
from lbapp.tui.dialogs.question import Question
from tests.tui.console import SIZE, screen_text, until_shown
from tests.tui.engine_double import ME, EngineDouble, answering, server

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("size", [SIZE, (120, 40)])
async def test_pools_say_why_they_are_not_whole_and_stand_first_then(tmp_path: Path, size: tuple[int, int]) -> None:
    servers = [server(pool, f"s{number}") for pool in ("api", "web") for number in (1, 2)]
    servers[2]["health"], servers[2]["is_eligible"] = "down", False
    servers[3]["admin"], servers[3]["is_eligible"], servers[3]["changed_by"] = "drain", False, ME
    with answering(EngineDouble(servers), tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=size) as pilot:
            await until_shown(pilot, "LIVE")
            await pilot.press("2")
            await until_shown(pilot, "[2 Pools]")
            await until_shown(pilot, "sort status")
            await until_shown(pilot, "1 DOWN, 1 DRAIN")
            rows = [line for line in screen_text(app).splitlines() if line[3:6] in ("api", "web")]
            assert [line[:6] for line in rows] == ["▼  web", "▲  api"]
            await pilot.press("enter")
            await until_shown(pilot, "Pools > web")


async def test_filter_and_problems_only_are_about_pools(tmp_path: Path) -> None:
    servers = [server(pool, "s1") for pool in ("api", "web", "img")]
    servers[2]["health"], servers[2]["is_eligible"] = "down", False
    with answering(EngineDouble(servers), tmp_path / "s"):
        async with LbappConsole(tmp_path / "s").run_test(size=SIZE) as pilot:
            await until_shown(pilot, "LIVE")
            await pilot.press("2", "exclamation_mark")
            await until_shown(pilot, "1 of 1, 3 in all  ! problems only  sort status")
            await pilot.press("exclamation_mark", "slash", *"up", "equals_sign", "1", "enter")
            await until_shown(pilot, "1 of 2, 3 in all")


async def test_pool_that_has_only_just_slid_under_the_cursor_is_not_unpublished(tmp_path: Path) -> None:
    double = EngineDouble([server(pool, "s1") for pool in ("api", "web")])
    with answering(double, tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=SIZE) as pilot:
            await until_shown(pilot, "LIVE")
            await pilot.press("2")
            await until_shown(pilot, "1 of 2")
            double.servers.pop(0)
            await until_shown(pilot, "1 of 1")
            await pilot.press("U")
            await until_shown(pilot, "! what was under the cursor has left the list")
            assert not isinstance(app.screen, Question)
