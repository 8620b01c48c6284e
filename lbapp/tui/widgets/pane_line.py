"""A line of text within a pane.

Responsible for a text at the left and one at the right of the same line. Knows nothing of what they say. Invariant: the left
one is never shortened for the right one, which is left out where there is no room.
"""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len

from lbapp.tui.widgets.status_line import TextLine


class PaneLine(TextLine):
    """One line, as wide as its pane."""

    DEFAULT_CSS: ClassVar[str] = "PaneLine { height: 1; width: 1fr; }"

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)

    def say_both(self, left: str, right: str) -> None:
        """Show one text at the left and one at the right."""
        room = self.size.width - cell_len(left) - cell_len(right) - 1
        self.say(f"{left}{' ' * room}{right}" if right and room > 0 else left)
