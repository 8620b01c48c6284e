"""What every dialog is: it is answered once, and what lies below it is drawn as it was put together there.

Responsible for what comes behind the answer: a dialog takes keys and hears its timers until it is taken down; and for the lines
beside it. Knows nothing of what is asked. Textual (8.2) has all of the screen below written, read and put together anew for each
line that is drawn.

Invariants: an answer takes off the dialog itself and nothing else, so a dialog that is gone or lies below another one answers
nothing; beside a dialog stands what stands below it now.
"""

from __future__ import annotations

from textual.await_complete import AwaitComplete
from textual.geometry import Region
from textual.screen import ModalScreen, Screen, ScreenResultType
from textual.strip import Strip

from lbapp.tui.freeing import let_go_of_the_drawn
from lbapp.tui.settling import sweep_soon
from lbapp.tui.sparing import SparingScreen


class Dialog(ModalScreen[ScreenResultType], SparingScreen[ScreenResultType]):
    """A dialog that is dismissed with an answer."""

    def __init__(self) -> None:
        self._beside: dict[int, Strip] = {}  # the lines of what lies below, by their number, as long as they stay so
        super().__init__()

    def on_unmount(self) -> None:
        """Let go of what was drawn, and of itself."""
        let_go_of_the_drawn()
        sweep_soon()

    def dismiss(self, result: ScreenResultType | None = None) -> AwaitComplete:
        """Answer and leave, if this is what is in sight; Textual's own takes off whatever is."""
        return super().dismiss(result) if self.app.screen is self else AwaitComplete()

    def _set_dirty(self, *regions: Region) -> None:
        super()._set_dirty(*regions)
        if not regions:
            self._beside.clear()
        for region in regions:
            for y in region.line_range:
                self._beside.pop(y, None)

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return lines of what lies below. In colours that are mixed with it they are Textual's own."""
        stack = self.app.screen_stack
        place = stack.index(self) if self in stack else 0
        if not place or self.styles.background.a:
            return super().render_lines(crop)
        if missing := [y for y in crop.line_range if y not in self._beside]:
            self._look_below(stack[place - 1], missing)
        return [self._beside[y].crop(*crop.column_span) for y in crop.line_range]

    def _look_below(self, below: Screen[object], lines: list[int]) -> None:
        chops = below._compositor._render_chops(below.size.region, set(lines).__contains__)
        for y in lines:
            self._beside[y] = Strip.join(chops[y].values() if y < len(chops) else ()).adjust_cell_length(
                self.size.width
            )
