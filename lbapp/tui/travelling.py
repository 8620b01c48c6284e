"""The keys that lead through time.

Responsible for what each of them does. Knows nothing of what is recorded. Invariant: they exist on every screen, and the way back
to now exists wherever it is not now.
"""

from __future__ import annotations

from typing import ClassVar, Final

from textual.binding import Binding, BindingType

from lbapp.tui.dialogs.time import AskTime
from lbapp.tui.sparing import SparingScreen
from lbapp.tui.travel import Start, Travel

TEN: Final = 10


class Travelling(SparingScreen[None]):
    """Steps, a time that is asked for, and the way back."""

    travel: Travel

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left_square_bracket", "step(-1)", "back in time", show=False, id="past.back"),
        Binding("right_square_bracket", "step(1)", "on in time", show=False, id="past.on"),
        Binding("left_curly_bracket", f"step({-TEN})", "ten steps back in time", show=False, id="past.back-far"),
        Binding("right_curly_bracket", f"step({TEN})", "ten steps on in time", show=False, id="past.on-far"),
        Binding("t", "ask_time", "show a time", show=False, priority=True, id="past.time"),
        Binding("0", "now", "now", id="past.now"),
    ]

    def action_step(self, steps: int) -> None:
        """Go so many steps in time; back where it is below 0."""
        self.travel.step(steps)
        self.run_worker(self.travel.walk(), group="time")

    def action_ask_time(self) -> None:
        """Ask for a time and show it."""

        def answered(start: Start | None) -> None:
            if start is not None:
                self.run_worker(self.travel.go(start), group="time")

        self.app.push_screen(AskTime(self.travel.now()), answered)

    def action_now(self) -> None:
        """Show the newest again."""
        self.travel.come_home()
