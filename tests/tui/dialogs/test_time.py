from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from textual.app import App

from lbapp.tui.dialogs.time import AskTime
from lbapp.tui.travel import Start

NOW = datetime(2026, 11, 28, 14, 30)
pytestmark = pytest.mark.anyio


async def answer_to(*keys: str) -> Start | None:
    answers: list[Start | None] = []
    app: App[Any] = App()
    async with app.run_test() as pilot:
        await app.push_screen(AskTime(NOW.timestamp()), answers.append)
        await pilot.press(*keys)
    return answers[0]


async def test_time_that_is_typed_at_once_is_the_answer() -> None:
    assert await answer_to(*"14:05", "enter") == Start(datetime(2026, 11, 28, 14, 5).timestamp())
    assert await answer_to(*"-30m", "enter") == Start(datetime(2026, 11, 28, 14, 0).timestamp())
    exact = Start(datetime(2026, 11, 27, 14, 5, 30).timestamp(), is_exact=True)
    assert await answer_to(*"2026-11-27 14:05:30", "enter") == exact


async def test_what_is_no_time_can_be_mended_or_left() -> None:
    assert await answer_to(*"14:x99", "enter", "backspace", "backspace", *"05", "enter") == Start(
        datetime(2026, 11, 28, 14, 5).timestamp()
    )
    assert await answer_to(*"q14", "enter", "escape") is None
