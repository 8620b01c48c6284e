from __future__ import annotations

import pytest
from textual.app import App

from lbapp.tui.dialogs.confirm import Confirm

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("keys", "answer"), [(["enter"], False), (["y"], True), (["escape"], False), (["right", "enter"], True)]
)
async def test_only_y_or_the_other_button_says_yes(keys: list[str], answer: bool) -> None:
    answers: list[bool | None] = []
    app: App[None] = App()
    async with app.run_test() as pilot:
        app.push_screen(Confirm("[b]Drain?", "effect", "Drain"), answers.append)
        await pilot.pause()
        await pilot.press(*keys)
        await pilot.pause()
    assert answers == [answer]
