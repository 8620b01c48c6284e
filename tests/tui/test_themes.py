from __future__ import annotations

import pytest

from lbapp.tui.themes import NAMES, STYLES, rich_styles, theme_for, variables

EIGHT = {"black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"}


def words(theme: str) -> set[str]:
    return {word for style in STYLES[theme].values() for word in style.split()}


@pytest.mark.parametrize("theme", NAMES)
def test_style_is_of_the_eight_colours_bold_and_reverse(theme: str) -> None:
    assert words(theme) <= EIGHT | {"bold", "reverse"}


def test_light_has_no_yellow_hc_no_colour_and_vt_no_bold() -> None:
    assert "yellow" not in words("light")
    assert not words("hc") & EIGHT
    assert "bold" not in words("vt")


def test_theme_is_that_of_the_terminal_and_no_colours_are_obeyed_before_all() -> None:
    assert theme_for({"TERM": "xterm-256color"}) == "dark"
    assert theme_for({"TERM": "linux"}) == theme_for({"TERM": "vt220"}) == "vt"
    assert theme_for({"TERM": "linux", "NO_COLOR": ""}) == "hc"


def test_style_sheets_and_texts_read_the_same_table() -> None:
    assert rich_styles("light")["tone.bad"] == "bold red"
    assert variables("light")["tone-bad"] == "ansi_red"
    assert variables("light")["tone-bad-style"] == "bold"
    assert (variables("hc")["tone-good"], variables("hc")["tone-good-style"]) == ("ansi_default", "none")
    assert rich_styles("hc")["tone.good"] == "none"
