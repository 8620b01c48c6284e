from __future__ import annotations

import pytest
from textual.app import App

from lbapp.tui.widgets.editor import BRACKET_LETTERS_MAX, DRAWN_LINES_MAX, HIGHLIGHTED_LINES_MAX, Editor

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


async def test_colours_found_for_what_is_drawn_are_those_of_the_whole_text_also_behind_an_edit() -> None:
    app: App[None] = App()
    async with app.run_test(size=(80, 24)) as pilot:
        editor = Editor(id="text")
        await app.mount(editor)
        editor.put('text = """one\n' + "more\n" * 150 + '"""\n' + '[[pool]]\nname = "app"\nweight = 1 # so\n' * 60)
        editor.insert("x = true\n", (151, 3))
        await pilot.pause()
        assert set(editor._coloured) == {0}, "only what is drawn"
        assert editor._highlight_query is not None
        whole = editor.document.query_syntax_tree(editor._highlight_query)
        for row in (0, 63, 64, 127, 128, 200, 331):
            editor.move_cursor((row, 0), center=True)
            await pilot.pause()
            wanted = {
                (node.start_point[1] if node.start_point[0] == row else 0, name)
                for name, nodes in whole.items()
                for node in nodes
                if node.start_point[0] <= row <= node.end_point[0]
            }
            assert {(first, name) for first, _, name in editor._highlights[row]} == wanted


async def test_bracket_without_another_is_not_looked_for_in_all_of_a_long_text() -> None:
    app: App[None] = App()
    async with app.run_test() as pilot:
        editor = Editor(id="text")
        await app.mount(editor)
        editor.put("[\n" + "a = 1\n" * 10_000)
        await pilot.pause()
        assert len(list(editor._yield_character_locations((0, 0)))) == BRACKET_LETTERS_MAX
        assert len(list(editor._yield_character_locations_reverse((10_000, 4)))) == BRACKET_LETTERS_MAX


async def test_of_the_lines_that_were_drawn_the_last_few_are_kept() -> None:
    app: App[None] = App()
    async with app.run_test(size=(80, 24)) as pilot:
        editor = Editor(id="text")
        await app.mount(editor)
        editor.put("a = 1\n" * 500)
        for line in range(0, 500, 10):
            editor.go_to(line)
            await pilot.pause()
            assert "a = 1" in drawn(editor, 0)
        assert 0 < len(editor._line_cache) <= DRAWN_LINES_MAX
