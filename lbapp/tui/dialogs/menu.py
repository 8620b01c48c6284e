"""Every action of what is selected, with its key, its class, and why it is not possible where it is not.

Responsible for choosing one of them. Knows nothing of what an action does. Invariant: only what is possible can be chosen; what
is not says why when it is tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.text import Text
from textual.app import ComposeResult
from textual.events import Key
from textual.widgets import Static

from lbapp.tui.actions.finding import Choice
from lbapp.tui.dialogs.dialog import Dialog
from lbapp.tui.dialogs.frame import Frame
from lbapp.tui.widgets.choices import Choices

HELP: Final = "Enter or its key chooses, Esc leaves"
STEPS: Final = {"up": -1, "down": 1, "pageup": -10, "pagedown": 10, "home": -1000, "end": 1000}


class Menu(Dialog[str | None]):
    """Asks for one of the choices; dismisses with its id. `keys`: a key, as Textual names it, to the id that it chooses."""

    AUTO_FOCUS = ""

    def __init__(self, title: str, choices: Sequence[Choice], keys: dict[str, str]) -> None:
        super().__init__()
        self._title = title
        self._all = choices
        self._keys = keys
        self._choices = Choices(20, id="menu-choices")
        self._said = Static(Text(HELP), id="menu-said", markup=False)

    def compose(self) -> ComposeResult:
        """Lay the menu out."""
        with Frame():
            yield Static(Text(self._title, style="bold"), markup=False)
            yield self._choices
            yield self._said

    def on_mount(self) -> None:
        """Show the choices."""
        self._choices.styles.height = min(len(self._all), max(1, self.size.height - 4))
        self._choices.show(self._all)

    def on_key(self, event: Key) -> None:
        """Take every key."""
        event.stop()
        event.prevent_default()
        if event.key in ("escape", "q", "x"):
            self.dismiss(None)
        elif event.key in STEPS:
            self._choices.move(STEPS[event.key])
        elif event.key == "enter":
            self._choose(self._choices.chosen)
        elif event.key in self._keys or event.character in self._keys:
            wanted = self._keys.get(event.key) or self._keys[event.character or ""]
            self._choose(next(choice for choice in self._all if choice.id == wanted))

    def on_choices_clicked(self) -> None:
        """Choose what is clicked."""
        self._choose(self._choices.chosen)

    def _choose(self, choice: Choice | None) -> None:
        if choice is None:
            return
        if choice.why_not:
            self._said.update(Text(f"! {choice.title}: {choice.why_not}", style="bold"))
        else:
            self.dismiss(choice.id)
