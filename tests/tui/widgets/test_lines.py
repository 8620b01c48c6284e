from __future__ import annotations

import pytest
from textual.app import App, ComposeResult

from lbapp.tui.widgets.lines import ToneLines

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class OnlyLines(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.lines = ToneLines(id="lines")

    def compose(self) -> ComposeResult:
        yield self.lines


async def test_pieces_are_drawn_as_they_are_and_fill_the_width() -> None:
    app = OnlyLines()
    async with app.run_test(size=(20, 5)) as pilot:
        app.lines.say([[("[b]a", "good"), (" 漢字", "plain")], [("x" * 30, "bad")]])
        await pilot.pause()
        assert [app.lines.render_line(y).text for y in range(2)] == ["[b]a 漢字" + " " * 11, "x" * 20]
        assert app.lines.size.height == 2


async def test_without_lines_there_is_no_room_taken() -> None:
    app = OnlyLines()
    async with app.run_test(size=(20, 5)) as pilot:
        app.lines.say([[("a", "plain")]])
        app.lines.say([])
        await pilot.pause()
        assert not app.lines.display
        assert app.lines.text == ""
