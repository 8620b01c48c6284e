"""The editor of a configuration: TOML in the colours of the theme.

Responsible for how it looks, and for staying quick with long files. Knows nothing of what is done with the text.
Invariants: of what a key costs only the copy of the text that is told of grows with it; colours are found for what is drawn only.
Beyond HIGHLIGHTED_LINES_MAX lines it is drawn plain, because to read the text anew for them would cost more than an eye waits.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final

from rich.style import Style
from rich.text import Text
from textual._tree_sitter import get_language
from textual.cache import LRUCache
from textual.document._document import Location
from textual.document._document_navigator import DocumentNavigator
from textual.events import Key
from textual.strip import Strip
from textual.theme import Theme
from textual.widgets import TextArea
from textual.widgets.text_area import TextAreaTheme

from lbapp.tui.format import clean
from lbapp.tui.pane import TypedInto
from lbapp.tui.themes import DARK, NAMES, STYLES
from lbapp.tui.widgets.long_text import Coloured, Plain, Unwrapped

HIGHLIGHTED_LINES_MAX: Final = 1_000
EARLY_MAX: Final = 1_000  # keys that are kept until there is a text
BRACKET_LETTERS_MAX: Final = 4_000  # from a bracket on that are looked through for the other one
DRAWN_LINES_MAX: Final = 128  # that are kept as they were drawn: those in sight, and where the cursor has just been
_BLOCK: Final = 64  # lines whose colours are found together


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
        self._coloured: set[int] = set()  # blocks whose colours are known
        super().__init__(id=id, soft_wrap=False, show_line_numbers=True, tab_behavior="indent", compact=True)
        self._line_cache = LRUCache(DRAWN_LINES_MAX)  # Textual's has 1,024, of some kilobytes each
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

    def _set_document(self, text: str, language: str | None) -> None:
        """Have another text, as Textual has it (8.2), but of documents whose edits cost the same however long they are."""
        known = get_language(language) if language else None
        document = Plain(text) if known is None else Coloured(text, known)
        query = None if known is None else document.prepare_query(self._get_builtin_highlight_query(language or ""))
        self._highlight_query = query
        self.document = document
        self.wrapped_document = Unwrapped(document, tab_width=self.indent_width)
        self.navigator = DocumentNavigator(self.wrapped_document)
        self._build_highlight_map()
        self.move_cursor((0, 0))
        self._rewrap_and_refresh_virtual_size()

    def _build_highlight_map(self) -> None:
        """Forget all colours; they are found again for what is drawn."""
        self._line_cache.clear()
        self._highlights.clear()
        self._coloured.clear()

    def _render_line(self, y: int) -> Strip:
        self._colour((y + self.scroll_offset.y) // _BLOCK)
        return super()._render_line(y)

    def _colour(self, block: int) -> None:
        """Find the colours of some lines, if they are not known."""
        if self._highlight_query is None or block in self._coloured:
            return
        self._coloured.add(block)
        first, end = block * _BLOCK, (block + 1) * _BLOCK
        for name, nodes in self.document.query_syntax_tree(self._highlight_query, (first, 0), (end, 0)).items():
            for node in nodes:
                (top, left), (bottom, right) = node.start_point, node.end_point
                for row in range(max(top, first), min(bottom + 1, end)):
                    from_byte, to_byte = left if row == top else 0, right if row == bottom else None
                    self._highlights[row].append((from_byte, to_byte, name))

    def _yield_character_locations(self, start: Location) -> Iterable[tuple[str, Location]]:
        return islice(super()._yield_character_locations(start), BRACKET_LETTERS_MAX)

    def _yield_character_locations_reverse(self, start: Location) -> Iterable[tuple[str, Location]]:
        return islice(super()._yield_character_locations_reverse(start), BRACKET_LETTERS_MAX)

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
