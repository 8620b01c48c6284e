from __future__ import annotations

import pytest
from textual.app import App
from textual.containers import VerticalScroll
from textual.widgets import Static

from lbapp.tui.dialogs.page import Page

pytestmark = pytest.mark.anyio


async def test_page_shows_markup_as_text_and_closes() -> None:
    app: App[None] = App()
    async with app.run_test() as pilot:
        app.push_screen(Page("[b]title", lambda: "[red]line[/red]"))
        await pilot.pause()
        assert str(app.screen.query_one("#text", Static).render()) == "[red]line[/red]"
        await pilot.press("escape")
        await pilot.pause()
        assert not isinstance(app.screen, Page)


async def test_page_says_on_its_frame_whether_there_is_more() -> None:
    app: App[None] = App()
    async with app.run_test(size=(80, 10)) as pilot:
        lines = ["line"]
        app.push_screen(Page("title", lambda: "\n".join(lines)))
        await pilot.pause()
        frame = app.screen.query_one("#page", VerticalScroll)
        while frame.border_subtitle is None:  # it is written when the page has been laid out
            await pilot.pause(0.02)
        assert frame.border_subtitle == "Esc closes"
        lines *= 30
        while frame.border_subtitle != "Esc closes, up and down scroll":
            await pilot.pause(0.02)
