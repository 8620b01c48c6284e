"""An application and a screen that have their terminal draw no more than what is other, and once for all that belongs together.

Responsible for the bytes of a partial update, for what a move of the focus has drawn, and for when a screen is drawn. Knows
nothing of what is shown. Textual (8.2) sends each line from where its widget begins up to the end of the change; here it is
sent from where the change begins. And it draws at the first word of a change and once more behind each layout; what belongs
to it comes a moment later, in messages from widget to widget, and waits for the next frame. Here a screen is drawn when no
message is under way any more. What Textual gives beside partial updates is sent as it is.

Invariants: each cell that is to be drawn is sent, with the same codes that Textual gives it; what a layout has changed is
drawn, too; no drawing waits for more than HOPS_MAX messages one behind the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console, RenderableType
from rich.control import Control
from textual._compositor import ChopsUpdate
from textual.app import App
from textual.await_remove import AwaitRemove
from textual.dom import DOMNode
from textual.geometry import Size
from textual.reactive import Reactive
from textual.screen import UPDATE_PERIOD, Screen, ScreenResultType
from textual.timer import Timer
from textual.widget import Widget

from lbapp.tui.driver import WaitingDriver
from lbapp.tui.freeing import FreeingScreen

HOPS_MAX: Final = 16  # from a key in a field over its list to what both have drawn are eight
_LAYOUTS_MAX: Final = 3  # for one picture: a widget that gets another size may ask for one more


class Sparing(App[None]):
    """Draws changes only, and has no widgets in its screens that show nothing."""

    def __init__(self, *, ansi_color: bool | None = None) -> None:
        super().__init__(driver_class=WaitingDriver, ansi_color=ansi_color)
        # Else each screen, and so each dialog, has one for hints at the mouse and one for notifications: there are neither.
        self._disable_tooltips = self._disable_notifications = True

    def _prune(self, *nodes: Widget, parent: DOMNode | None = None) -> AwaitRemove:
        """Take nodes out. What lies below a screen that goes is drawn by then: it needs no layout, nor to be drawn once more."""
        is_screen = any(isinstance(node, Screen) for node in nodes)
        return super()._prune(*nodes, parent=None if is_screen else parent)

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        super()._display(screen, _Changes.of(renderable) if isinstance(renderable, ChopsUpdate) else renderable)


class SparingScreen(FreeingScreen[ScreenResultType]):
    """Is drawn once for all that belongs together, and not anew, all of it, when the focus moves."""

    focused: Reactive[Widget | None] = Reactive(None, repaint=False)  # those that lose and get it draw themselves
    _picture_timer: Timer | None = None
    _may_not_paint = False  # nothing is drawn now

    @property
    def _update_timer(self) -> Timer:
        if self._picture_timer is None:
            self._picture_timer = self.set_interval(
                UPDATE_PERIOD, self._paint_together, name="screen_update", pause=True
            )
        return self._picture_timer

    async def _paint_together(self) -> None:
        """Draw what is other, when all of it is there."""
        with self._without_painting():
            for _ in range(_LAYOUTS_MAX):
                await self._let_arrive()
                if not (self._layout_required or self._scroll_required):
                    break
                super()._on_timer_update()
        self._on_timer_update()

    async def _let_arrive(self) -> None:
        """Let messages arrive."""
        for _ in range(HOPS_MAX):
            if all(node._message_queue.empty() for node in self.app._registry):
                return
            await asyncio.sleep(0)

    @contextmanager
    def _without_painting(self) -> Iterator[None]:
        before, self._may_not_paint = self._may_not_paint, True
        try:
            yield
        finally:
            self._may_not_paint = before

    def _on_timer_update(self) -> None:
        """Lay out and draw now, as Textual does and as its tests ask for."""
        super()._on_timer_update()
        if self._compositor._dirty_regions and self.is_current:
            self._compositor_refresh()
        self._update_timer.pause()

    def _refresh_layout(self, size: Size | None = None, scroll: bool = False) -> None:
        with self._without_painting():
            super()._refresh_layout(size, scroll)
        self._update_timer.resume()

    def _compositor_refresh(self) -> None:
        """Draw; or have what lies above draw what is other here."""
        if self._may_not_paint:
            return
        stack = self.app.screen_stack
        above = stack[stack.index(self) + 1 :] if self in stack else []
        if not above:
            super()._compositor_refresh()
        elif self.is_current and (others := self._compositor._dirty_regions):
            for screen in above[:-1]:
                screen._set_dirty(*others)
            above[-1].refresh(*others)
            self._compositor._dirty_regions = set()
            self._dirty_widgets.clear()


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
