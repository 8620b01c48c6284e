"""What every dialog does with keys that come behind its answer."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from textual.app import App
from textual.events import Key
from textual.screen import ModalScreen

from lbapp.tui.actions.commandline import History, Spoken
from lbapp.tui.actions.finding import Choice
from lbapp.tui.dialogs.command import CommandLine
from lbapp.tui.dialogs.help import Help
from lbapp.tui.dialogs.keep import Keep
from lbapp.tui.dialogs.line import AskLine
from lbapp.tui.dialogs.menu import Menu
from lbapp.tui.dialogs.page import Page
from lbapp.tui.dialogs.palette import Palette
from lbapp.tui.dialogs.question import Asked, Question
from lbapp.tui.dialogs.sort import AskSort
from lbapp.tui.dialogs.time import AskTime
from tests.tui.dialogs.support import showing

pytestmark = pytest.mark.anyio

DIALOGS: dict[str, Callable[[], ModalScreen[Any]]] = {
    "command": lambda: CommandLine(lambda _text: Spoken("help"), lambda _text: (), History()),
    "help": lambda: Help(["CHANGE", "  d drain"]),
    "line": lambda: AskLine("File", ""),
    "menu": lambda: Menu("Actions", [Choice("drain", "drain")], {}),
    "palette": lambda: Palette([Choice("drain", "drain")]),
    "question": lambda: Question(Asked("Drain?", "Drain")),
    "sort": lambda: AskSort(["name"], None),
    "time": lambda: AskTime(0.0),
}
BOUND: dict[str, tuple[Callable[[], ModalScreen[Any]], str]] = {  # to actions, which end them
    "keep": (lambda: Keep(7, lambda: 60.0), "answer('later')"),
    "page": (lambda: Page("Page", lambda: "text"), "close"),
}


@pytest.mark.parametrize("make", DIALOGS.values(), ids=list(DIALOGS))
async def test_keys_behind_the_answer_take_nothing_else_off_the_screen(make: Callable[[], ModalScreen[Any]]) -> None:
    async with showing(Question(Asked("Below", "Go"))) as shown:
        app, below = shown.pilot.app, shown.pilot.app.screen
        answers: list[Any] = []
        app.push_screen(make(), answers.append)
        await shown.pilot.pause()
        for _ in range(3):  # all there before the first is answered, as a slow link brings them
            app.screen.post_message(Key("escape", None))
        await shown.pilot.pause()
        await shown.pilot.pause()
        assert (len(answers), shown.answers) == (1, [])
        assert app.screen is below


@pytest.mark.parametrize(("make", "action"), BOUND.values(), ids=list(BOUND))
async def test_actions_behind_the_answer_take_nothing_else_off_the_screen(
    make: Callable[[], ModalScreen[Any]], action: str
) -> None:
    async with showing(Question(Asked("Below", "Go"))) as shown:
        app, below = shown.pilot.app, shown.pilot.app.screen
        answers: list[Any] = []
        dialog = make()
        app.push_screen(dialog, answers.append)
        await shown.pilot.pause()
        for _ in range(3):
            await dialog.run_action(action)
        await shown.pilot.pause()
        assert (len(answers), shown.answers) == (1, [])
        assert app.screen is below


async def test_trial_that_is_over_below_another_dialog_takes_that_one_off_neither() -> None:
    left: list[float | None] = [60.0]
    async with showing(Keep(7, lambda: left[0])) as shown:
        app, keep = shown.pilot.app, shown.pilot.app.screen
        answers: list[Any] = []
        app.push_screen(Question(Asked("Above", "Go")), answers.append)
        await shown.until("Above")
        left[0] = None
        assert isinstance(keep, Keep)
        keep._count()
        assert (answers, shown.answers) == ([], [])
        await shown.press("escape")
        assert await shown.answered() == "later"
        assert answers == [None]


async def test_dialogs_that_are_gone_leave_nothing_behind() -> None:
    def drawn() -> int:
        gc.collect()
        return sum(type(each).__name__ == "StylesCache" for each in gc.get_objects())

    app: App[None] = App()
    async with app.run_test() as pilot:
        before = 0
        for time in range(12):
            app.push_screen(Page("Page", lambda: "text"))
            await pilot.pause()
            await pilot.press("escape")
            await pilot.pause()
            before = drawn() if time == 1 else before
        for _ in range(1000):  # the event loop holds on to the last one for timers that it had
            if drawn() <= before:
                break
            await pilot.pause(0.01)
        assert drawn() <= before


async def test_dialog_that_is_gone_is_looked_for_before_it_is_many() -> None:
    app: App[None] = App()
    gc.disable()  # nobody else looks for it
    try:
        async with app.run_test() as pilot:
            app.push_screen(Page("Page", lambda: "text"))
            await pilot.pause()
            page = weakref.ref(app.screen)
            await pilot.press("escape")
            for _ in range(1000):
                if page() is None:
                    break
                await pilot.pause(0.01)
            assert page() is None
    finally:
        gc.enable()
