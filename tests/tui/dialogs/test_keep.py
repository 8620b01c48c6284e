from __future__ import annotations

import pytest
from textual.app import App

from lbapp.tui.dialogs.keep import Answer, Keep

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("keys", "answer"),
    [(["enter"], "later"), (["escape"], "later"), (["y"], "keep"), (["n"], "back"), (["right", "enter"], "keep")],
)
async def test_enter_alone_decides_nothing_and_y_and_n_do(keys: list[str], answer: Answer) -> None:
    app: App[None] = App()
    answers: list[Answer | None] = []
    async with app.run_test() as pilot:
        app.push_screen(Keep(7, lambda: 42.0), answers.append)
        await pilot.pause()
        await pilot.press(*keys)
        await pilot.pause()
    assert answers == [answer]


async def test_dialog_closes_when_it_is_decided_by_then() -> None:
    app: App[None] = App()
    answers: list[Answer | None] = []
    left: list[float | None] = [42.0]
    async with app.run_test() as pilot:
        app.push_screen(Keep(7, lambda: left[0]), answers.append)
        await pilot.pause()
        left[0] = None
        for _ in range(200):
            if answers:
                break
            await pilot.pause(0.02)
    assert answers == ["later"]
