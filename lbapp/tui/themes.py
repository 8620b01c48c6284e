"""The four looks of the console: what colour and weight a tone has in each of them.

Responsible for the one table of tones and styles, for what style sheets and texts read off it, and for which look a terminal
gets. Knows nothing of widgets or of what a tone is for.

Invariants: only the terminal's own eight colours, bold and reverse, never a brightness; in `hc` no colour at all, in `light` no
yellow, in `vt` no bold tone, because a Linux console draws bold as bright. What a tone says is said by a symbol or word, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from textual.theme import BUILTIN_THEMES, Theme

from lbapp.tui.glyphs import is_linux_console

DARK, LIGHT, HC, VT = "dark", "light", "hc", "vt"
# Each of a colour, bold and reverse, as Rich writes styles. `section`: a heading in a configuration.
STYLES: Final[Mapping[str, Mapping[str, str]]] = {
    DARK: {"good": "green", "bad": "bold red", "warn": "yellow", "calm": "cyan", "section": "bold magenta"},
    LIGHT: {"good": "green", "bad": "bold red", "warn": "magenta", "calm": "blue", "section": "bold blue"},
    HC: {"good": "", "bad": "bold reverse", "warn": "bold", "calm": "", "section": "bold"},
    VT: {"good": "green", "bad": "red", "warn": "yellow", "calm": "cyan", "section": "magenta"},
}
NAMES: Final = tuple(STYLES)
_ATTRIBUTES: Final = ("bold", "reverse")
# What Textual would draw in bright colours, which eight-colour terminals do not have: the screen's own selection.
_OWN: Final = {"screen-selection-background": "ansi_white", "screen-selection-foreground": "ansi_black"}


def theme_for(environment: Mapping[str, str]) -> str:
    """Return the look for the terminal that the environment names; NO_COLOR is obeyed, whatever its value."""
    if "NO_COLOR" in environment:
        return HC
    return VT if is_linux_console(environment) else DARK


def rich_styles(name: str) -> dict[str, str]:
    """Return the styles of a look by the names that texts are written with: `tone.bad`; plain text has none."""
    return {f"tone.{tone}": style or "none" for tone, style in STYLES[name].items()}


def variables(name: str) -> dict[str, str]:
    """Return the same for style sheets: `$tone-bad` is a colour, `$tone-bad-style` bold, reverse or none."""
    found = {}
    for tone, style in STYLES[name].items():
        words = style.split()
        colour = next((word for word in words if word not in _ATTRIBUTES), "default")
        found[f"tone-{tone}"] = f"ansi_{colour}"
        found[f"tone-{tone}-style"] = " ".join(word for word in words if word in _ATTRIBUTES) or "none"
    return found


def textual_theme(name: str) -> Theme:
    """Return the look as the library knows it."""
    base = BUILTIN_THEMES["ansi-light" if name == LIGHT else "ansi-dark"]
    return replace(base, name=name, variables={**base.variables, **_OWN, **variables(name)})
