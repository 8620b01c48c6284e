from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lbapp.tui.app import LbappConsole
from lbapp.tui.dialogs.help import Help
from lbapp.tui.dialogs.menu import Menu
from lbapp.tui.dialogs.question import Question
from lbapp.tui.hints import HINT
from lbapp.tui.keys import is_offered, key_name, words_of
from tests.tui.console import SIZE, at_servers, screen_text, until, until_shown
from tests.tui.engine_double import EngineDouble, answering, server

pytestmark = pytest.mark.anyio


@pytest.fixture
def double(socket: Path) -> Iterator[EngineDouble]:
    engine = EngineDouble(
        [server("app", f"s{number}", 10.0 * number) for number in range(1, 4)] + [server("img", "i1")]
    )
    with answering(engine, socket):
        yield engine


async def test_menu_has_every_action_and_its_letters_do_them(double: EngineDouble, socket: Path) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        await pilot.press("x")
        await until_shown(pilot, "Actions: app/s1")
        for text in ("kill connections", "unpublish the pool", "(no configuration waits to be confirmed)", "Z    redo"):
            await until_shown(pilot, text)
        await pilot.press("c")
        await until_shown(pilot, "app/s1: HTTP 200 in 4 ms")


async def test_pool_under_the_cursor_is_what_actions_of_pools_are_about(double: EngineDouble, socket: Path) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        await pilot.press("2", "down", "x")
        await until_shown(pilot, "Actions: img")
        await pilot.press("escape", "colon", *"unpublish", "enter")
        await until_shown(pilot, "Unpublish img?")
        await pilot.press("y")
        await until_shown(pilot, "img is unpublished")
        assert double.published == {"img": False}


async def test_read_only_menu_greys_every_action_with_its_reason_and_keys_do_not_exist(
    double: EngineDouble, socket: Path
) -> None:
    async with LbappConsole(socket, read_only=True).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        await pilot.press("d", "K", "z", "x")
        await until_shown(pilot, "Actions: app/s1")
        app = pilot.app
        assert isinstance(app, LbappConsole)
        assert screen_text(app).count("(this console looks only") == 18
        await pilot.press("d", "escape", "colon", *"drain app/s1", "enter")
        await until_shown(pilot, "! this console looks only")
        await pilot.press("R")
        assert not isinstance(app.screen, Question)
        assert double.changing.asked == []


async def test_lock_takes_the_keys_away_and_unlock_asks(double: EngineDouble, socket: Path) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        await pilot.press("R")
        await until_shown(pilot, "  RO  ")
        await pilot.press("plus", "d")
        await pilot.press("R")
        await until_shown(pilot, "Unlock this console?")
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(pilot.app.screen, Question))
        await pilot.press("R", "y")
        await until_shown(pilot, "  RW  ")
        assert double.changing.asked == []
        await pilot.press("plus")
        await until_shown(pilot, "app/s1: weight 100 -> 110")


async def test_command_line_goes_acts_and_filters(double: EngineDouble, socket: Path) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        await pilot.press("colon", *"server app/s2", "enter")
        await until_shown(pilot, "server app/s2")
        await pilot.press("colon", *"drain app/s3 5m", "enter")
        await until_shown(pilot, "Drain app/s3")
        await until_shown(pilot, "servers of app stay")
        await pilot.press("y")
        await until(pilot, lambda: double.patches)
        assert double.patches == [("app/s3", {"state": "drain", "drain_timeout_s": 300.0})]
        await pilot.press("colon", *"weight app 50", "enter")
        await until(pilot, lambda: len(double.patches) == 4)
        await pilot.press("3", "colon", *"filter img", "enter")
        await until_shown(pilot, "1 of 1, 4 in all")
        await pilot.press("colon", *"filter", "enter")
        await until_shown(pilot, "4 of 4")
        await pilot.press("colon", *"theme light", "enter")
        await until(pilot, lambda: "light" in pilot.app.theme)


async def test_palette_finds_servers_and_actions_of_what_is_selected(double: EngineDouble, socket: Path) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        await pilot.press("ctrl+p", *"app/s2", "enter")
        await until_shown(pilot, "server app/s2")
        await pilot.press("ctrl+p", *"maint", "enter")
        await until_shown(pilot, "Maint app/s2")


@pytest.mark.parametrize("place", ["1", "2", "3", "5", "6", "server"])
async def test_help_names_every_binding_that_is_active(double: EngineDouble, socket: Path, place: str) -> None:
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        await pilot.press(*(["enter"] if place == "server" else place))
        app: Any = pilot.app
        active = [each.binding for each in app.screen.active_bindings.values() if is_offered(each)]
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(pilot.app.screen, Help))
        lines = "\n".join(app.screen._all)
        for binding in active:
            assert key_name(binding.key) in lines
            assert words_of(binding) in lines
        for foreign in ("Focus", "Scroll", "Page", "Copy selected", "super", "^PAGE"):
            assert foreign not in lines, "a word of Textual's, or a key that no plain terminal sends"
        if place in ("6", "server"):
            assert "section before" in lines
        for text in ("MOVE", "LOOK", "CHANGE", "EVERYWHERE", "CLASSES", "STATES", "FILTER"):
            assert f"{text}\n" in lines
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(pilot.app.screen, Help | Menu))


async def test_linux_console_has_no_clipboard_and_shows_the_name_instead(
    double: EngineDouble, socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "linux")
    app = LbappConsole(socket)
    async with app.run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        await pilot.press("y")
        await until_shown(pilot, "this terminal has no clipboard: app/s1")
        assert app.clipboard == ""


async def test_name_and_address_are_copied_and_that_is_said(double: EngineDouble, socket: Path) -> None:
    app = LbappConsole(socket)
    async with app.run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        await pilot.press("y")
        await until_shown(pilot, "copied, if your terminal allows it: app/s1")
        assert app.clipboard == "app/s1"
        await pilot.press("Y")
        await until_shown(pilot, "127.0.0.1:9001")
        assert base64.b64encode(app.clipboard.encode()) == base64.b64encode(b"127.0.0.1:9001")
        await pilot.press("5", "y")
        await until_shown(pilot, "! there is no name to copy")


async def test_q_asks_only_while_a_configuration_waits_to_be_confirmed(double: EngineDouble, socket: Path) -> None:
    app = LbappConsole(socket)
    async with app.run_test(size=SIZE) as pilot:
        await at_servers(pilot)
        double.confirm_by = 4_000_000_000.0
        await until_shown(pilot, "CONFIRM")
        await pilot.press("q")
        await until_shown(pilot, "Quit all the same?")
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, Question))
        await pilot.press("colon", *"confirm", "enter")
        await until_shown(pilot, "Keep configuration 1?")
        await pilot.press("y")
        await until_shown(pilot, "is confirmed and stays")
        await until(pilot, lambda: "CONFIRM" not in screen_text(app))
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running or app._exit)


async def test_first_start_greets_once(double: EngineDouble, socket: Path) -> None:
    async with LbappConsole(socket).run_test(size=(120, 40)) as pilot:
        await until_shown(pilot, HINT)
    app = LbappConsole(socket)
    async with app.run_test(size=(120, 40)) as pilot:
        await until_shown(pilot, "undo z: none")
        assert HINT not in screen_text(app)


async def test_engine_without_pools_and_none_at_all_say_what_to_do(socket: Path) -> None:
    double = EngineDouble()
    async with LbappConsole(socket).run_test(size=SIZE) as pilot:
        await until_shown(pilot, "start one with: lbapp run -c FILE")
        double.is_empty = True
        with answering(double, socket):
            await until_shown(pilot, "this engine has no listeners and no pools")
            await pilot.press("colon", *"drain", "enter")
            await until_shown(pilot, "! select a server first")
