from __future__ import annotations

import pytest
from textual.app import App
from textual.events import Paste

from lbapp.tui.dialogs.line import LENGTH_MAX, AskLine

pytestmark = pytest.mark.anyio


async def answer(*keys: str, typed: str = "", pasted: str = "") -> str | None:
    answers: list[str | None] = []
    app = App[None]()
    async with app.run_test(size=(80, 24)) as pilot:
        app.push_screen(AskLine("Which?", "Enter asks", typed), answers.append)
        await pilot.pause()
        if pasted:
            app.screen.post_message(Paste(pasted))
        await pilot.press(*keys)
        await pilot.pause()
    return answers[0]


async def test_letters_that_are_keys_elsewhere_are_text_here() -> None:
    assert await answer(*"dqm/:1", "enter") == "dqm/:1"


async def test_backspace_takes_a_letter_back_and_ctrl_u_all() -> None:
    assert await answer("b", "backspace", "c", "enter", typed="a") == "ac"
    assert await answer("ctrl+u", "x", "enter", typed="abc") == "x"


async def test_escape_and_nothing_at_all_answer_nothing() -> None:
    assert await answer("a", "escape") is None
    assert await answer("space", "enter") is None


async def test_pasted_text_is_its_first_line_in_printable_letters() -> None:
    assert await answer("enter", pasted=" 192.0.2.7\x1b[2J\nsecond") == "192.0.2.7[2J"


async def test_line_is_limited() -> None:
    assert await answer("enter", pasted="x" * 1_000) == "x" * LENGTH_MAX
