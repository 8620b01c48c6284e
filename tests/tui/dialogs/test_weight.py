from __future__ import annotations

import pytest
from textual.app import App

from lbapp.tui.dialogs.weight import AskWeight

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize(
    ("keys", "answers"),
    [
        (["1", "5", "0", "backspace", "enter"], [15]),
        (["x", "7", "enter"], [7]),
        (["escape"], [None]),
        (["enter"], []),
        (["9", "9", "9", "enter"], []),
    ],
)
async def test_only_a_weight_is_answered(keys: list[str], answers: list[int | None]) -> None:
    given: list[int | None] = []
    app: App[None] = App()
    async with app.run_test() as pilot:
        app.push_screen(AskWeight("app/s1", 100, 100), given.append)
        await pilot.press(*keys)
        await pilot.pause()
    assert given == answers
