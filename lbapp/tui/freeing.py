"""Screens whose lines are gone as soon as nothing shows them, and what else Textual remembers for too long.

Responsible for letting go of what was drawn. Knows nothing of what stands on them. A line that Textual (8.2) composes
and need not cut remembers that by a reference to itself. So it stays, with all that it remembers beside, until the collector of
cycles comes by: some kilobytes for each line of a screen, twice a second. The most that ever waits there is taken for good.

Invariants: what is drawn is the same; what a line remembers of having been cut is kept; what is forgotten is reckoned again.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from typing import Final

from rich import cells
from textual._compositor import Compositor
from textual.geometry import Region
from textual.screen import Screen, ScreenResultType
from textual.strip import Strip

PLACES_MAX: Final = 500  # of a kind: a screen has some hundred
TEXTS_MAX: Final = 1_500  # whose cells were counted: a screen has some hundred


class FreeingScreen(Screen[ScreenResultType]):
    """Keeps no line longer than it is shown."""

    def __init__(self, name: str | None = None, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(name, id, classes)
        self._compositor = _FreeingCompositor()


class _FreeingCompositor(Compositor):
    def _get_renders(self, crop: Region | None = None) -> Iterable[tuple[Region, Region, list[Strip]]]:
        for region, clip, strips in super()._get_renders(crop):
            yield region, clip, strips
            for strip in strips:  # which by now are cut
                _let_go_of_itself(strip)

    def clear(self) -> None:
        """Let go of widgets, as their screen is gone, and of what they have drawn, which they keep until they are collected."""
        for widget in self.widgets:
            widget._styles_cache.clear()
        super().clear()


def _let_go_of_itself(strip: Strip) -> None:
    cuts = strip._divide_cache
    if (strip.cell_length,) in cuts:
        cuts.clear()


def let_go_of_the_drawn() -> None:
    """Have Textual (8.2) and Rich (15.0) forget what they remember of screens that are gone.

    A cache of its own holds on to the last thousand widgets, and to their lines: 60 MB after some hundred dialogs. Others hold
    up to 4,096 places each, half a kilobyte apiece, and one of Rich as many texts. There is no word for this; where a cache is
    none any more, nothing is done.
    """
    with suppress(ImportError):
        styles = getattr(import_module("textual._styles_cache"), "StylesCache", None)
        _forget(getattr(styles, "get_inner_outer", None), 0)
    for reckoned in (Region.intersection, Region.overlaps, Region.contains_region, Region.translate):
        _forget(reckoned, PLACES_MAX)
    _forget(getattr(cells, "cached_cell_len", None), TEXTS_MAX)


def _forget(cached: object, at_most: int) -> None:
    """Empty the cache of a function that has more than so many answers."""
    info, clear = getattr(cached, "cache_info", None), getattr(cached, "cache_clear", None)
    if info is not None and clear is not None and info().currsize > at_most:
        clear()
