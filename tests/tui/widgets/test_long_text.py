from __future__ import annotations

import random

from textual.document._document import Document
from textual.document._wrapped_document import WrappedDocument

from lbapp.tui.widgets.long_text import WIDTH_STEP, Plain, Unwrapped


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
