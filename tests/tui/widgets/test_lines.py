"""What reaches the terminal of a table of which only the changes are drawn."""

from __future__ import annotations

import random
from typing import Any

import pyte
import pytest
from textual._compositor import ChopsUpdate
from textual.app import ComposeResult
from textual.screen import ModalScreen
from textual.widgets import Static

from lbapp.tui.listing import Column, Kind
from lbapp.tui.sparing import Sparing, _Changes
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

    CSS = "LineTable { height: 1fr; } .table--head { text-style: bold; }"

    def __init__(self) -> None:
        super().__init__()
        self.items: list[Item] = [(f"漢name{number}", [number] * 6) for number in range(40)]
        self.table: LineTable[Item] = LineTable(kind(), id="table")
        self.terminal = pyte.Screen(*SIZE)
        self.stream = pyte.Stream(self.terminal)
        self.written = 0

    def compose(self) -> ComposeResult:
        yield self.table
        yield Static("below", id="below")

    def _display(self, screen: Any, renderable: Any) -> None:
        super()._display(screen, renderable)
        if screen is self.screen and renderable is not None:
            update = _Changes.of(renderable) if isinstance(renderable, ChopsUpdate) else renderable
            text = update.render_segments(self.console)
            self.written += len(text)
            self.stream.feed(text.replace("\n", "\r\n"))

    def truth(self) -> list[str]:
        """Return the screen as it is composed anew."""
        return [strip.text.rstrip() for strip in self.screen._compositor.render_strips()]

    def painted(self) -> list[str]:
        return [line.rstrip() for line in self.terminal.display]


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
                await app.push_screen(ModalScreen())
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
        written = -1
        while written != app.written:  # until all is painted that a start has painted
            written = app.written
            for _ in range(5):
                await pilot.pause()
        app.table.show(app.items)
        await pilot.pause()
        assert app.written == written
        app.items[3][1][2] = 77
        app.table.show(app.items)
        await pilot.pause()
        assert written < app.written < written + 60
