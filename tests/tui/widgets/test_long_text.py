from __future__ import annotations

import gc
import random
import sys

import pytest
from textual._tree_sitter import get_language
from textual.document._document import Document
from textual.document._wrapped_document import WrappedDocument
from textual.widgets import TextArea
from tree_sitter import Query

from lbapp.tui.widgets.long_text import WIDTH_STEP, Coloured, Plain, Unwrapped


def test_size_and_rows_after_any_edits_are_those_of_a_text_that_is_measured_anew() -> None:
    chance = random.Random(1)
    text = "".join(f"a{number} = {'x' * (number * 7 % 90)}\n" for number in range(40))
    plain, like = Plain(text), Document(text)
    rows = Unwrapped(plain)
    plain.get_size(4)
    for _ in range(400):
        start, end = ((row := chance.randrange(plain.line_count), chance.randint(0, len(plain[row]))) for _ in range(2))
        written = chance.choice(["", "x", "\n", "\t", "two\nlines", "界" * 40, "a\nb\nc\n"])
        result = plain.replace_range(start, end, written)
        assert like.replace_range(start, end, written) == result
        rows.wrap_range(min(start, end), max(start, end), result.end_location)
        width, height = like.get_size(4)
        assert plain.text == like.text
        assert plain.get_size(4) == ((width // WIDTH_STEP + 1) * WIDTH_STEP, height)
        known = WrappedDocument(like)
        assert (rows.height, rows._offset_to_line_info, rows._line_index_to_offsets) == (
            known.height,
            known._offset_to_line_info,
            known._line_index_to_offsets,
        )


def test_colours_after_any_edits_are_those_of_a_text_that_is_read_anew() -> None:
    language = get_language("toml")
    assert language is not None
    chance = random.Random(2)
    text = Coloured("".join(f'a{number} = "{number}ü"\n[t{number}]\n' for number in range(30)), language)
    query = text.prepare_query(TextArea._get_builtin_highlight_query("toml"))
    assert query is not None
    for _ in range(200):
        start, end = ((row := chance.randrange(text.line_count), chance.randint(0, len(text[row]))) for _ in range(2))
        if abs(start[0] - end[0]) > 1:
            end = start
        text.replace_range(start, end, chance.choice(["", "x", "\n", '"', "[", "]\n", "界 = 1\n", "# ü"]))
        assert parts(text, query) == parts(Coloured(text.text, language), query)


def parts(text: Coloured, query: Query) -> dict[str, list[tuple[int, int]]]:
    """Where in the text each kind of part stands, in bytes."""
    found = text.query_syntax_tree(query)
    return {name: sorted((node.start_byte, node.end_byte) for node in nodes) for name, nodes in found.items()}


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_editing_keeps_nothing_of_the_lines_that_are_read(newline: str) -> None:
    language = get_language("toml")
    assert language is not None
    text = Coloured(newline.join(f"a{number} = {number}" for number in range(200)), language)

    def edit(times: int) -> int:
        for _ in range(times):
            text.replace_range((100, 0), (100, 0), "[")
            text.replace_range((100, 0), (100, 1), "")
        gc.collect()
        return sys.getallocatedblocks()

    before = edit(50)
    assert edit(300) - before < 300  # some for each of 600 edits, were lines kept


def test_key_in_a_long_text_measures_no_other_line() -> None:
    measured: list[int] = []

    class Watched(Plain):
        def _measured(self, first, end):  # type: ignore[no-untyped-def]
            measured.append(end - first)
            return super()._measured(first, end)

    text = Watched("a = 1\n" * 10_000)
    text.get_size(4)
    assert measured == [10_001]
    text.replace_range((5_000, 3), (5_000, 3), "x")
    text.get_size(4)
    assert measured == [10_001, 1, 1]
