from __future__ import annotations

import random
import string
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from textual.events import Key
from textual.keys import _character_to_key

from lbapp.tui.app import LbappConsole
from tests.effort import times
from tests.tui.changing_double import MINE, change_done
from tests.tui.console import SIZE, at_servers, screen_text, until, until_shown
from tests.tui.engine_double import EngineDouble, answering, server
from tests.tui.hands import DIALOGS, change_while_asking, console_of, enter_at_once, is_asking

pytestmark = pytest.mark.anyio

# What the Linux console's own font can draw, as far as the console uses it.
SAFE = set(string.printable) | set("─│┌┐└┘├┤┬┴┼═║╔╗╚╝░▒█■▲▼▶◀←↑→↓•·±≤≥≈°µ«»")


@pytest.fixture
def double(socket: Path) -> Iterator[EngineDouble]:
    engine = EngineDouble(
        [server("app", f"s{number}", 10.0 * number) for number in range(1, 6)] + [server("img", "i1")]
    )
    with answering(engine, socket):
        yield engine


async def test_every_dialog_is_drawn_at_80x24_with_safe_symbols(double: EngineDouble, socket: Path) -> None:
    double.confirm_by = 4e9
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        for key, title in DIALOGS.items():
            await pilot.press(key)
            await until_shown(pilot, title)
            assert set(screen_text(console_of(pilot))) <= SAFE
            await pilot.press("escape")
            await until(pilot, lambda: not is_asking(pilot))


async def test_enter_behind_the_key_of_any_dialog_changes_nothing_and_the_focus_that_is_drawn_is_the_real_one(
    double: EngineDouble, socket: Path
) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        found = await enter_at_once(pilot, double, 2)
    assert found.wrong == []
    assert found.tried == 2 * len(DIALOGS)


async def test_drain_is_filled_in_and_sent_with_timeout_hard_and_reason(double: EngineDouble, socket: Path) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        await pilot.press("d")
        await until_shown(pilot, "4 of 5 servers of app stay")
        await pilot.press("tab", *"5x", "tab", "space", "tab", *"work", "tab", "enter")
        await until_shown(pilot, "'5x' is not a duration")
        await pilot.press("up", "up", "up", "backspace", "m", "tab", "tab", "tab", "y")
        await until_shown(pilot, "app/s1: state READY -> DRAIN")
        body = double.changing.asked[0][2]
        assert (body["drain_timeout_s"], body["hard"], body["reason"]) == (300.0, True, "work")
        assert "force" not in body
        assert body["expect_revision"] == 1


async def test_ramp_is_typed_as_a_weight_over_a_time(double: EngineDouble, socket: Path) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        await pilot.press("w", *"50 over 5m")
        await until_shown(pilot, "50% is half of what the file says")
        await pilot.press("enter")
        await until(pilot, lambda: double.patches)
        assert double.patches == [("app/s1", {"weight": 50, "over_s": 300.0})]


async def test_last_server_is_drained_only_with_its_pools_name_and_forced_only_then(
    double: EngineDouble, socket: Path
) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        await pilot.press("G", "d")
        await until_shown(pilot, "! NONE stays")
        await until_shown(pilot, "The engine refuses this without force")
        await pilot.press(*"im", "enter")
        await until_shown(pilot, "type img to do it")
        await pilot.press("g", "enter")
        await until_shown(pilot, "img/i1: state READY -> DRAIN")
        assert double.forced == [True]


async def test_what_the_engine_refuses_at_once_is_asked_about_with_its_reason(
    double: EngineDouble, socket: Path
) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        await pilot.press("G", "w", *"5", "enter")
        await until(pilot, lambda: double.patches)
        double.servers[-1]["weight"], double.servers[-1]["is_eligible"] = 1, True
        double.changing.too_little = "app/s1 would get 90"
        await pilot.press("g", "d")
        await until_shown(pilot, "! Too few are left: app/s1 would get 90.")
        await pilot.press("escape")
        await until(pilot, lambda: not is_asking(pilot))
        assert double.forced == [False]


async def test_typed_name_does_not_force_what_has_become_more_since(double: EngineDouble, socket: Path) -> None:
    double.changing.too_little = "app/s2 would get 90"
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        await pilot.press("d")
        await until_shown(pilot, "! Too few are left")
        for one in double.servers[1:5]:
            one["is_eligible"] = False
        await pilot.press(*"app", "enter")
        await until_shown(pilot, "It does something else by now")
        await until_shown(pilot, "! NONE stays")
        assert double.forced == []
        await pilot.press("enter")  # Cancel has the focus
        await until(pilot, lambda: not is_asking(pilot))
        assert double.patches == []


async def test_undo_that_the_engine_refuses_is_forced_by_typing_only(double: EngineDouble, socket: Path) -> None:
    double.servers[-1]["admin"], double.servers[-1]["is_eligible"] = "maint", False
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        await pilot.press("colon", *"ready img/i1", "enter")
        await until_shown(pilot, "img/i1: state MAINT -> READY")
        await until_shown(pilot, "undo z: ready img/i1")
        await pilot.press("z")
        await until_shown(pilot, "The engine refuses this")
        await until_shown(pilot, "pool img would have no server")
        await pilot.press("y", "enter")
        await until_shown(pilot, "type img to do it")
        await pilot.press("ctrl+u", *"img", "enter")
        await until_shown(pilot, "undone: img/i1: state READY -> MAINT")
        await pilot.press("Z")
        await until_shown(pilot, "done again: ready img/i1")


async def test_undo_that_is_forced_is_of_the_action_that_was_asked_about(double: EngineDouble, socket: Path) -> None:
    """Its operator may do something else meanwhile, at another console: that was neither shown nor agreed to."""
    double.servers[-1]["admin"], double.servers[-1]["is_eligible"] = "maint", False
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        await pilot.press("colon", *"ready img/i1", "enter")
        await until_shown(pilot, "undo z: ready img/i1")
        await pilot.press("z")
        await until_shown(pilot, "The engine refuses this")
        one = double.servers[0]
        double.changing.record([change_done(double.change(one, "ready", 50, MINE), "weight")])
        double.changing.asked.clear()
        await pilot.press(*"img", "enter")
        await until_shown(pilot, "! you have changed something else since that was asked; nothing was done")
        assert double.changing.asked == []
        assert (one["weight"], double.servers[-1]["admin"]) == (50, "ready")


async def test_facts_offer_my_undo_and_not_that_of_others(double: EngineDouble, socket: Path) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        await until_shown(pilot, "undo z: none")
        double.changing.by_bob("app/s2", "maint")
        await until_shown(pilot, "MAINT")
        await pilot.press("d")
        await until_shown(pilot, "servers of app stay")
        await pilot.press("y")
        await until_shown(pilot, "undo z: drain app/s1 (")


async def test_dialog_says_what_changed_meanwhile_and_leaves_it_out(double: EngineDouble, socket: Path) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        await pilot.press("d")
        await until_shown(pilot, "4 of 5 servers of app stay")
        double.changing.by_bob("app/s1", "maint")
        await until_shown(pilot, "app/s1 was changed by bob meanwhile: left out")
        await pilot.press("y")
        await until_shown(pilot, "! app/s1 was changed by bob meanwhile")
        assert double.patches == []


async def test_stale_figures_let_nothing_be_changed(socket: Path) -> None:
    double = EngineDouble()
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        with answering(double, socket):
            await at_servers(pilot)
        await until_shown(pilot, "STALE")
        await pilot.press("d")
        await until_shown(pilot, "! the figures are not of now")
        assert not is_asking(pilot)


async def test_viewer_becomes_read_only_by_itself_and_says_so(double: EngineDouble, socket: Path) -> None:
    double.changing.is_viewer = True
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        await pilot.press("plus")
        await until_shown(pilot, "this console looks only from now on")
        await until_shown(pilot, "  RO  ")
        double.changing.asked.clear()
        await pilot.press("plus", "d", "R")
        await until_shown(pilot, "! the engine lets you look only")
        assert not is_asking(pilot)
        assert double.changing.asked == []


async def test_no_burst_of_keys_behind_filter_command_or_weight_changes_anything(
    double: EngineDouble, socket: Path
) -> None:
    """A burst is what a paste or a slow link makes of typing: all its keys are there before the first is answered."""
    chance = random.Random(7)
    printable = [letter for letter in string.printable if letter.isprintable()]
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        app: Any = pilot.app
        for turn in range(times(30, 100)):
            for letter in ["/:w"[turn % 3], *chance.choices(printable, k=50)]:
                app._driver.send_message(Key(_character_to_key(letter), letter))
            await pilot.pause()
            assert double.changing.asked == []
            for _ in range(2):
                if len(app.screen_stack) > 2 or app.shell.pane.table.view.text or app.shell._filter.display:
                    await pilot.press("escape")
            assert (len(app.screen_stack), app.shell.here.screen) == (2, "servers")
        assert double.changing.asked == []


async def test_no_action_ever_reaches_another_server_than_was_asked_about(double: EngineDouble, socket: Path) -> None:
    """Servers come, go, move and change under open dialogs: whatever is done is done to what was asked about."""
    double.servers = double.servers[:5]
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        found = await change_while_asking(pilot, double, random.Random(11), 1_000)
    assert found.wrong == []
    assert found.tried >= 1_000
    assert found.done


# ---- while the list is held still


def has_weight(app: LbappConsole, weight: int) -> bool:
    """Say whether app/s1 is known to have a weight."""
    row = app.feed.scene.server("app/s1") if app.feed.scene else None
    return row is not None and row.weight == weight


async def test_server_that_somebody_changed_since_the_pause_is_left_alone_until_that_is_seen(
    double: EngineDouble, socket: Path
) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        app = pilot.app
        assert isinstance(app, LbappConsole)
        await at_servers(pilot)
        await pilot.press("p")
        await until_shown(pilot, "PAUSED")
        double.changing.by_bob("app/s1", weight=7)
        await until(pilot, partial(has_weight, app, 7))
        await pilot.press("plus")
        await until_shown(pilot, "! app/s1 was changed since the pause: p shows it")
        assert double.patches == []
        await pilot.press("p", "plus")
        await until(pilot, lambda: double.servers[0]["weight"] == 17)


async def test_what_this_console_does_during_a_pause_goes_on_one_behind_the_other(
    double: EngineDouble, socket: Path
) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        app = pilot.app
        assert isinstance(app, LbappConsole)
        await at_servers(pilot)
        await pilot.press("p")
        await until_shown(pilot, "PAUSED")
        for key, weight in (("plus", 110), ("plus", 120), ("z", 110), ("minus", 100)):
            await pilot.press(key)
            await until(pilot, partial(has_weight, app, weight))
            await until(pilot, lambda: not app.shell.changes._turn.statistics().locked)  # type: ignore[union-attr]  # it has some
