from __future__ import annotations

from pathlib import Path

import pytest

from lbapp.tui.app import LbappConsole
from tests.tui.console import SIZE, at_servers, screen_text, until, until_shown
from tests.tui.engine_double import EngineDouble, answering
from tests.tui.test_glance import point
from tests.tui.test_portrait import probe

pytestmark = pytest.mark.anyio


async def test_left_and_right_turn_over_the_sections_at_80x24(tmp_path: Path) -> None:
    double = EngineDouble()
    double.points = [point(float(rate)) for rate in range(300)]
    double.probes = [probe(1.0, True, "HTTP 200"), probe(3.0, False, "timeout")]
    with answering(double, tmp_path / "s"):
        async with LbappConsole(tmp_path / "s").run_test(size=SIZE) as pilot:
            await at_servers(pilot)
            await pilot.press("e", "enter")
            await until_shown(pilot, "[now]")
            await until_shown(pilot, "connect_refused 2")
            await until_shown(pilot, "at most 299")
            await pilot.press("right")
            await until_shown(pilot, "▲▼")
            await until_shown(pilot, "timeout (http, 4 ms)")
            await pilot.press("right")
            await until_shown(pilot, "became ready")
            await pilot.press("right")
            await until_shown(pilot, "[all figures]")
            await until_shown(pilot, "completed 1200")
            await pilot.press("left", "left", "left")
            await until_shown(pilot, "[now]")
            await pilot.press("escape")
            await until_shown(pilot, "1 of 3")


async def test_what_has_no_room_is_scrolled_to_by_up_and_down(tmp_path: Path) -> None:
    with answering(EngineDouble(), tmp_path / "s"):
        async with LbappConsole(tmp_path / "s").run_test(size=(80, 16)) as pilot:
            await at_servers(pilot)
            await pilot.press("enter", "left")
            await until_shown(pilot, "[all figures]")
            await until_shown(pilot, "state       ▲ UP")
            await pilot.press("end")
            await until(pilot, lambda: "state       ▲ UP" not in screen_text(pilot.app))  # type: ignore[arg-type]
            await until_shown(pilot, "p99.9")
            await pilot.press("home")
            await until_shown(pilot, "state       ▲ UP")


async def test_larger_terminal_shows_figures_checks_and_log_together(tmp_path: Path) -> None:
    double = EngineDouble()
    double.points = [point(5.0)]
    double.probes = [probe(1.0, True, "HTTP 200")]
    with answering(double, tmp_path / "s"):
        async with LbappConsole(tmp_path / "s").run_test(size=(120, 40)) as pilot:
            await at_servers(pilot)
            await pilot.press("e", "enter")
            for text in ("connect_refused 2", "at most 5", "last 1 probes", "became ready"):
                await until_shown(pilot, text)


async def test_j_and_k_go_to_the_next_server_and_actions_are_about_the_one_in_sight(tmp_path: Path) -> None:
    double = EngineDouble()
    with answering(double, tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=SIZE) as pilot:
            await at_servers(pilot)
            await pilot.press("enter", "j")
            await until_shown(pilot, "server app/s2  2 of 3 in its pool")
            await until_shown(pilot, "Pools > app > s2")
            await pilot.press("plus")
            await until(pilot, lambda: double.patches)
            assert double.patches == [("app/s2", {"weight_add": 10})]
            await pilot.press("k", "k")
            await until_shown(pilot, "server app/s3  3 of 3 in its pool")
            await pilot.press("escape")
            await until(pilot, lambda: "WGT" in screen_text(app))


async def test_server_that_is_gone_says_so(tmp_path: Path) -> None:
    double = EngineDouble()
    with answering(double, tmp_path / "s"):
        async with LbappConsole(tmp_path / "s").run_test(size=SIZE) as pilot:
            await at_servers(pilot)
            await pilot.press("enter")
            await until_shown(pilot, "server app/s1")
            del double.servers[0]
            await until_shown(pilot, "app/s1 is not there any more")
