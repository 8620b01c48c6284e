"""What every dialog is: it is answered once.

Responsible for what comes behind the answer: a dialog takes keys and hears its timers until it is taken down. Knows nothing of
what is asked. Invariant: an answer takes off the dialog itself and nothing else, so a dialog that is gone or lies below another
one answers nothing.
"""

from __future__ import annotations

from textual.await_complete import AwaitComplete
from textual.screen import ModalScreen, ScreenResultType

from lbapp.tui.freeing import FreeingScreen, let_go_of_the_drawn
from lbapp.tui.settling import sweep_soon


class Dialog(ModalScreen[ScreenResultType], FreeingScreen[ScreenResultType]):
    """A dialog that is dismissed with an answer."""

    def on_unmount(self) -> None:
        """Let go of what was drawn, and of itself."""
        let_go_of_the_drawn()
        sweep_soon()

    def dismiss(self, result: ScreenResultType | None = None) -> AwaitComplete:
        """Answer and leave, if this is what is in sight; Textual's own takes off whatever is."""
        return super().dismiss(result) if self.app.screen is self else AwaitComplete()
