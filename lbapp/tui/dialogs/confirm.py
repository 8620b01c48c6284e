"""The question before a change that takes clients away from a server.

Responsible for asking, with Cancel in focus. Knows nothing of what is asked. Invariant: only `y`, or Enter or a click on
the other button, says yes; Enter alone right after the dialog opened never does.
"""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Static

from lbapp.tui.dialogs.dialog import Dialog


class Confirm(Dialog[bool]):
    """Asks yes or no; dismisses with the answer."""

    AUTO_FOCUS = "#cancel"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "yes"),
        Binding("escape,n", "answer(False)", "cancel"),
        Binding("left,right", "other", "other button", show=False),
    ]

    def __init__(self, title: str, effect: str, verb: str) -> None:
        super().__init__()
        self._title = title
        self._effect = effect
        self._verb = verb

    def compose(self) -> ComposeResult:
        """Lay the dialog out."""
        with Vertical(classes="dialog"):
            yield Static(Text(self._title, style="bold"), markup=False)
            yield Static(Text(self._effect), classes="effect", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button(Text(f"{self._verb} (y)"), id="yes", compact=True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer as the button says."""
        self.dismiss(event.button.id == "yes")

    def action_answer(self, is_yes: bool) -> None:
        """Answer."""
        self.dismiss(is_yes)

    def action_other(self) -> None:
        """Move to the other button."""
        self.focus_next()
