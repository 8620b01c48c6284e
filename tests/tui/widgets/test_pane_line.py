from __future__ import annotations

import pytest
from textual.app import App, ComposeResult

from lbapp.tui.widgets.pane_line import PaneLine

pytestmark = pytest.mark.anyio


class OneLine(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.line = PaneLine()

    def compose(self) -> ComposeResult:
        yield self.line


async def test_right_text_stands_at_the_right_or_not_at_all() -> None:
    app = OneLine()
    async with app.run_test(size=(20, 3)):
        assert app.line.size.height == 1
        app.line.say_both("left", "right")
        assert app.line.text == "left          right"
        app.line.say_both("left of many words", "right")
        assert app.line.text == "left of many words"
