"""The editor of a configuration: TOML in the terminal's own colours.

Responsible for how it looks, and for staying quick with long files. Knows nothing of what is done with the text.
Invariant: beyond HIGHLIGHTED_LINES_MAX lines it is drawn plain, because colours would cost every key more than an eye
waits.
"""

from __future__ import annotations

from typing import Final

from rich.style import Style
from rich.text import Text
from textual.widgets import TextArea
from textual.widgets.text_area import TextAreaTheme

from lbapp.tui.format import clean

HIGHLIGHTED_LINES_MAX: Final = 1_000
_THEME: Final = "lbapp"


def _theme() -> TextAreaTheme:
    plain = Style(color="default", bgcolor="default")
    return TextAreaTheme(
        name=_THEME,
        base_style=plain,
        gutter_style=Style(color="cyan", bgcolor="default"),
        cursor_style=Style(reverse=True),
        cursor_line_style=plain,
        cursor_line_gutter_style=Style(color="cyan", bgcolor="default", bold=True),
        bracket_matching_style=Style(bold=True),
        selection_style=Style(reverse=True),
        syntax_styles={
            "toml.type": Style(color="magenta", bold=True),
            "property": Style(bold=True),
            "string": Style(color="green"),
            "toml.datetime": Style(color="green"),
            "number": Style(color="yellow"),
            "boolean": Style(color="yellow"),
            "comment": Style(color="cyan"),
            "toml.error": Style(color="red", bold=True),
        },
    )


class Editor(TextArea):
    """The text of a configuration."""

    DEFAULT_CSS = """
    Editor, Editor:focus { border: none; padding: 0; height: 1fr; background: ansi_default; scrollbar-size: 0 0; }
    """

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id, soft_wrap=False, show_line_numbers=True, tab_behavior="indent", compact=True)
        self.register_theme(_theme())
        self.theme = _THEME
        self.highlight_cursor_line = False

    def get_line(self, line_index: int) -> Text:
        """Return a line as it is drawn: what a terminal might act on is replaced, cell by cell; the text itself is not."""
        text = self.document.get_line(line_index)
        drawn = text if text.isprintable() else "\t".join(clean(part) for part in text.split("\t"))
        return Text(drawn, end="", no_wrap=True)

    def put(self, text: str) -> None:
        """Edit this text, as if it had never been another."""
        self.language = "toml" if text.count("\n") <= HIGHLIGHTED_LINES_MAX else None
        self.load_text(text)

    def go_to(self, line: int) -> None:
        """Put the cursor on a line, counted from 1."""
        self.move_cursor((max(0, min(line - 1, self.document.line_count - 1)), 0), center=True)
