"""What reaches the terminal of a table of which only the changes are drawn."""

from __future__ import annotations

import random
from typing import Any

import pyte
import pytest
from textual._compositor import ChopsUpdate
from textual.app import ComposeResult
from textual.pilot import Pilot
from textual.screen import ModalScreen, Screen
from textual.strip import Strip
from textual.widgets import Static

from lbapp.tui.dialogs.dialog import Dialog
from lbapp.tui.listing import Column, Kind
from lbapp.tui.sparing import Sparing, SparingScreen, _Changes
from lbapp.tui.widgets.lines import Lines
from lbapp.tui.widgets.paper import Line
from lbapp.tui.widgets.table import LineTable

pytestmark = pytest.mark.anyio
SIZE = (60, 12)
Item = tuple[str, list[int]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def figure(number: int) -> Column[Item]:
    return Column(f"f{number}", 5, lambda item: str(item[1][number]), lambda item: item[1][number])


def kind() -> Kind[Item]:
    return Kind(
        [
            Column("name", 0, lambda item: item[0], lambda item: item[0], is_right=False),
            *map(figure, range(6)),
        ],
        lambda item: item[0],
        lambda item: item[1][0] > 500,
        lambda item: item[0],
        has_marks=True,
    )


class Painting(Sparing):
    """An application whose terminal is an emulator: it has what was written, and nothing else."""

    CSS = """
    LineTable { height: 1fr; }
    .table--head { text-style: bold; }
    LineTable.-other > .table--plain { text-style: underline; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.items: list[Item] = [(f"漢name{number}", [number] * 6) for number in range(40)]
        self.table: LineTable[Item] = LineTable(kind(), id="table")
        self.terminal = pyte.Screen(*SIZE)
        self.stream = pyte.Stream(self.terminal)
        self.written = self.pictures = 0

    def get_default_screen(self) -> Screen[None]:
        return SparingScreen()

    def compose(self) -> ComposeResult:
        yield self.table
        yield Static("below", id="below")

    def _display(self, screen: Any, renderable: Any) -> None:
        super()._display(screen, renderable)
        if screen is self.screen and renderable is not None:
            update = _Changes.of(renderable) if isinstance(renderable, ChopsUpdate) else renderable
            text = update.render_segments(self.console)
            self.written += len(text)
            self.pictures += 1
            self.stream.feed(text.replace("\n", "\r\n"))

    def truth(self) -> list[str]:
        """Return the screen as it is composed anew."""
        return [strip.text.rstrip() for strip in self.screen._compositor.render_strips()]

    def painted(self) -> list[str]:
        return [line.rstrip() for line in self.terminal.display]


async def still(app: Painting, pilot: Pilot[None]) -> None:
    """Wait until all is painted that is to be painted."""
    written = -1
    while written != app.written:
        written = app.written
        for _ in range(5):
            await pilot.pause()


KEYS = (
    "down",
    "up",
    "pagedown",
    "pageup",
    "end",
    "home",
    "space",
    "a",
    "right",
    "r",
    "exclamation_mark",
    "less_than_sign",
)


@pytest.mark.parametrize("seed", range(4))
async def test_terminal_has_what_a_screen_drawn_anew_has_whatever_happens(seed: int) -> None:
    source, app = random.Random(seed), Painting()
    async with app.run_test(size=SIZE) as pilot:
        app.table.focus()
        for step in range(60):
            what = source.choice(
                ("figures", "figures", "key", "key", "rows", "dialog", "resize" if step % 7 == 0 else "key")
            )
            if what == "figures":
                for _ in range(source.randint(0, 30)):
                    source.choice(app.items)[1][source.randrange(6)] = source.randrange(1000)
            elif what == "rows":
                source.shuffle(app.items)
                app.items = [*app.items[: source.randint(20, 40)], (f"new{step}", [step] * 6)]
            elif what == "dialog":
                await app.push_screen(source.choice((ModalScreen, Dialog))())
                app.table.show(list(app.items))
                await pilot.pause()
                app.pop_screen()
            elif what == "resize":
                app.table.styles.height = source.choice((5, 8, "1fr"))
            else:
                await pilot.press(source.choice(KEYS))
            app.table.show(list(app.items))
            await pilot.pause()
            await pilot.pause()
            painted = app.painted()
            assert painted == app.truth(), (step, what)


async def test_figure_that_changes_costs_a_few_bytes_and_not_a_line() -> None:
    app = Painting()
    async with app.run_test(size=SIZE) as pilot:
        app.table.show(app.items)
        await still(app, pilot)
        written = app.written
        app.table.show(app.items)
        await pilot.pause()
        assert app.written == written
        app.items[3][1][2] = 77
        app.table.show(app.items)
        await pilot.pause()
        assert written < app.written < written + 60


async def test_line_that_is_scrolled_to_another_place_is_not_put_together_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app, made = Painting(), list[str]()
    put_together = Lines._put_together

    def noting(self: Lines, line: Line) -> Strip:
        made.append(line.cells[1][0].strip())
        return put_together(self, line)

    async with app.run_test(size=SIZE) as pilot:
        app.table.focus()
        app.table.show(app.items)
        await pilot.press("down", "pagedown")
        await pilot.pause()
        monkeypatch.setattr(Lines, "_put_together", noting)
        await pilot.press("down")
        await pilot.pause()
        assert made == ["漢name11", "漢name12"], "the one that the cursor has left, and the one that it has come to"
        assert app.painted() == app.truth()


async def test_focus_that_comes_or_goes_costs_the_line_of_the_cursor() -> None:
    app = Painting()
    async with app.run_test(size=SIZE) as pilot:
        app.table.focus()
        app.table.show(app.items)
        await still(app, pilot)
        written = app.written
        app.set_focus(None)
        await still(app, pilot)
        assert written < app.written < written + 2 * SIZE[0]
        assert not app.terminal.buffer[1][5].reverse


async def test_other_styles_are_drawn_at_once() -> None:
    app = Painting()
    async with app.run_test(size=SIZE) as pilot:
        app.table.show(app.items)
        await pilot.pause()
        assert not app.terminal.buffer[3][3].underscore
        app.table.add_class("-other")
        await pilot.pause()
        await pilot.pause()
        assert app.terminal.buffer[3][3].underscore
