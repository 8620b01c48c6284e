"""What every dialog is: it is answered once.

Responsible for what comes behind the answer: a dialog takes keys and hears its timers until it is taken down. Knows nothing of
what is asked. Invariant: an answer takes off the dialog itself and nothing else, so a dialog that is gone or lies below another
one answers nothing.
"""

from __future__ import annotations

from textual.await_complete import AwaitComplete
from textual.screen import ModalScreen, ScreenResultType


class Dialog(ModalScreen[ScreenResultType]):
    """A dialog that is dismissed with an answer."""

    def dismiss(self, result: ScreenResultType | None = None) -> AwaitComplete:
        """Answer and leave, if this is what is in sight; Textual's own takes off whatever is."""
        return super().dismiss(result) if self.app.screen is self else AwaitComplete()
