"""How long what a screen has drawn is kept."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rich.cells import cached_cell_len, cell_len
from textual.app import App, ComposeResult
from textual.geometry import Region
from textual.pilot import Pilot
from textual.screen import Screen
from textual.strip import Strip
from textual.widgets import Static

from lbapp.tui.dialogs.page import Page
from lbapp.tui.freeing import PLACES_MAX, TEXTS_MAX, FreeingScreen

pytestmark = pytest.mark.anyio
SIZE = (60, 12)
ROUNDS = 20
DEADLINE_S = 25.0


@pytest.fixture(autouse=True)
def nobody_collects() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Figures(App[None]):
    """Lines as wide as the screen, the first of them cut: something stands over their middle."""

    CSS = """
    Screen { layers: below above; }
    Static { height: 3; layer: below; }
    #over { layer: above; offset: 10 0; width: 20; }
    """

    def get_default_screen(self) -> Screen[None]:
        return FreeingScreen()

    def compose(self) -> ComposeResult:
        yield Static("", id="cut")
        yield Static("", id="over")
        yield Static("", id="whole")

    async def tell(self, pilot: Pilot[None], number: int) -> None:
        for each in self.query(Static):
            each.update(f"{number}\n{number}\n{number}")
        await pilot.pause()


async def until(pilot: Pilot[Any], condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        await pilot.pause(0.01)


def strips() -> int:
    """Return how many lines there are, those included that only the collector of cycles would let go."""
    return sum(type(each) is Strip for each in gc.get_objects())


async def test_lines_that_are_shown_no_more_are_gone_at_once() -> None:
    app = Figures()
    async with app.run_test(size=SIZE) as pilot:
        await app.tell(pilot, 0)
        await app.tell(pilot, 1)
        before = strips()
        for number in range(2, ROUNDS):
            await app.tell(pilot, number)
        assert strips() <= before + 5


async def test_line_that_is_cut_remembers_how() -> None:
    app = Figures()
    async with app.run_test(size=SIZE) as pilot:
        await app.tell(pilot, 0)
        lines = app.query_one("#cut").render_lines(Region(0, 0, SIZE[0], 3))
        assert any(strip._divide_cache for strip in lines)
        assert not any(strip in cut for strip in lines for cut in strip._divide_cache._cache.values())


async def test_lines_of_a_dialog_are_gone_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lbapp.tui.dialogs.dialog.sweep_soon", lambda: None)  # nobody looks for what it leaves
    app = Figures()
    async with app.run_test(size=SIZE) as pilot:
        before = 0
        for number in range(ROUNDS):
            page = Page("Page", lambda: "text")
            app.push_screen(page)
            await pilot.pause()
            await pilot.press("escape")
            await until(pilot, lambda gone=page: not gone.is_attached)  # type: ignore[misc]
            before = strips() if number == 1 else before
        assert strips() <= before + 5


async def test_dialog_is_drawn_by_what_lets_go_and_dims_nothing_else_than_before() -> None:
    app: App[None] = App()
    async with app.run_test(size=SIZE) as pilot:
        page = Page("Page", lambda: "text")
        app.push_screen(page)
        await pilot.pause()
        assert page._css_type_names >= {"ModalScreen", "Screen"}
        drawn = [strip for strip in page._compositor.render_strips() if strip]
        assert drawn
        assert not any(strip in cut for strip in drawn for cut in strip._divide_cache._cache.values())


def remembered() -> int:
    return max(each.cache_info().currsize for each in (Region.intersection, Region.overlaps, Region.translate))


def reckon(places: int) -> None:
    for x in range(places):
        Region(x, 0, 1, 1).intersection(Region(0, 0, 1, 1))


async def test_places_of_what_is_gone_are_forgotten_where_they_are_many() -> None:
    app: App[None] = App()
    async with app.run_test(size=SIZE) as pilot:
        for _ in range(3):
            app.push_screen(Page("Page", lambda: "text"))
            await pilot.pause()
            reckon(PLACES_MAX + 1)
            await pilot.press("escape")
            await until(pilot, lambda: remembered() <= PLACES_MAX)


async def test_places_are_remembered_from_dialog_to_dialog_where_they_are_few() -> None:
    Region.intersection.cache_clear()
    app: App[None] = App()
    async with app.run_test(size=SIZE) as pilot:
        reckon(PLACES_MAX // 2)
        page = Page("Page", lambda: "text")
        app.push_screen(page)
        await pilot.pause()
        await pilot.press("escape")
        await until(pilot, lambda: not page.is_attached)
        before = Region.intersection.cache_info().misses
        reckon(PLACES_MAX // 2)
        assert Region.intersection.cache_info().misses == before


async def test_texts_of_what_is_gone_are_forgotten_where_they_are_many() -> None:
    app: App[None] = App()
    async with app.run_test(size=SIZE) as pilot:
        for _ in range(3):
            app.push_screen(Page("Page", lambda: "text"))
            await pilot.pause()
            for number in range(TEXTS_MAX + 1):
                cell_len(f"text {number}")
            await pilot.press("escape")
            await until(pilot, lambda: cached_cell_len.cache_info().currsize <= TEXTS_MAX)
