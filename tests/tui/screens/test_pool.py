from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from lbapp.tui.app import LbappConsole
from lbapp.tui.place import Place
from tests.tui.console import SIZE, screen_text, until, until_shown
from tests.tui.engine_double import EngineDouble, answering, server
from tests.tui.test_glance import point

pytestmark = pytest.mark.anyio


def two_pools() -> EngineDouble:
    servers = [server(pool, f"s{number:02}") for pool in ("api", "web") for number in range(20)]
    servers[3]["health"], servers[3]["is_eligible"] = "down", False
    return EngineDouble(servers)


async def at_pool(pilot: Pilot[None], app: LbappConsole, name: str) -> None:
    await until_shown(pilot, "LIVE")
    app.shell.go(Place("pool", name))
    await until_shown(pilot, f"Pools > {name}")


async def test_at_80x24_a_line_says_how_the_pool_is_and_sixteen_servers_fit(tmp_path: Path) -> None:
    double = two_pools()
    with answering(double, tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=SIZE) as pilot:
            await at_pool(pilot, app, "api")
            await until_shown(pilot, "Pools > api  round_robin  ▲19 ▼1 ▶0 ■0  95% in rotation  36 req/s")
            rows = [line for line in screen_text(app).splitlines() if "  UP  " in line or "  DOWN  " in line]
            assert len(rows) == 16
            assert rows[0].startswith("  ▼  s03 ")
            assert not any("pool" in each for each in double.asked), (
                "the past is asked for only where there is room for it"
            )


async def test_at_120x40_the_last_ten_minutes_are_drawn(tmp_path: Path) -> None:
    double = two_pools()
    double.points = [point(float(rate)) for rate in range(600)]
    with answering(double, tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=(120, 40)) as pilot:
            await at_pool(pilot, app, "api")
            await until_shown(pilot, "▲ UP 19   ▼ DOWN 1   ▶ DRAIN 0   ■ MAINT 0")
            await until_shown(pilot, "in rotation 19 of 20 = 95% of weight")
            await until_shown(pilot, "─ req/s, 10 min")
            await until_shown(pilot, "    599  ")
            assert any(each.get("pool") == "api" and each["step"] == "1" for each in double.asked)
            await until_shown(pilot, "p99")
            await pilot.press("1")
            await until_shown(pilot, "[1 Overview]")
            of_the_pool = sum("pool" in each for each in double.asked)
            seen = app.feed.scene.at if app.feed.scene else 0.0
            await until(pilot, lambda: app.feed.scene and app.feed.scene.at > seen)
            assert sum("pool" in each for each in double.asked) == of_the_pool, "out of sight nothing is asked"


async def test_n_and_b_go_to_the_pools_beside_it_and_marks_do_not_follow(tmp_path: Path) -> None:
    with answering(two_pools(), tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=SIZE) as pilot:
            await at_pool(pilot, app, "api")
            await pilot.press("down", "space")
            await until_shown(pilot, "marked 1")
            await pilot.press("n")
            await until_shown(pilot, "Pools > web")
            await until_shown(pilot, "pool web  1 of 20")
            assert "marked" not in screen_text(app)
            assert list(app.shell.pane.selection) == ["web/s00"]
            await pilot.press("n")
            await until_shown(pilot, "Pools > api")
            await pilot.press("b")
            await until_shown(pilot, "Pools > web")
            await pilot.press("escape")
            await until_shown(pilot, "[1 Overview]")


async def test_pool_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    with answering(two_pools(), tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=SIZE) as pilot:
            await at_pool(pilot, app, "gone")
            await until_shown(pilot, "Pools > gone  is not there any more")
            await pilot.press("n")
            await until_shown(pilot, "Pools > api")


async def test_enter_opens_the_server_and_escape_comes_back_to_it(tmp_path: Path) -> None:
    with answering(two_pools(), tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=SIZE) as pilot:
            await at_pool(pilot, app, "web")
            await pilot.press("down", "enter")
            await until(pilot, lambda: app.shell.here == Place("server", "web/s01"))
            await pilot.press("escape")
            await until_shown(pilot, "pool web  2 of 20")
