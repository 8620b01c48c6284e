"""Some lines of text in the colours of their tones.

Responsible for drawing them as they are. Knows nothing of what they say. Invariant: nothing is repainted that has not changed.
"""

from __future__ import annotations

from textual.widgets import Static

from lbapp.tui.tones import Line, painted


class Block(Static):
    """Lines of pieces; `say` shows others."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id, markup=False)
        self.lines: list[Line] = []

    def on_mount(self) -> None:
        """Take the colours of another theme when it is chosen."""
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self.update(painted(self.lines)))

    def say(self, lines: list[Line]) -> None:
        """Show these lines."""
        if lines != self.lines:
            is_as_high = len(lines) == len(self.lines)
            self.lines = lines
            self.update(painted(lines), layout=not is_as_high)
