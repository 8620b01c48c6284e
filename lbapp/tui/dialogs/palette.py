"""Finding a screen, a pool, a server or an action by a few letters of its name.

Responsible for typing and choosing. Knows nothing of what is chosen. Invariants: whatever is typed goes into the line, so that no
letter is ever an action; a thousand servers are looked through at each key.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.app import ComposeResult
from textual.events import Key, Paste
from textual.widgets import Static

from lbapp.tui.actions.finding import Choice, find
from lbapp.tui.dialogs.dialog import Dialog
from lbapp.tui.dialogs.form import Line
from lbapp.tui.dialogs.frame import Frame
from lbapp.tui.dialogs.menu import STEPS
from lbapp.tui.widgets.choices import Choices


class Palette(Dialog[str | None]):
    """Asks for one of very many; dismisses with its id."""

    AUTO_FOCUS = ""

    def __init__(self, choices: Sequence[Choice]) -> None:
        super().__init__()
        self._all = [(f"{choice.title} {choice.note}".lower(), choice) for choice in choices]
        self._line = Line()
        self._typed = Static(markup=False)
        self._choices = Choices(36, id="palette-choices")
        self._said = Static(Text("Enter chooses, Esc leaves"), markup=False)

    def compose(self) -> ComposeResult:
        """Lay the palette out."""
        with Frame(classes="-tall"):
            yield self._typed
            yield self._choices
            yield self._said

    def on_mount(self) -> None:
        """Show everything."""
        self._find()

    def _find(self) -> None:
        self._typed.update(Text.assemble("find: ", self._line.drawn()))
        self._choices.show(find(self._all, self._line.text))

    def on_key(self, event: Key) -> None:
        """Take every key."""
        event.stop()
        event.prevent_default()
        if event.key in ("escape", "ctrl+p"):
            self.dismiss(None)
        elif event.key in ("up", "down", "pageup", "pagedown"):
            self._choices.move(STEPS[event.key])
        elif event.key == "enter":
            self._choose(self._choices.chosen)
        elif self._line.press(event.key, event.character):
            self._find()

    def on_paste(self, event: Paste) -> None:
        """Type what is pasted."""
        self._line.type(event.text)
        self._find()

    def on_choices_clicked(self) -> None:
        """Choose what is clicked."""
        self._choose(self._choices.chosen)

    def _choose(self, choice: Choice | None) -> None:
        if choice is None:
            self._said.update(Text("! nothing is named so", style="bold"))
        elif choice.why_not:
            self._said.update(Text(f"! {choice.title}: {choice.why_not}", style="bold"))
        else:
            self.dismiss(choice.id)
