from __future__ import annotations

import pytest
from click.testing import CliRunner

from lbapp.cli.appearance import GLYPHS, THEMES, look_of
from lbapp.cli.context import Settings
from lbapp.cli.main import cli
from lbapp.tui.glyphs import ASCII, FULL, SETS
from lbapp.tui.themes import NAMES


def test_names_of_the_options_are_those_that_the_console_has() -> None:
    assert (NAMES, tuple(SETS)) == (THEMES, GLYPHS)


@pytest.mark.usefixtures("plain_terminal")
def test_option_stands_before_the_environment_and_that_before_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LBAPP_THEME", "light")
    monkeypatch.setenv("LBAPP_GLYPHS", "ascii")
    assert (look_of(Settings()).theme, look_of(Settings()).glyphs) == ("light", ASCII)
    given = look_of(Settings(theme="hc", glyphs="full"))
    assert (given.theme, given.glyphs) == ("hc", FULL)


@pytest.mark.usefixtures("plain_terminal")
def test_terminal_alone_says_how_the_console_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (look_of(Settings()).theme, look_of(Settings()).glyphs) == ("dark", FULL)
    monkeypatch.setenv("TERM", "linux")
    assert look_of(Settings()).theme == "vt"


def test_option_is_taken_before_and_behind_the_verb_and_an_unknown_name_is_refused() -> None:
    for line in (["--theme", "neon", "tui"], ["tui", "--theme", "neon"], ["demo", "--glyphs", "runes"]):
        ended = CliRunner().invoke(cli, line)
        assert ended.exit_code == 2
        assert "is not one of" in ended.output
    kept = Settings()
    assert CliRunner().invoke(cli, ["--theme", "light", "tui", "--glyphs", "vt"], obj=kept).exit_code != 2
    assert (kept.theme, kept.glyphs) == ("light", "vt")


@pytest.mark.usefixtures("plain_terminal")
def test_unknown_name_in_the_environment_is_refused_with_those_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LBAPP_THEME", "neon")
    with pytest.raises(Exception, match="LBAPP_THEME is 'neon': write dark, light, hc or vt"):
        look_of(Settings())


@pytest.fixture
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "LBAPP_THEME", "LBAPP_GLYPHS", "LC_ALL", "LC_CTYPE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("LANG", "C.UTF-8")
