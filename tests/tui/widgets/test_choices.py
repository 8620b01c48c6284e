from __future__ import annotations

import pytest
from textual.app import App, ComposeResult

from lbapp.tui.actions.finding import Choice
from lbapp.tui.widgets.choices import Choices

pytestmark = pytest.mark.anyio


class Listing(App[None]):
    def compose(self) -> ComposeResult:
        yield Choices(10, id="list")


async def test_cursor_stays_in_sight_and_within_the_list() -> None:
    app = Listing()
    async with app.run_test(size=(40, 5)) as pilot:
        choices = app.query_one(Choices)
        choices.show([Choice(str(number), f"[b]{number}", "note") for number in range(30)])
        choices.move(100)
        await pilot.pause()
        assert choices.chosen is not None
        assert choices.chosen.id == "29"
        assert choices.render_line(4).text.startswith(" [b]29      note")
        choices.move(-100)
        await pilot.pause()
        assert choices.render_line(0).text.startswith(" [b]0")


async def test_nothing_can_be_chosen_of_nothing() -> None:
    app = Listing()
    async with app.run_test(size=(40, 5)):
        choices = app.query_one(Choices)
        choices.show([])
        choices.move(1)
        assert choices.chosen is None


@pytest.mark.parametrize(
    ("why_not", "shown"),
    [("not now", "(not now)"), ("select a server: 3 shows all, Enter those of a pool", "(select a server)")],
)
async def test_what_cannot_be_chosen_says_why_up_to_its_colon_where_all_of_it_has_no_room(
    why_not: str, shown: str
) -> None:
    app = Listing()
    async with app.run_test(size=(44, 5)) as pilot:
        choices = app.query_one(Choices)
        choices.show([Choice("drain", "drain", "does", "d", why_not)])
        await pilot.pause()
        assert choices.render_line(0).text.rstrip() == f"d    drain      {shown}"
