from __future__ import annotations

import pytest
from textual.app import App

from lbapp.tui.widgets.editor import HIGHLIGHTED_LINES_MAX, Editor

pytestmark = pytest.mark.anyio


def drawn(editor: Editor, line: int) -> str:
    return "".join(segment.text for segment in editor.render_line(line))


async def test_toml_has_colours_of_the_terminal_and_long_files_have_none() -> None:
    app: App[None] = App()
    async with app.run_test() as pilot:
        editor = Editor(id="text")
        await app.mount(editor)
        editor.put('[pool]\nname = "app"\n')
        await pilot.pause()
        assert editor.language == "toml"
        styles = {segment.text.strip(): segment.style for segment in editor.render_line(1)}
        colours = {str(style.color.name) for style in styles.values() if style and style.color}
        assert "green" in colours
        assert all(
            style.color is None or style.color.is_default or style.color.is_system_defined
            for style in styles.values()
            if style
        )
        editor.put("a = 1\n" * (HIGHLIGHTED_LINES_MAX + 1))
        assert editor.language is None


async def test_what_a_terminal_might_act_on_is_drawn_as_a_point_and_stays_in_the_text() -> None:
    app: App[None] = App()
    async with app.run_test() as pilot:
        editor = Editor(id="text")
        await app.mount(editor)
        editor.put("a\tb \x1b[2J\x07 = 1\n")
        await pilot.pause()
        assert "\x1b" not in drawn(editor, 0)
        assert "·[2J·" in drawn(editor, 0)
        assert editor.text == "a\tb \x1b[2J\x07 = 1\n"


async def test_cursor_goes_to_a_line_of_the_text_and_no_further() -> None:
    app: App[None] = App()
    async with app.run_test():
        editor = Editor(id="text")
        await app.mount(editor)
        editor.put("a = 1\nb = 2\n")
        for line, row in ((2, 1), (0, 0), (99, 2)):
            editor.go_to(line)
            assert editor.cursor_location == (row, 0)
