"""A page of text over the main screen: details, help.

Responsible for showing text that may change while it is looked at, and for scrolling it. Knows nothing of what it says.
Invariants: text is drawn as it is, never read as markup; how to leave, and that there is more, always stands on the frame.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from lbapp.tui.dialogs.dialog import Dialog

_REFRESH_S = 0.5
_LEAVE = "Esc closes"
_MORE = "Esc closes, up and down scroll"


class Page(Dialog[None]):
    """Shows what `write` returns, anew twice a second."""

    AUTO_FOCUS = "#page"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q,question_mark,f1", "close", "close"),
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

    def on_mount(self) -> None:
        """Keep the text up to date."""
        self.call_after_refresh(self._tell_how_to_leave)
        self.set_interval(_REFRESH_S, self._rewrite)

    def _rewrite(self) -> None:
        self.query_one("#text", Static).update(Text(self._write()))
        self._tell_how_to_leave()

    def on_resize(self) -> None:
        """Say anew whether there is more."""
        self.call_after_refresh(self._tell_how_to_leave)

    def _tell_how_to_leave(self) -> None:
        page = self.query_one("#page", VerticalScroll)
        page.border_subtitle = _MORE if page.max_scroll_y else _LEAVE

    def action_close(self) -> None:
        """Go back."""
        self.dismiss(None)

    def action_scroll(self, lines: int) -> None:
        """Scroll by lines."""
        self.query_one("#page", VerticalScroll).scroll_relative(y=lines, animate=False)
