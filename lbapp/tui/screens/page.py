"""A page of text over the main screen: details, help.

Responsible for showing text that may change while it is looked at, and for scrolling it. Knows nothing of what it says.
Invariant: text is drawn as it is, never read as markup.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

_REFRESH_S = 0.5


class Page(ModalScreen[None]):
    """Shows what `write` returns, anew twice a second."""

    AUTO_FOCUS = "#page"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q,question_mark", "close", "close"),
        Binding("down,j", "scroll(1)", "down", show=False),
        Binding("up,k", "scroll(-1)", "up", show=False),
    ]

    def __init__(self, title: str, write: Callable[[], str]) -> None:
        super().__init__()
        self._title = title
        self._write = write

    def compose(self) -> ComposeResult:
        """Lay the page out."""
        with VerticalScroll(id="page", classes="dialog wide"):
            yield Static(Text(self._title, style="bold"), markup=False)
            yield Static(Text(self._write()), id="text", markup=False)
            yield Static(Text("Esc closes"), markup=False)

    def on_mount(self) -> None:
        """Keep the text up to date."""
        self.set_interval(_REFRESH_S, self._rewrite)

    def _rewrite(self) -> None:
        self.query_one("#text", Static).update(Text(self._write()))

    def action_close(self) -> None:
        """Go back."""
        self.dismiss(None)

    def action_scroll(self, lines: int) -> None:
        """Scroll by lines."""
        self.query_one("#page", VerticalScroll).scroll_relative(y=lines, animate=False)
