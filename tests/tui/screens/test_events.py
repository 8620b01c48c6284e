from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.events import Paste
from textual.pilot import Pilot

from lbapp.tui.app import LbappConsole
from lbapp.tui.feed import EVENTS_KEPT
from lbapp.tui.place import Place
from lbapp.tui.screens.events import EventsPane
from tests.tui.console import SIZE, screen_text, until, until_shown
from tests.tui.engine_double import EngineDouble, answering
from tests.tui.happened import BOB, action, event

pytestmark = pytest.mark.anyio
DOWN = {
    "kind": "server_went_down",
    "message": "app/s2 DOWN: connect refused",
    "subject": "app/s2",
    "actor": None,
    "before": "up",
    "after": "down",
}


@pytest.fixture
def double(socket: Path) -> Iterator[EngineDouble]:
    engine = EngineDouble()
    engine.events = [
        event(1),
        event(2, **DOWN),
        event(3, kind="configuration_applied", subject="node", message="applied"),
    ]
    with answering(engine, socket):
        yield engine


async def at_events(pilot: Pilot[None], text: str = "DOWN: connect refused") -> LbappConsole:
    app = pilot.app
    assert isinstance(app, LbappConsole)
    await until_shown(pilot, "LIVE")
    await pilot.press("5")
    await until_shown(pilot, text)
    return app


async def test_events_say_of_which_area_they_are_how_bad_and_what_became_of_them(
    double: EngineDouble, socket: Path
) -> None:
    double.looks.actions = [action(is_undone=True), action(8, actor=BOB, undoes=[7])]
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        app = await at_events(pilot)
        await until_shown(pilot, "undone")
        lines = [line for line in screen_text(app).splitlines() if "app/s" in line]
        assert lines[0].split()[1:4] == ["CHECKS", "▼", "app/s2"]
        assert lines[1].split()[1:4] == ["ADMIN", "▶", "app/s1"]
        assert lines[1].split()[-2:] == ["alice", "undone"]
        assert max(map(len, lines)) <= 80


async def test_left_and_right_go_through_the_areas(double: EngineDouble, socket: Path) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        app = await at_events(pilot)
        await pilot.press("right")
        await until_shown(pilot, "[checks]")
        await until_shown(pilot, "1 of 1")
        assert "is now DRAIN" not in screen_text(app)
        await pilot.press("right", "right")
        await until_shown(pilot, "[config]")
        await until_shown(pilot, "applied")
        await pilot.press("escape")
        await until_shown(pilot, "[all]")
        assert app.shell.here == Place("events")


async def test_enter_shows_the_whole_with_the_action_and_who_undid_it(double: EngineDouble, socket: Path) -> None:
    double.looks.actions = [action(is_undone=True), action(8, actor=BOB, undoes=[7])]
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_events(pilot)
        await until_shown(pilot, "undone")
        await pilot.press("end", "enter")
        for text in (
            "alice (uid 1000, pid 4711)",
            "ready -> drain",
            "no. 7",
            "kernel update",
            "undone      by no. 8 of bob",
        ):
            await until_shown(pilot, text)


async def test_wide_screen_has_the_detail_of_the_event_under_the_cursor(double: EngineDouble, socket: Path) -> None:
    double.looks.actions = [action()]
    async with LbappConsole(socket).run_test(size=(120, 40)) as pilot:
        await at_events(pilot)
        await until_shown(pilot, "configuration_applied (no. 3)")
        await pilot.press("end")
        await until_shown(pilot, "reason      kernel update")


async def test_o_goes_to_the_server_and_place_of_a_server_shows_its_events_alone(
    double: EngineDouble, socket: Path
) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        app = await at_events(pilot)
        await pilot.press("o")
        await until_shown(pilot, "node is no server and no pool")
        await pilot.press("down", "o")
        await until(pilot, lambda: app.shell.here == Place("server", "app/s2"))
        app.shell.go(Place("events", "app/s2"))
        await until_shown(pilot, "of app/s2")
        await until_shown(pilot, "1 of 1")
        app.shell.go(Place("events", "app"))
        await until_shown(pilot, "1 of 2")


async def test_filter_has_the_same_grammar_as_other_lists(double: EngineDouble, socket: Path) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        app = await at_events(pilot)
        await pilot.press("slash", *"who=alice", "enter")
        await until_shown(pilot, "3 in all")
        assert "connect refused" not in screen_text(app)


async def test_x_writes_what_is_filtered_and_never_over_a_file(
    double: EngineDouble, socket: Path, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    there.write_text("mine")
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        app = await at_events(pilot)
        await pilot.press("right")
        await until_shown(pilot, "[checks]")
        await pilot.press("X", "ctrl+u")
        app.screen.post_message(Paste(str(there)))
        await pilot.press("enter")
        await until_shown(pilot, "give another name")
        assert there.read_text() == "mine"
        await pilot.press("X")
        await until_shown(pilot, "Write 1 events to which file?")
        await pilot.press("ctrl+u")
        app.screen.post_message(Paste(str(tmp_path / "new")))
        await pilot.press("enter")
        await until_shown(pilot, "1 events are")
        assert [json.loads(line)["seq"] for line in (tmp_path / "new").read_text().splitlines()] == [2]


async def test_older_events_are_fetched_page_by_page(socket: Path) -> None:
    engine = EngineDouble()
    engine.events = [event(seq, message=f"event number {seq}") for seq in range(1, EVENTS_KEPT + 201)]
    with answering(engine, socket):
        async with LbappConsole(socket).run_test(size=SIZE) as pilot:
            await at_events(pilot, "1 of 1,000")
            await pilot.press("O")
            await until_shown(pilot, "of 1,200")
            await until_shown(pilot, "200 older")
            await pilot.press("end")
            await until_shown(pilot, "event number 1 ")
            await pilot.press("O")
            await until_shown(pilot, "there are no older ones")


async def test_held_list_stands_still_and_follows_again(double: EngineDouble, socket: Path) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        app = await at_events(pilot)
        await pilot.press("f")
        await until_shown(pilot, "held (f)")
        double.events.append(event(4, message="it came later"))
        await until(pilot, lambda: app.feed.events[-1]["seq"] == 4)
        assert "it came later" not in screen_text(app)
        await pilot.press("f")
        await until_shown(pilot, "it came later")


async def test_pool_of_an_event_that_has_only_just_slid_under_the_cursor_is_not_meant(
    double: EngineDouble, socket: Path
) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        app = await at_events(pilot)
        await pilot.press("down")
        pane = app.shell.pane
        assert isinstance(pane, EventsPane)
        assert pane.pool_here == "app"
        pane.events.hand.startle()
        assert pane.pool_here == ""
