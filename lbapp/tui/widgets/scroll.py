"""What scrolls up and down and takes keys for it.

Responsible for these keys and their words. Knows nothing of what is scrolled. Invariant: it has no other keys: left and right are
those of the pane, and what cannot be done here is not offered by the help.
"""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll


class Scroll(VerticalScroll, can_focus=True, inherit_bindings=False):
    """A column of widgets that may be higher than it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "scroll_up", "up", show=False, id="scroll.up"),
        Binding("down", "scroll_down", "down", show=False, id="scroll.down"),
        Binding("pageup", "page_up", "page up", show=False, id="scroll.page.up"),
        Binding("pagedown", "page_down", "page down", show=False, id="scroll.page.down"),
        Binding("home", "scroll_home", "first", show=False, id="scroll.first"),
        Binding("end", "scroll_end", "last", show=False, id="scroll.last"),
    ]
