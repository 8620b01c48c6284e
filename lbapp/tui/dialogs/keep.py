"""The question behind a configuration that serves on trial: keep it or go back.

Responsible for asking with the time that is left. Knows nothing of configurations. Invariants: Enter alone right after
it opened decides nothing; when the time is over it closes, as it has been decided by then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Static

from lbapp.tui.dialogs.dialog import Dialog

Answer = Literal["keep", "back", "later"]
_REFRESH_S = 0.5


class Keep(Dialog[Answer]):
    """Asks whether what serves stays. `left_s` returns the seconds left, None when it is decided."""

    AUTO_FOCUS = "#later"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer('keep')", "keep it", id="keep.yes"),
        Binding("n", "answer('back')", "go back", id="keep.no"),
        Binding("escape", "answer('later')", "look around first", id="keep.later"),
        Binding("left", "app.focus_previous", "button before", show=False, id="keep.before"),
        Binding("right", "app.focus_next", "next button", show=False, id="keep.next"),
    ]

    def __init__(self, number: int, left_s: Callable[[], float | None]) -> None:
        super().__init__()
        self._number = number
        self._left_s = left_s

    def compose(self) -> ComposeResult:
        """Lay the dialog out."""
        with Vertical(classes="dialog"):
            yield Static(Text(f"Configuration {self._number} serves. Keep it?", style="bold"), markup=False)
            yield Static(self._line(), id="left", classes="effect", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Look around first", id="later", compact=True)
                yield Button("Keep (y)", id="keep", compact=True)
                yield Button("Go back (n)", id="back", compact=True)

    def _line(self) -> Text:
        left_s = self._left_s()
        if left_s is None:
            return Text("It is decided.")
        return Text(f"It is taken back by itself in {max(0.0, left_s):.0f} s, also when this console is gone.")

    def on_mount(self) -> None:
        """Count down."""
        self.set_interval(_REFRESH_S, self._count)

    def _count(self) -> None:
        if self._left_s() is None:
            self.dismiss("later")
        else:
            self.query_one("#left", Static).update(self._line())

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer as the button says."""
        answers: dict[str | None, Answer] = {"keep": "keep", "back": "back"}
        self.dismiss(answers.get(event.button.id, "later"))

    def action_answer(self, answer: Answer) -> None:
        """Answer."""
        self.dismiss(answer)
