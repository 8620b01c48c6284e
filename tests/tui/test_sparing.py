"""When a screen is drawn, and how often; what is drawn of a list is tested beside the lists."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from textual import events
from textual._compositor import Compositor
from textual.app import ComposeResult
from textual.pilot import Pilot
from textual.widgets import Input

from lbapp.tui.dialogs.question import Asked, Question
from tests.tui.widgets.test_lines import SIZE, Painting, still

pytestmark = pytest.mark.anyio
DEADLINE_S = 25.0


class Filtered(Painting):
    """A list below a field that filters it."""

    def __init__(self) -> None:
        super().__init__()
        self.ansi_color = True  # as the console's: nothing below a dialog is tinted
        self.field = Input(compact=True)

    def compose(self) -> ComposeResult:
        yield self.field
        yield from super().compose()

    def on_input_changed(self, event: Input.Changed) -> None:
        self.table.look(replace(self.table.view, text=event.value))

    @property
    def text(self) -> str:
        """What is painted."""
        return "\n".join(self.painted())


async def painted(app: Filtered, pilot: Pilot[None], is_so: Callable[[str], bool]) -> int:
    """Wait until what is painted is so; return how many pictures that took. A Pilot's pause has drawn what is there by then."""
    before, deadline = app.pictures, time.monotonic() + DEADLINE_S
    while not is_so(app.text):
        assert time.monotonic() < deadline, app.text
        await pilot._wait_for_screen()
    return app.pictures - before


def press(app: Filtered, key: str) -> None:
    app.post_message(events.Key(key, key if len(key) == 1 else None))


async def ready(app: Filtered, pilot: Pilot[None]) -> None:
    app.table.show(app.items)
    app.field.focus()
    await still(app, pilot)


async def test_key_in_a_field_and_the_list_that_it_filters_are_one_picture() -> None:
    app = Filtered()
    async with app.run_test(size=SIZE) as pilot:
        await ready(app, pilot)
        assert "name12" not in app.text.splitlines()[2]
        press(app, "9")
        assert await painted(app, pilot, lambda text: "name9" in text.splitlines()[2]) == 1
        assert app.text.startswith("9")


async def test_what_comes_into_sight_is_laid_out_and_painted_once() -> None:
    app = Filtered()
    async with app.run_test(size=SIZE) as pilot:
        await ready(app, pilot)
        app.field.display = False
        assert await painted(app, pilot, lambda text: "name0" in text.splitlines()[1]) == 1
        await still(app, pilot)
        before = app.pictures
        app.field.display = True
        await painted(app, pilot, lambda text: "name0" in text.splitlines()[2])
        await still(app, pilot)
        assert app.pictures == before + 1


async def test_dialog_that_opens_or_closes_is_one_picture() -> None:
    app = Filtered()
    async with app.run_test(size=SIZE) as pilot:
        await ready(app, pilot)
        before = app.pictures
        app.push_screen(Question(Asked("Sure?", "Go")))
        await painted(app, pilot, lambda text: "Sure?" in text)
        await still(app, pilot)
        assert app.pictures == before + 1
        press(app, "escape")
        await painted(app, pilot, lambda text: "Sure?" not in text)
        await still(app, pilot)
        assert app.pictures == before + 2
        assert app.painted() == app.truth()


async def test_beside_dialogs_stands_what_is_below_them_now() -> None:
    """Also beside two, of which the upper one is drawn."""
    app = Filtered()
    async with app.run_test(size=SIZE) as pilot:
        await ready(app, pilot)
        below = app.screen._compositor
        for number, title in enumerate(("Sure?", "Really?")):
            app.push_screen(Question(Asked(title, "Go")))
            await painted(app, pilot, lambda text, title=title: title in text)  # type: ignore[misc]
            for figure in (11 + number, 222 + number, 3333 + number):
                app.items[8][1][5] = figure
                app.table.show(app.items)
                await painted(app, pilot, lambda text, figure=figure: f" {figure}" in text)  # type: ignore[misc]
                await still(app, pilot)
                covered = {y for screen in app.screen_stack[1:] for y in screen.query_one("Frame").region.line_range}
                lines = [strip.text.rstrip() for strip in below.render_strips()]
                beside = [y for y in range(SIZE[1]) if y not in covered]
                assert len(beside) > 2
                assert [app.painted()[y] for y in beside] == [lines[y] for y in beside]


async def test_dialog_that_changes_has_no_line_below_it_put_together_again(monkeypatch: pytest.MonkeyPatch) -> None:
    app, composed = Filtered(), list[Compositor]()
    render_chops = Compositor._render_chops

    def noting(self: Compositor, *how: object) -> object:
        composed.append(self)
        return render_chops(self, *how)  # type: ignore[arg-type]

    async with app.run_test(size=SIZE) as pilot:
        await ready(app, pilot)
        below = app.screen._compositor
        app.push_screen(Question(Asked("Sure?", "Go")))
        await painted(app, pilot, lambda text: "Sure?" in text)
        await still(app, pilot)
        monkeypatch.setattr(Compositor, "_render_chops", noting)
        press(app, "x")
        press(app, "tab")
        await painted(app, pilot, lambda text: "[[ Go (y) ]]" in text)
        assert composed
        assert below not in composed
