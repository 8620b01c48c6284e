"""An application and a screen that have their terminal draw no more than what is other.

Responsible for the bytes of a partial update, and for what a move of the focus has drawn. Knows nothing of what is shown. Textual
(8.2) sends each line from where its widget begins up to the end of the change; here it is sent from where the change begins. What
it gives beside partial updates is sent as it is.

Invariant: each cell that is to be drawn is sent, with the same codes that Textual gives it.
"""

from __future__ import annotations

from rich.console import Console, RenderableType
from rich.control import Control
from textual._compositor import ChopsUpdate
from textual.app import App
from textual.reactive import Reactive
from textual.screen import Screen, ScreenResultType
from textual.widget import Widget

from lbapp.tui.freeing import FreeingScreen


class Sparing(App[None]):
    """Draws changes only."""

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        super()._display(screen, _Changes.of(renderable) if isinstance(renderable, ChopsUpdate) else renderable)


class SparingScreen(FreeingScreen[ScreenResultType]):
    """Is not drawn anew, all of it, when the focus moves: those that lose and get it draw themselves."""

    focused: Reactive[Widget | None] = Reactive(None, repaint=False)


class _Changes(ChopsUpdate):
    @classmethod
    def of(cls, update: ChopsUpdate) -> _Changes:
        """Return the same update."""
        return cls(update.chops, update.spans, update.chop_ends)

    def render_segments(self, console: Console) -> str:
        """Return what is written to the terminal."""
        written: list[str] = []
        for y, first, end in self.spans:
            for its_end, (its_first, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                left, right = max(first, its_first), min(end, its_end)
                if strip is not None and left < right:
                    written.append(Control.move_to(left, y).segment.text)
                    written.append(strip.crop(left - its_first, right - its_first).render(console))
        return "".join(written)
