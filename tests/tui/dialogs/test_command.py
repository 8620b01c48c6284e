from __future__ import annotations

import pytest

from lbapp.tui.actions.commandline import SCREENS, History, complete, read
from lbapp.tui.dialogs.command import CommandLine, common_start
from tests.tui.actions.rows import scene
from tests.tui.dialogs.support import showing

pytestmark = pytest.mark.anyio
SHOWN = scene(app=3)


def line(history: History | None = None) -> CommandLine:
    return CommandLine(
        lambda text: read(text, SHOWN, SCREENS), lambda text: complete(text, SHOWN, SCREENS), history or History()
    )


async def test_tab_completes_as_far_as_all_agree() -> None:
    async with showing(line()) as shown:
        await shown.press(*"mai", "tab", *"ap", "tab")
        await shown.until(":maint app")
        await shown.until("app/s1  app/s2  app/s3")
        await shown.press(*"/s2", "enter")
        assert [row.id for row in (await shown.answered()).servers] == ["app/s2"]


async def test_line_that_is_not_understood_stays_with_its_sentence() -> None:
    history = History()
    async with showing(line(history)) as shown:
        await shown.press(*"drian", "enter")
        await shown.until("! there is no command drian: did you mean drain?")
        await shown.until(":drian")
        assert (shown.answers, len(history)) == ([], 0)


async def test_up_and_down_go_through_what_was_said() -> None:
    history = History()
    for said in ("undo", "pool app"):
        history.add(said)
    async with showing(line(history)) as shown:
        await shown.press("up", "up", "up", "down", "enter")
        assert (await shown.answered()).place.subject == "app"


@pytest.mark.parametrize("keys", [["escape"], ["x", "backspace", "backspace"]])
async def test_escape_or_backspace_over_nothing_leaves(keys: list[str]) -> None:
    async with showing(line()) as shown:
        await shown.press(*keys)
        assert await shown.answered() is None


def test_lines_begin_with_what_all_of_them_begin_with() -> None:
    assert common_start(["app/s1", "app/s2", "app"]) == "app"
    assert common_start(["app", "img"]) == ""
