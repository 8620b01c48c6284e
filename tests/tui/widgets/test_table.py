from __future__ import annotations

from dataclasses import replace

import pytest
from textual.app import App, ComposeResult

from lbapp.tui.listing import Column, Kind, View
from lbapp.tui.widgets.table import LineTable

pytestmark = pytest.mark.anyio

Pair = tuple[str, float]
KIND: Kind[Pair] = Kind(
    [
        Column("name", 0, lambda pair: pair[0], lambda pair: pair[0], is_right=False),
        Column("figure", 6, lambda pair: f"{pair[1]:g}", lambda pair: pair[1]),
    ],
    lambda pair: pair[0],
    lambda pair: False,
    lambda pair: pair[0],
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class OneTable(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.table = LineTable(KIND, id="table")
        self.chosen: list[str] = []

    def compose(self) -> ComposeResult:
        yield self.table

    def on_line_table_chosen(self, event: LineTable.Chosen) -> None:
        self.chosen.append(event.identity)


async def test_cursor_stays_on_its_item_when_the_order_changes() -> None:
    app = OneTable()
    async with app.run_test(size=(40, 6)) as pilot:
        app.table.show([("a", 1), ("b", 2), ("c", 3)])
        await pilot.press("down", "enter")
        app.table.show([("c", 3), ("b", 2), ("a", 1), ("d", 4)])
        assert app.table.selected == "b"
        app.table.look(View(sort=1, is_reversed=True))
        assert (app.table.selected, app.table.place) == ("b", (3, 4, 4))
        await pilot.pause()
        assert app.chosen == ["b"]


async def test_order_is_held_right_after_a_move() -> None:
    app = OneTable()
    async with app.run_test(size=(40, 6)) as pilot:
        app.table.show([("a", 1), ("b", 2)])
        app.table.look(View(sort=1))
        await pilot.press("down")
        app.table.show([("a", 5), ("b", 2)])
        assert app.table.is_held
        assert app.table.place[0] == 2


async def test_only_as_many_lines_as_fit_are_drawn_and_the_cursor_is_among_them() -> None:
    app = OneTable()
    async with app.run_test(size=(40, 6)) as pilot:
        app.table.show([(f"n{number}", number) for number in range(1000)])
        await pilot.press("end")
        await pilot.pause()
        lines = [app.table.render_line(y).text for y in range(6)]
        assert lines[0].startswith("name")
        assert lines[5].startswith("n999")
        assert lines[5].endswith("999")
        assert {len(line) for line in lines} == {40}


async def test_wide_characters_and_markup_keep_their_cells() -> None:
    app = OneTable()
    async with app.run_test(size=(20, 4)):
        app.table.show([("[b]漢字漢字漢字漢字", 1)])
        strip = app.table.render_line(1)
        assert strip.cell_length == 20
        assert strip.text.startswith("[b]漢字")


async def test_text_that_was_cut_says_so_and_figures_do_not() -> None:
    app = OneTable()
    async with app.run_test(size=(20, 4)):
        app.table.show([("a-name-of-many-letters", 1), ("thirteen-char", 2)])
        assert app.table.render_line(1).text == "a-name-of-ma>      1"
        assert app.table.render_line(2).text == "thirteen-char      2"


async def test_cursor_on_the_newest_stays_with_the_newest_and_elsewhere_on_its_item() -> None:
    app = OneTable()
    app.table.kind = replace(KIND, is_newest_first=True)
    async with app.run_test(size=(40, 6)) as pilot:
        app.table.show([("b", 2), ("a", 1)])
        app.table.show([("c", 3), ("b", 2), ("a", 1)])
        assert app.table.selected == "c"
        await pilot.press("down")
        app.table.show([("d", 4), ("c", 3), ("b", 2), ("a", 1)])
        assert app.table.selected == "b"
