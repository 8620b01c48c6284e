from __future__ import annotations

from dataclasses import replace

import pytest
from textual import events
from textual.app import App, ComposeResult

from lbapp.tui.filtering import Number
from lbapp.tui.hand import HOLD_S, STARTLED_S
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


class OneTable(App[None]):
    def __init__(self, kind: Kind[Pair] = KIND) -> None:
        super().__init__()
        self.table = LineTable(kind, id="table")
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
        assert lines[0].startswith("NAME")
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


async def test_table_that_is_about_others_shows_none_of_those_before_however_it_is_looked_at() -> None:
    app = OneTable()
    async with app.run_test(size=(40, 6)):
        app.table.show([("a", 1), ("b", 2)])
        app.table.forget()
        app.table.look(View(sort=1))
        assert (app.table.place, app.table.chosen) == ((0, 0, 0), ())


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


RANKED = replace(
    KIND,
    rank=lambda pair: 0 if pair[1] < 0 else 1,
    fields={"figure": Number(lambda pair: pair[1])},
    has_marks=True,
    sets=("one", "two"),
    columns=[
        *KIND.columns,
        Column("more", 4, lambda pair: "m", lambda pair: pair[0], is_right=False, sets=("two",)),
    ],
)
ABC: list[Pair] = [("a", 1), ("b", 2), ("c", 3)]


async def test_marks_stay_on_their_items_and_the_filter_only_hides_them() -> None:
    app = OneTable(RANKED)
    async with app.run_test(size=(60, 6)) as pilot:
        app.table.show(ABC)
        assert list(app.table.chosen) == ["a"]
        await pilot.press("space", "down", "space")
        assert list(app.table.chosen) == ["a", "c"]
        app.table.show([("c", -3), ("b", 2), ("a", 1), ("d", 4)])
        assert app.table.chosen == ["c", "a"]
        app.table.look(View(text="b"))
        assert app.table.facts == "1 of 1, 4 in all  marked 2 (2 hidden)  sort status  /b"
        assert app.table.chosen == ["c", "a"]
        app.table.show([("b", 2), ("a", 1)])
        assert app.table.facts == "1 of 1, 2 in all  marked 1 (1 hidden)  sort status  /b"
        await pilot.press("a")
        assert app.table.chosen == ["b", "a"]
        await pilot.press("a")
        assert app.table.chosen == ["a"]
        assert app.table.clear_marks()
        assert list(app.table.chosen) == ["b"]
        assert not app.table.clear_marks()


async def test_range_goes_from_where_it_began_to_the_cursor_and_nothing_moves_meanwhile() -> None:
    app = OneTable(RANKED)
    async with app.run_test(size=(60, 8)) as pilot:
        app.table.show([*ABC, ("d", 4)])
        await pilot.press("down", "v", "down")
        assert app.table.chosen == ["b", "c"]
        assert "marking 2" in app.table.facts
        app.table.show([("a", 1), ("b", 2), ("c", 3), ("d", -4)])
        assert app.table.is_held
        assert app.table.chosen == ["b", "c"]
        await pilot.press("v", "end")
        assert app.table.chosen == ["b", "c"]
        await pilot.pause()
        lines = [strip.text for strip in app.table.render_lines(app.table.region)]
        assert [line[:4] for line in lines[1:5]] == ["  a ", "* b ", "* c ", "  d "]
        await pilot.press("v", "up")
        assert app.table.clear_marks()
        assert app.table.chosen == ["b", "c"]


async def test_keys_typed_in_one_go_are_carried_out_one_behind_the_other() -> None:
    app = OneTable(RANKED)
    async with app.run_test(size=(60, 6)) as pilot:
        app.table.show(ABC)
        for key in ("down", "down", "space", "home"):
            app.post_message(events.Key(key, None))
        app.post_message(events.Key("s", "s"))
        app.post_message(events.Key("c", "c"))
        await pilot.pause()
        await pilot.pause()
        assert list(app.table.marked) == ["c"]
        assert app.table.view.sort == 1
        assert app.screen is app.screen_stack[0]


async def test_sort_menu_sorts_by_a_letter_and_the_same_one_again_reverses() -> None:
    app = OneTable(RANKED)
    async with app.run_test(size=(80, 16)) as pilot:
        app.table.show(ABC)
        await pilot.press("s", "c")
        await pilot.pause()
        assert (app.table.view.sort, app.table.view.is_reversed) == (1, True)
        await pilot.press("s", "c")
        await pilot.pause()
        assert (app.table.view.sort, app.table.view.is_reversed) == (1, False)
        await pilot.press("s", "a")
        await pilot.pause()
        assert app.table.view.sort is None


async def test_order_is_held_while_a_dialog_is_open_and_new_items_follow() -> None:
    app = OneTable(RANKED)
    async with app.run_test(size=(60, 16)) as pilot:
        app.table.show(ABC)
        assert not app.table.is_held
        await pilot.press("s")
        app.table.show([("n", 9), ("a", 1), ("b", 2), ("c", -3)])
        assert [pair[0] for pair in app.table._shown] == ["a", "b", "c", "n"]
        assert "sort status (held)" in app.table.facts
        await pilot.press("escape")
        await pilot.pause()
        app.table.show([("n", 9), ("a", 1), ("b", 2), ("c", -3)])
        assert [pair[0] for pair in app.table._shown] == ["c", "n", "a", "b"]


async def test_what_recovers_stays_under_the_finger_for_a_moment() -> None:
    app = OneTable(RANKED)
    async with app.run_test(size=(60, 6)) as pilot:
        app.table.look(View(text="figure<0"))
        app.table.show([("a", -1), ("b", -2)])
        await pilot.press("down")
        app.table.show([("a", -1), ("b", 2)])
        assert app.table.selected == "b"
        app.table.look(View(text="figure<0"))
        assert app.table.selected == "a"


async def test_sort_moves_over_the_columns_in_sight_and_left_and_right_change_them() -> None:
    app = OneTable(RANKED)
    async with app.run_test(size=(60, 6)) as pilot:
        app.table.show(ABC)
        await pilot.press("greater_than_sign", "greater_than_sign")
        assert app.table.kind.sort_title(app.table.view) == "figure"
        await pilot.press("greater_than_sign")
        assert app.table.view.sort is None
        await pilot.press("right", "less_than_sign")
        assert app.table.kind.sort_title(app.table.view) == "more"
        assert app.table.render_line(0).text.rstrip().endswith("FIGURE^MORE")
        await pilot.press("left", "r")
        assert app.table.view.is_reversed
        assert "MORE" not in app.table.render_line(0).text


async def test_what_is_wrong_in_a_filter_is_said_and_hides_nothing() -> None:
    app = OneTable(RANKED)
    async with app.run_test(size=(60, 6)):
        app.table.show(ABC)
        app.table.look(View(text="figure>1 figure<"))
        assert app.table.facts.startswith("1 of 2, 3 in all  ! figure<: something is missing behind <")
        app.table.look(View(text="figure>1"))
        assert "!" not in app.table.facts


async def test_click_selects_and_a_second_one_opens_but_not_what_has_come_under_it() -> None:
    app = OneTable(RANKED)
    async with app.run_test(size=(60, 6)) as pilot:
        app.table.show(ABC)
        await pilot.click(app.table, offset=(4, 2))
        assert (app.table.selected, app.chosen) == ("b", [])
        app.table.on_click(click(app.table, 1, chain=2))
        await pilot.pause()
        assert (app.table.selected, app.chosen) == ("b", []), "the first click was on another item"
        app.table.on_click(click(app.table, 3, chain=1))
        app.table.on_click(click(app.table, 3, chain=2))
        await pilot.pause()
        assert (app.table.selected, app.chosen) == ("c", ["c"])
        app.table.on_click(click(app.table, 3, chain=1))
        await pilot.pause()
        assert app.chosen == ["c", "c"]
        app.table.on_click(click(app.table, 9, chain=1))
        assert app.table.selected == "c"
        app.table.on_click(click(app.table, 0, chain=1, x=58))
        assert app.table.kind.sort_title(app.table.view) == "figure"


def click(table: LineTable[Pair], y: int, chain: int, x: int = 4) -> events.Click:
    return events.Click(table, x, y, 0, 0, 1, False, False, False, chain=chain)


async def test_wheel_scrolls_and_the_cursor_stays_in_sight() -> None:
    app = OneTable(RANKED)
    async with app.run_test(size=(60, 6)) as pilot:
        app.table.show([(f"n{number:02}", number) for number in range(30)])
        await pilot._post_mouse_events([events.MouseScrollDown], app.table, offset=(3, 3))
        await pilot.pause()
        assert app.table.render_line(1).text.strip().startswith("n03")
        assert app.table.selected == "n03"
        app.table.show([(f"n{number:02}", number) for number in range(30)])
        assert app.table.render_line(1).text.strip().startswith("n03")
        await pilot._post_mouse_events([events.MouseScrollUp], app.table, offset=(3, 3))
        await pilot.pause()
        assert app.table.render_line(1).text.strip().startswith("n00")
        assert app.table.selected == "n03"


async def test_what_slides_under_the_cursor_is_not_chosen_before_it_can_have_been_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr("lbapp.tui.hand.monotonic", lambda: now)
    app = OneTable()
    async with app.run_test(size=(40, 6)) as pilot:
        app.table.show([("a", 1), ("b", 2), ("c", 3)])
        await pilot.press("down")
        now += HOLD_S
        assert list(app.table.chosen) == ["b"]
        app.table.show([("a", 1), ("c", 3)])
        assert (app.table.selected, list(app.table.chosen)) == ("c", [])
        app.table.show([("a", 1), ("c", 4)])
        assert list(app.table.chosen) == []
        now += STARTLED_S
        assert list(app.table.chosen) == ["c"]
        app.table.show([("a", 1)])
        await pilot.press("down")
        assert list(app.table.chosen) == ["a"], "whoever moves has seen where he is"


def counting(written: list[str]) -> Kind[Pair]:
    """Return a kind that notes whose row is written."""

    def name(pair: Pair) -> str:
        written.append(pair[0])
        return pair[0]

    return replace(KIND, columns=[Column("name", 0, name, name, is_right=False), *KIND.columns[1:]])


async def test_key_that_moves_the_cursor_writes_no_row_again_and_news_writes_each_in_sight_once() -> None:
    written: list[str] = []
    app = OneTable(counting(written))
    async with app.run_test(size=(40, 6)) as pilot:
        rows: list[Pair] = [(f"n{number}", number) for number in range(100)]
        app.table.show(rows)
        await pilot.pause()
        written.clear()
        await pilot.press("down", "down", "up")
        await pilot.pause()
        assert written == []
        await pilot.press(*["down"] * 4)  # one of them scrolls
        await pilot.pause()
        assert written == ["n5"]
        written.clear()
        app.table.show(rows)
        await pilot.pause()
        assert written == ["n1", "n2", "n3", "n4", "n5"]


async def test_list_that_gets_shorter_or_longer_has_nothing_laid_out_anew() -> None:
    app = OneTable()
    async with app.run_test(size=(40, 6)) as pilot:
        app.table.show([(f"n{number}", number) for number in range(100)])
        await pilot.press("end")
        await pilot.pause()
        laid_out: list[object] = []
        app.screen.screen_layout_refresh_signal.subscribe(app.table, laid_out.append, immediate=True)
        for rows in (3, 1000):
            app.table.show([(f"n{number}", number) for number in range(rows)])
            await pilot.press("end")
            await pilot.pause()
            assert app.table.render_line(min(rows, 5)).text.startswith(f"n{rows - 1}")
        assert laid_out == []
