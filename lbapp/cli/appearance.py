"""How the console looks: `--theme` and `--glyphs`, accepted before and behind the verb, or LBAPP_THEME and LBAPP_GLYPHS.

Responsible for reading them. Knows nothing of colours or symbols, and loads nothing of the console before it is opened.
Invariants: an option stands before the environment, and that before what the terminal would get by itself; a name that there is
not is refused, and never taken for another.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click

from lbapp.cli.context import Settings, store

if TYPE_CHECKING:
    from lbapp.cli.context import Command
    from lbapp.tui.dressed import Look

THEMES: Final = ("dark", "light", "hc", "vt")
GLYPHS: Final = ("full", "vt", "ascii")
THEME_VARIABLE: Final = "LBAPP_THEME"
GLYPHS_VARIABLE: Final = "LBAPP_GLYPHS"


def look_options(command: Command) -> Command:
    """Give a command `--theme NAME` and `--glyphs NAME`."""
    for name, choices, help_text in (
        ("glyphs", GLYPHS, f"Symbols for this font (or ${GLYPHS_VARIABLE}); by itself for the terminal."),
        ("theme", THEMES, f"Colours for this background (or ${THEME_VARIABLE}); hc has none."),
    ):
        command = click.option(
            f"--{name}", type=click.Choice(choices), callback=store(name), expose_value=False, help=help_text
        )(command)
    return command


def look_of(settings: Settings) -> Look:
    """Return the look that is asked for. Raises click.UsageError for a name in the environment that there is not."""
    theme = settings.theme or _named(THEME_VARIABLE, THEMES)
    glyphs = settings.glyphs or _named(GLYPHS_VARIABLE, GLYPHS)
    from lbapp.tui.dressed import Look

    return Look.of(os.environ, theme, glyphs)


def _named(variable: str, choices: Sequence[str]) -> str | None:
    name = os.environ.get(variable) or None
    if name is not None and name not in choices:
        raise click.UsageError(f"{variable} is {name!r}: write {', '.join(choices[:-1])} or {choices[-1]}")
    return name
