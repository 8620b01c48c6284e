from __future__ import annotations

from pathlib import Path

import pytest

from lbapp.tui.app import LbappConsole
from tests.tui.console import SIZE, screen_text, until, until_shown
from tests.tui.engine_double import EngineDouble, answering
from tests.tui.fleet_double import fleet_of, member, three_nodes
from tests.tui.test_glance import point

pytestmark = pytest.mark.anyio


async def test_what_is_wrong_stands_on_top_and_enter_leads_to_it(tmp_path: Path) -> None:
    double = EngineDouble()
    with answering(double, tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=SIZE) as pilot:
            await until_shown(pilot, "nothing needs attention")
            assert "DOWN" not in screen_text(app)
            down = double.servers[1]
            down["health"], down["is_eligible"], down["health_reason"] = "down", False, "connection refused"
            await until_shown(pilot, "1 of 3 servers DOWN (s2): connection refused; 2 left")
            await until_shown(pilot, "▼ DOWN 1")
            await pilot.press("1", "enter")
            await until_shown(pilot, "[2 Pools]")
            await until_shown(pilot, "▼  s2")
            await pilot.press("escape")
            down["health"], down["is_eligible"] = "up", True
            await until_shown(pilot, "nothing needs attention")


async def test_last_events_are_there_and_lead_to_all_of_them(tmp_path: Path) -> None:
    double = EngineDouble()
    with answering(double, tmp_path / "s"):
        async with LbappConsole(tmp_path / "s").run_test(size=SIZE) as pilot:
            await until_shown(pilot, "nothing needs attention")
            await pilot.press("3", "e", "1")
            await until_shown(pilot, "became ready")
            await pilot.press("tab", "enter")
            await until_shown(pilot, "[5 Events]")


async def test_course_of_the_last_minutes_is_asked_for_and_drawn(tmp_path: Path) -> None:
    double = EngineDouble()
    double.points = [point(float(rate)) for rate in range(300)]
    with answering(double, tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=(120, 40)) as pilot:
            await until_shown(pilot, "req/s       12 /    299")
            assert double.asked[0]["step"] == "1"
            await until_shown(pilot, "p99       16ms /   2.5s █")  # of the listener: the node has none
            assert {each.get("listener") for each in double.asked} == {None, "web"}
            await pilot.press("5")
            await until_shown(pilot, "[5 Events]")
            asked = len(double.asked)
            started = app.feed.scene.at if app.feed.scene else 0.0
            await until(pilot, lambda: app.feed.scene is not None and app.feed.scene.at > started + 3)
            assert len(double.asked) <= asked + 2, "what is out of sight asks nothing"


@pytest.mark.parametrize("size", [SIZE, (120, 40)])
async def test_nodes_of_the_fleet_are_counted_and_enter_leads_from_what_is_wrong_to_them(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    double = EngineDouble()
    double.fleet.status = fleet_of(member("node-a"), member("lb2", is_alive=False))
    with answering(double, tmp_path / "s"):
        async with LbappConsole(tmp_path / "s").run_test(size=size) as pilot:
            await until_shown(pilot, "1 of 2 nodes ready; 1 gone")
            await pilot.press("1", "enter")
            await until_shown(pilot, "[7 Nodes]")
            await until_shown(pilot, "GONE")
            double.fleet.status = three_nodes()
            await pilot.press("1")
            await until_shown(pilot, "3 of 3 nodes ready")
            await until_shown(pilot, "nothing needs attention")


async def test_line_below_is_about_the_list_that_takes_the_keys_as_soon_as_it_is_in_sight(tmp_path: Path) -> None:
    with answering(EngineDouble(), tmp_path / "s"):
        app = LbappConsole(tmp_path / "s")
        async with app.run_test(size=SIZE) as pilot:
            await until_shown(pilot, "nothing needs attention")
            app.shell.action_tab("servers")
            await until(pilot, lambda: app.shell.focused is app.shell.pane.first and app.shell._facts.text)
            app.shell.action_tab("overview")
            assert app.shell._facts.text.startswith("1 of 1"), "not of the empty one above it, until figures come"
