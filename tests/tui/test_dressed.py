from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from rich.style import Style

from lbapp.tui.app import LbappConsole
from lbapp.tui.dressed import Look, ascii_of
from lbapp.tui.glyphs import ASCII, FULL
from lbapp.tui.themes import NAMES, STYLES
from tests.tui.console import SIZE, at_servers, screen_text, until, until_shown
from tests.tui.engine_double import EngineDouble, answering, server

pytestmark = pytest.mark.anyio


def style_of(app: LbappConsole, text: str) -> Style:
    """Return how a text is drawn that stands on the screen, without its background."""
    for strip in app.screen._compositor.render_strips():
        for segment in strip:
            if text in segment.text and segment.style is not None:
                return segment.style
    raise AssertionError(f"{text} is not shown:\n{screen_text(app)}")


def wears(app: LbappConsole, text: str, tone: str, theme: str) -> bool:
    """Say whether a text is drawn as a tone of that theme is."""
    drawn, wanted = style_of(app, text), Style.parse(STYLES[theme][tone] or "none")
    colours = [style.color.number if style.color else None for style in (drawn, wanted)]
    return (colours[0], bool(drawn.bold), bool(drawn.reverse)) == (colours[1], bool(wanted.bold), bool(wanted.reverse))


@pytest.fixture
def double() -> EngineDouble:
    double = EngineDouble([server("app", "s1"), server("app", "s2"), server("app", "s3")])
    double.servers[1]["health"] = "down"
    double.servers[2]["admin"] = "drain"
    return double


async def test_theme_that_is_chosen_colours_tables_and_texts_alike(double: EngineDouble, tmp_path: Path) -> None:
    with answering(double, tmp_path / "s"):
        app = LbappConsole(tmp_path / "s", look=Look("dark", FULL))
        async with app.run_test(size=SIZE) as pilot:
            await until_shown(pilot, "LIVE")
            for theme in (*reversed(NAMES), *NAMES):
                await pilot.press("1", *":theme", "space", *theme, "enter")
                await until_shown(pilot, f"the theme is {theme}")
                await until(pilot, partial(wears, app, "DOWN 1", "bad", theme))  # a block of the overview
                await pilot.press("3")
                await until(pilot, partial(wears, app, "DRAIN", "warn", theme))  # a table


async def test_terminal_with_ascii_alone_gets_nothing_else_on_any_screen_or_dialog(
    double: EngineDouble, tmp_path: Path
) -> None:
    double.servers.append(server("app", "größe"))
    with answering(double, tmp_path / "s"):
        app = LbappConsole(tmp_path / "s", look=Look("hc", ASCII))
        async with app.run_test(size=SIZE) as pilot:
            await at_servers(pilot)
            await until_shown(pilot, "app/gr??e")
            for keys in (
                "1",
                "2",
                "3",
                "4",
                "5",
                "6",
                "7",
                "question_mark",
                "escape",
                "3",
                "d",
                "escape",
                "s",
                "escape",
                "x",
            ):
                await pilot.press(keys)
                await pilot.pause()
                assert screen_text(app).isascii(), screen_text(app)
            assert "+---" in screen_text(app), "the frame of a dialog"


def test_what_ascii_does_not_have_keeps_its_width() -> None:
    assert ascii_of("a·b漢c") == "a?b??c"


def test_names_that_are_given_stand_before_what_the_terminal_is() -> None:
    assert Look.of({"TERM": "linux"}).theme == "vt"
    assert Look.of({"TERM": "linux"}, "light", "ascii") == Look("light", ASCII)
