from __future__ import annotations

import pytest
from textual.app import App
from textual.events import Key

from lbapp.tui.dialogs.sort import AskSort

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("keys", "answer"), [("a", 0), ("c", 2), ("z1Qb", 1), ("\x1b", None), ("ba", 1)])
async def test_first_letter_of_a_choice_answers_and_what_follows_does_nothing(keys: str, answer: int | None) -> None:
    app = App[None]()
    answers: list[int | None] = []
    async with app.run_test() as pilot:
        app.push_screen(AskSort(["status", "server", "figure"], 1), answers.append)
        await pilot.pause()
        for key in keys:
            app.screen.post_message(Key("escape" if key == "\x1b" else key, key))
        await pilot.pause()
        await pilot.pause()
        assert answers == [answer]
        assert len(app.screen_stack) == 1


@pytest.mark.parametrize(("at", "answer"), [((3, 0), 0), ((3, 1), 1), ((34, 0), 2), ((34, 1), None)])
async def test_click_on_a_column_sorts_by_it_and_beside_them_does_nothing(
    at: tuple[int, int], answer: int | None
) -> None:
    app = App[None]()
    answers: list[int | None] = []
    async with app.run_test() as pilot:
        app.push_screen(AskSort(["status", "server", "figure"], 1), answers.append)
        await pilot.pause()
        await pilot.click("#columns", offset=at)
        await pilot.pause()
        assert answers == ([] if answer is None else [answer])


async def test_choices_have_letters_and_the_one_that_holds_is_told() -> None:
    app = App[None]()
    async with app.run_test(size=(80, 24)) as pilot:
        app.push_screen(AskSort([f"column {number}" for number in range(30)], 1))
        await pilot.pause()
        lines = "\n".join(strip.text for strip in app.screen._compositor.render_strips())
        assert "b  column 1  (now)" in lines
        assert "z  column 25" in lines
