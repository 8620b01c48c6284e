"""The console's configuration screen in front of a real engine: what is written, what serves, and what is taken back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from textual.pilot import Pilot

from lbapp.control import calls
from lbapp.control.calls import Call
from lbapp.model.errors import LbappError, RequestRefused
from lbapp.tui.app import PANES, LbappConsole
from lbapp.tui.dialogs.keep import Keep
from lbapp.tui.dialogs.question import Question
from lbapp.tui.drafts import Draft
from lbapp.tui.screens.config import ConfigPane
from tests.children import child
from tests.system.harness import NO_CHECK, Engine, running_engine, servers, wait_for
from tests.system.terminal import Terminal
from tests.tui.console import screen_text, until, until_shown

pytestmark = [pytest.mark.system, pytest.mark.anyio]

SIZE = (120, 40)


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with servers() as ports:
        toml = '[[listener]]\nname = "web"\nbind = "127.0.0.1:0"\npool = "app"\n[[pool]]\nname = "app"\n' + NO_CHECK
        for name, port in ports.items():
            toml += f'[[pool.server]]\nname = "{name}"\naddress = "127.0.0.1:{port}"\nweight = 100\n'
        with running_engine(tmp_path, toml, workers=1) as engine:
            yield engine


def console(engine: Engine, confirm_s: float = 60.0) -> LbappConsole:
    return LbappConsole(engine.control, panes={**PANES, "config": lambda desk: ConfigPane(desk, confirm_s)})


def pane(app: LbappConsole) -> ConfigPane:
    found = app.shell.pane
    assert isinstance(found, ConfigPane)
    return found


def file_of(engine: Engine) -> Path:
    return Path(engine.status()["engine"]["configuration_path"])


def weight(engine: Engine) -> int:
    return engine.server("app/s1")["weight"]


async def write(pilot: Pilot[None], app: LbappConsole, before: str, after: str) -> None:
    """Go to the configuration, and have a draft with `after` in the place of `before`."""
    await until_shown(pilot, "LIVE")
    await pilot.press("6")
    await until_shown(pilot, "no draft")
    text = pane(app).editing.draft
    assert before in text
    await pilot.press("enter")
    pane(app)._text.load_text(text.replace(before, after, 1))
    await until_shown(pilot, "1 place changed")
    await pilot.press("escape")


async def apply(pilot: Pilot[None], app: LbappConsole) -> None:
    await pilot.press("f8")
    await until(pilot, lambda: isinstance(app.screen, Question))
    await pilot.press("y")
    await until(pilot, lambda: isinstance(app.screen, Keep))


async def back_at_the_draft(pilot: Pilot[None], app: LbappConsole) -> None:
    """Go back from where F8 and Enter at one stroke lead: Enter says no to the question, or comes before it and edits."""
    step = pane(app)._step
    assert step is not None
    await until(pilot, lambda: step.is_finished)
    if isinstance(app.screen, Question):
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, Question))
    if pane(app)._text.has_focus:
        await pilot.press("escape")
        await until(pilot, lambda: not pane(app)._text.has_focus)


async def test_draft_is_checked_applied_on_trial_and_kept(engine: Engine) -> None:
    app, file = console(engine), file_of(engine)
    mode = file.stat().st_mode
    async with app.run_test(size=SIZE) as pilot:
        await write(pilot, app, "weight = 100", "weight = 50 # less")
        await pilot.press("f5")
        await until_shown(pilot, "sound. Applying it:")
        assert weight(engine) == 100
        await pilot.press("f8", "enter")
        await back_at_the_draft(pilot, app)
        assert weight(engine) == 100, "Enter right behind it changes nothing"
        await apply(pilot, app)
        await until(pilot, lambda: weight(engine) == 50)
        assert "weight = 50 # less" in file.read_text()
        assert file.stat().st_mode == mode
        await pilot.press("y")
        await until_shown(pilot, "stays")
        await until(pilot, lambda: engine.status()["engine"]["confirm_by"] is None)
        await until_shown(pilot, "no draft")
    assert weight(engine) == 50


async def test_enter_right_behind_a_question_throws_nothing_away_applies_nothing_and_decides_nothing(
    engine: Engine,
) -> None:
    app, file = console(engine), file_of(engine)
    before = file.read_text()
    async with app.run_test(size=SIZE) as pilot:
        await write(pilot, app, "weight = 100", "weight = 50")
        for key in ("f7", "f8"):
            await pilot.press(key)
            await until(pilot, lambda: isinstance(app.screen, Question))
            await pilot.press("enter")
            await until(pilot, lambda: not isinstance(app.screen, Question))
        assert pane(app).editing.is_changed
        assert (file.read_text(), weight(engine)) == (before, 100)
        await apply(pilot, app)
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, Keep))
        assert engine.status()["engine"]["confirm_by"] is not None
        assert weight(engine) == 50


async def test_problems_lead_to_their_lines_and_nothing_is_written(engine: Engine) -> None:
    app, file = console(engine), file_of(engine)
    before = file.read_text()
    async with app.run_test(size=SIZE) as pilot:
        await write(pilot, app, "weight = 100", "weight = 999")
        await pilot.press("f8")
        await until_shown(pilot, "1 problem in the way")
        line = before.splitlines().index("weight = 100") + 1
        await until_shown(pilot, f"line {line}: ")
        await pilot.press("n")
        await until_shown(pilot, f"line {line} column 1")
    assert file.read_text() == before
    assert weight(engine) == 100


async def test_going_back_serves_what_was_and_puts_the_file_back(engine: Engine) -> None:
    app, file = console(engine), file_of(engine)
    before = file.read_text()
    async with app.run_test(size=SIZE) as pilot:
        await write(pilot, app, "weight = 100", "weight = 50")
        await apply(pilot, app)
        await until(pilot, lambda: weight(engine) == 50)
        await pilot.press("n")
        await until_shown(pilot, "serves again; the file is as it was before")
        assert weight(engine) == 100
        assert file.read_text() == before
        await until_shown(pilot, "1 place changed")


async def test_key_of_the_screen_does_not_break_off_what_is_being_applied(engine: Engine) -> None:
    app = console(engine)
    async with app.run_test(size=SIZE) as pilot:
        await write(pilot, app, "weight = 100", "weight = 50")
        await pilot.press("f8")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await pilot.press("escape")
        await until(pilot, lambda: len(app.screen_stack) == 2)
        pane(app)._work(pane(app)._applied)  # as `y` does
        app.shell.action_tab("config")  # before the engine has answered
        await until(pilot, lambda: isinstance(app.screen, Keep))
        await pilot.press("n")
        await until_shown(pilot, "serves again; the file is as it was before")


async def test_apply_that_is_asked_for_twice_at_once_is_asked_about_and_taken_back_once(engine: Engine) -> None:
    app, file = console(engine), file_of(engine)
    before = file.read_text()
    async with app.run_test(size=SIZE) as pilot:
        await write(pilot, app, "weight = 100", "weight = 50")
        for _ in range(2):  # both there before the first is carried out, as a slow link brings them
            pane(app).action_apply()
        await until(pilot, lambda: isinstance(app.screen, Question))
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, Keep))
        await pilot.press("n")
        await until_shown(pilot, "serves again; the file is as it was before")
        assert (len(app.screen_stack), file.read_text()) == (2, before)


def test_what_nobody_confirms_is_taken_back_by_itself_when_the_console_is_killed(
    engine: Engine, tmp_path: Path
) -> None:
    driver = tmp_path / "driver.py"
    driver.write_text(
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from tests.system.test_console_config import SIZE, apply, console, write\n"
        "from tests.system.harness import Engine\n"
        "async def main():\n"
        "    app = console(Engine(None, Path(sys.argv[1]), Path()), confirm_s=4.0)\n"
        "    async with app.run_test(size=SIZE) as pilot:\n"
        "        await write(pilot, app, 'weight = 100', 'weight = 50')\n"
        "        await apply(pilot, app)\n"
        "        print('applied', flush=True)\n"
        "        await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    command = [sys.executable, str(driver), str(engine.control)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])}
    with child(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"applied\n"
        assert weight(engine) == 50
        process.send_signal(signal.SIGKILL)
    killed_at = time.monotonic()
    wait_for(lambda: weight(engine) == 100)
    assert time.monotonic() - killed_at < 10
    wait_for(lambda: "configuration_reverted" in engine.events())


async def test_what_is_not_kept_in_time_is_said_wherever_one_looks_and_the_file_is_as_before(engine: Engine) -> None:
    app, file = console(engine, confirm_s=4.0), file_of(engine)
    before = file.read_text()
    async with app.run_test(size=SIZE) as pilot:
        await write(pilot, app, "weight = 100", "weight = 50")
        await apply(pilot, app)
        await pilot.press("escape", "3")  # look around first
        await until_shown(pilot, "serves on trial: S keeps it, B goes back")
        await until_shown(
            pilot, "! configuration 2 was not kept, and what served before serves again; the file is as it was"
        )
        assert (weight(engine), file.read_text()) == (100, before)
        await pilot.press("6")
        await until_shown(pilot, "3 serves  draft: 1 place changed")
        assert "weight = 50" in pane(app).editing.draft, "to be mended, not to be typed again"
        assert "the file is not what serves" not in screen_text(app)


async def test_what_is_kept_from_elsewhere_stays_in_the_file(engine: Engine) -> None:
    app, file = console(engine), file_of(engine)
    async with app.run_test(size=SIZE) as pilot:
        await write(pilot, app, "weight = 100", "weight = 50")
        await apply(pilot, app)
        with engine.client() as client:
            client.confirm()
        await until(pilot, lambda: pane(app).editing.before is None)
        assert (weight(engine), "weight = 50" in file.read_text()) == (50, True)
        await until_shown(pilot, "2 serves  no draft")


async def test_what_somebody_else_has_served_meanwhile_is_what_the_screen_is_about(engine: Engine) -> None:
    app, file = console(engine), file_of(engine)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "LIVE")
        await pilot.press("6")
        await until_shown(pilot, "1 serves  no draft")
        file.write_text(file.read_text().replace("weight = 100", "weight = 25"))
        with engine.client() as client:
            client.reload({})
        await until_shown(pilot, "2 serves  no draft")
        await until_shown(pilot, "weight = 25")


async def test_sections_lead_round_with_the_text_in_sight_and_no_letter_is_written_before_i(engine: Engine) -> None:
    app = console(engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "LIVE")
        await pilot.press("6")
        await until_shown(pilot, "[edit] diff")
        for section in ("[history]", "[check]", "[diff]", "[edit]", "[history]"):
            await pilot.press("left")
            await until_shown(pilot, section)
        await pilot.press("right")
        await until_shown(pilot, "[edit] diff")
        await pilot.press("g", "o")
        assert not pane(app)._text.has_focus
        assert not pane(app).is_unsaved
        await pilot.press("i", "#")
        await until(pilot, lambda: pane(app)._text.text.startswith("#["))
        await pilot.press("escape")
        await until(pilot, lambda: not pane(app)._text.has_focus)


async def test_file_that_somebody_else_changed_is_not_written_over(engine: Engine) -> None:
    app, file = console(engine), file_of(engine)
    async with app.run_test(size=SIZE) as pilot:
        await write(pilot, app, "weight = 100", "weight = 50")
        file.write_text(file.read_text() + "# by bob\n")
        await pilot.press("f8")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await pilot.press("y")
        await until_shown(pilot, "somebody")
    assert file.read_text().endswith("# by bob\n")
    assert weight(engine) == 100


async def test_draft_outlives_the_console_and_can_be_thrown_away(engine: Engine) -> None:
    first = console(engine)
    async with first.run_test(size=SIZE) as pilot:
        await write(pilot, first, "weight = 100", "weight = 50")
    second = console(engine)
    async with second.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "LIVE")
        await pilot.press("6")
        await until_shown(pilot, "this is a draft that was left")
        assert "weight = 50" in screen_text(second)
        await pilot.press("f5")
        await until_shown(pilot, "sound. Applying it:")
        await pilot.press("f7")
        await until(pilot, lambda: isinstance(second.screen, Question))
        await pilot.press("y")
        await until_shown(pilot, "no draft")
        await until_shown(pilot, "nothing is other")
        assert "sound. Applying it:" not in screen_text(second), "what was said of a draft that is gone"


def test_what_is_written_right_before_the_line_is_lost_or_the_screen_is_left_is_kept(
    engine: Engine, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "lbapp", "--socket", str(engine.control), "tui"]
    for way, text in enumerate(("# by line", "# by screen")):
        home = tmp_path / f"home{way}"
        with Terminal(command, size=SIZE, env={"XDG_STATE_HOME": str(home)}) as terminal:
            terminal.wait_for("LIVE", timeout_s=30)
            terminal.press("6")
            terminal.wait_for("no draft")
            terminal.press("i", text)
            terminal.wait_for(text)
            if way == 0:
                terminal.process.send_signal(signal.SIGHUP)
            else:
                terminal.wait_for("Esc leaves the text")
                terminal.press("escape")
                terminal.wait_until_gone("Esc leaves the text")
                terminal.press("1", "q")
            terminal.wait_for_end()
        kept = [path.read_text() for path in home.rglob("draft-*.toml")]
        assert len(kept) == 1
        assert f"\n{text}" in kept[0]


def test_what_is_applied_has_what_was_typed_a_moment_before(engine: Engine, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lbapp", "--socket", str(engine.control), "tui"]
    with Terminal(command, size=SIZE, env={"XDG_STATE_HOME": str(tmp_path / "home")}) as terminal:
        terminal.wait_for("LIVE", timeout_s=30)
        terminal.press("6")
        terminal.wait_for("no draft")
        terminal.send(b"i# one\r\x1b[19~")  # F8 at one stroke with it, as a slow link brings keys
        terminal.wait_for("Apply this draft?")
        terminal.press("y")
        terminal.wait_for("nothing that is served has changed")
        assert file_of(engine).read_text().startswith("# one\n")


async def test_console_without_a_draft_leaves_what_another_has_left(engine: Engine) -> None:
    looking = console(engine)
    async with looking.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "LIVE")
        await pilot.press("6")
        await until_shown(pilot, "no draft")
        editing = pane(looking).editing
        left = Draft("# of another console\n", "lbapp.toml", "")
        assert editing.drafts.keep(editing.what, left) == ""
    assert editing.drafts.load(editing.what) == left


async def test_draft_of_an_earlier_file_says_so_before_it_writes_over_what_was_written_since(engine: Engine) -> None:
    first, file = console(engine), file_of(engine)
    async with first.run_test(size=SIZE) as pilot:
        await write(pilot, first, "weight = 100", "weight = 50")
    file.write_text(file.read_text() + "# by bob\n")
    second = console(engine)
    async with second.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "LIVE")
        await pilot.press("6")
        await until_shown(pilot, "! this draft was begun from the file as it was before somebody wrote it")
        await until_shown(pilot, "(of an earlier file)")
        await pilot.press("f8")
        await until(pilot, lambda: isinstance(second.screen, Question))
        await until_shown(pilot, "what was written there since is lost")
        await pilot.press("enter")
        assert file.read_text().endswith("# by bob\n")
        await until(pilot, lambda: not isinstance(second.screen, Question))
        await pilot.press("f7")
        await until(pilot, lambda: isinstance(second.screen, Question))
        await pilot.press("y")
        await until_shown(pilot, "no draft")
        await pilot.press("i", "#")
        await until_shown(pilot, "draft: 2 places changed  the file")


@pytest.mark.parametrize("key", ["y", "n"])
async def test_answer_about_one_configuration_decides_nothing_about_another(engine: Engine, key: str) -> None:
    app, file = console(engine), file_of(engine)
    async with app.run_test(size=SIZE) as pilot:
        await write(pilot, app, "weight = 100", "weight = 50")
        await apply(pilot, app)
        await until_shown(pilot, "Configuration 2 serves. Keep it?")
        assert isinstance(app.screen, Keep)
        app.screen._left_s = lambda: 30.0  # as it is while the console has not heard of what comes
        with engine.client() as client:
            client.confirm()
            file.write_text(file.read_text().replace("weight = 50", "weight = 25"))
            client.reload({"confirm_s": 60.0})
        await pilot.press(key)
        await until_shown(pilot, "configuration 3 serves, and not 2 any more")
        assert weight(engine) == 25
        assert engine.status()["engine"]["confirm_by"] is not None


async def test_rollback_is_from_the_configuration_that_was_seen(engine: Engine) -> None:
    with engine.client() as client:
        for expected, code in ((7, "changed"), (1, "nothing_to_confirm")):
            with pytest.raises(RequestRefused) as refused:
                client.ask(calls.confirm({"expect_number": expected}))
            assert refused.value.code == code
        with pytest.raises(RequestRefused, match="configuration 1 serves, and not 7 any more"):
            client.rollback({"expect_number": 7, "dry_run": True})


async def test_what_is_typed_while_the_file_is_read_is_typed_into_it(engine: Engine) -> None:
    app, may_answer = console(engine), anyio.Event()
    ask = app.feed.ask

    async def late(call: Call[Any]) -> Any:
        if call.path == calls.configuration().path:
            await may_answer.wait()
        return await ask(call)

    app.feed.ask = late  # type: ignore[method-assign]  # an engine that is slow to read a file
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "LIVE")
        await pilot.press("6", "i", *"# dmz")
        assert pane(app)._text.text == ""
        may_answer.set()
        await until_shown(pilot, "# dmz[engine]")
        await pilot.press("q")
        await until_shown(pilot, "# dmzq[engine]")


async def test_key_that_is_written_as_the_file_comes_anew_is_not_lost(engine: Engine) -> None:
    app, may_answer, asked = console(engine), anyio.Event(), anyio.Event()
    ask = app.feed.ask

    async def late(call: Call[Any]) -> Any:
        answer = await ask(call)
        if call.path == calls.configuration().path:
            asked.set()
            await may_answer.wait()
        return answer

    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "LIVE")
        await pilot.press("6")
        await until_shown(pilot, "no draft")
        app.feed.ask = late  # type: ignore[method-assign]  # an engine that is slow to read a file
        await pilot.press("6", "i")
        await asked.wait()
        pane(app)._text.insert("# dmz\n")  # on a slow machine the answer is there before it is told of
        may_answer.set()
        await until_shown(pilot, "1 place changed")
        assert pane(app)._text.text.startswith("# dmz\n")


async def test_i_right_behind_a_reading_that_failed_waits_for_the_next(engine: Engine) -> None:
    app, may_answer = console(engine), anyio.Event()
    ask = app.feed.ask

    async def never(call: Call[Any]) -> Any:
        raise LbappError("the file is gone")

    async def late(call: Call[Any]) -> Any:
        await may_answer.wait()
        return await ask(call)

    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "LIVE")
        app.feed.ask = never  # type: ignore[method-assign]
        await pilot.press("6")
        await until_shown(pilot, "the file is gone")
        app.feed.ask = late  # type: ignore[method-assign]
        await pilot.press("6", "i", *"# 1")
        may_answer.set()
        await until_shown(pilot, "# 1[engine]")


async def test_text_that_cannot_be_read_gives_the_keys_back(engine: Engine) -> None:
    app, may_answer = console(engine), anyio.Event()

    async def never(call: Call[Any]) -> Any:
        await may_answer.wait()
        raise LbappError("the file is gone")

    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "LIVE")
        app.feed.ask = never  # type: ignore[method-assign]
        await pilot.press("6", "i", "x")
        may_answer.set()
        await until_shown(pilot, "the file is gone")
        await until(pilot, lambda: not pane(app)._text.has_focus)
        await pilot.press("1")
        await until_shown(pilot, "[1 Overview]")


async def test_earlier_configuration_is_rolled_back_to_and_the_file_stays(engine: Engine) -> None:
    app, file = console(engine), file_of(engine)
    async with app.run_test(size=SIZE) as pilot:
        await write(pilot, app, "weight = 100", "weight = 50")
        await apply(pilot, app)
        await pilot.press("y")
        await until_shown(pilot, "stays")
        changed = file.read_text()
        await pilot.press("f9")
        await until_shown(pilot, "edited in the console")
        await pilot.press("end", "enter")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, Question))
        assert weight(engine) == 50, "Enter right behind it changes nothing"
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await pilot.press("y")
        await until(pilot, lambda: weight(engine) == 100)
        await until_shown(pilot, "the file is as it was")
        await until_shown(pilot, "the file is not what serves")
    assert file.read_text() == changed


async def test_read_only_console_shows_the_configuration_and_changes_nothing(engine: Engine) -> None:
    app = LbappConsole(engine.control, read_only=True)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "LIVE")
        await pilot.press("6")
        await until_shown(pilot, "no draft")
        await pilot.press("enter", "o", "f8", "f7")
        await until_shown(pilot, "no draft")
        assert len(app.screen_stack) == 2
