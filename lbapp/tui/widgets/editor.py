"""The editor of a configuration: TOML in the colours of the theme.

Responsible for how it looks, and for staying quick with long files. Knows nothing of what is done with the text.
Invariant: beyond HIGHLIGHTED_LINES_MAX lines it is drawn plain, because colours would cost every key more than an eye
waits.
"""

from __future__ import annotations

from typing import Final

from rich.style import Style
from rich.text import Text
from textual.events import Key
from textual.theme import Theme
from textual.widgets import TextArea
from textual.widgets.text_area import TextAreaTheme

from lbapp.tui.format import clean
from lbapp.tui.pane import TypedInto
from lbapp.tui.themes import DARK, NAMES, STYLES

HIGHLIGHTED_LINES_MAX: Final = 1_000
EARLY_MAX: Final = 1_000  # keys that are kept until there is a text


def _theme(name: str) -> TextAreaTheme:
    plain = Style(color="default", bgcolor="default")
    tone = {tone: Style.parse(style or "none") for tone, style in STYLES[name].items()}
    return TextAreaTheme(
        name=name,
        base_style=plain,
        gutter_style=plain + tone["calm"],
        cursor_style=Style(reverse=True),
        cursor_line_style=plain,
        cursor_line_gutter_style=plain + tone["calm"] + Style(bold=True),
        bracket_matching_style=Style(bold=True),
        selection_style=Style(reverse=True),
        syntax_styles={
            "toml.type": tone["section"],
            "property": Style(bold=True),
            "string": tone["good"],
            "toml.datetime": tone["good"],
            "number": tone["warn"],
            "boolean": tone["warn"],
            "comment": tone["calm"],
            "toml.error": tone["bad"],
        },
    )


class Editor(TextArea, TypedInto):
    """The text of a configuration."""

    DEFAULT_CSS = """
    Editor, Editor:focus { border: none; padding: 0; height: 1fr; background: ansi_default; scrollbar-size: 0 0; }
    """

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id, soft_wrap=False, show_line_numbers=True, tab_behavior="indent", compact=True)
        for name in NAMES:
            self.register_theme(_theme(name))
        self.theme = DARK
        self.highlight_cursor_line = False
        self.is_waiting = False
        self._early: list[tuple[str, str | None]] = []

    def on_mount(self) -> None:
        """Wear what the console wears."""
        self._wear(self.app.current_theme)
        self.app.theme_changed_signal.subscribe(self, self._wear)

    def _wear(self, theme: Theme) -> None:
        self.theme = theme.name if theme.name in NAMES else DARK

    def get_line(self, line_index: int) -> Text:
        """Return a line as it is drawn: what a terminal might act on is replaced, cell by cell; the text itself is not."""
        text = self.document.get_line(line_index)
        drawn = text if text.isprintable() else "\t".join(clean(part) for part in text.split("\t"))
        return Text(drawn, end="", no_wrap=True)

    def put(self, text: str) -> None:
        """Edit this text, as if it had never been another; what was typed while it was waited for is typed into it."""
        self.language = "toml" if text.count("\n") <= HIGHLIGHTED_LINES_MAX else None
        self.load_text(text)
        early, self._early, self.is_waiting = self._early, [], False
        for key, character in early:
            self.post_message(Key(key, character))

    def wait(self, is_waiting: bool) -> None:
        """Keep what is typed until there is a text; or do so no longer, and forget it."""
        if is_waiting != self.is_waiting:
            self.is_waiting = is_waiting
            self._early.clear()

    async def _on_key(self, event: Key) -> None:
        if not self.is_waiting:
            await super()._on_key(event)
            return
        event.stop()
        event.prevent_default()
        if len(self._early) < EARLY_MAX:
            self._early.append((event.key, event.character))

    def go_to(self, line: int) -> None:
        """Put the cursor on a line, counted from 1."""
        self.move_cursor((max(0, min(line - 1, self.document.line_count - 1)), 0), center=True)
