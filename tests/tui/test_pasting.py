"""What is pasted comes as one text, and none of it as a key."""

from __future__ import annotations

import random

import pytest
from textual.events import Key, Paste

from lbapp.tui.pasting import BEGIN, END, PasteFilter, PasteParser


def read(*pieces: str) -> list[str]:
    """Return the keys that are read of the pieces, and texts that were pasted behind a `>`."""
    parser, found = PasteParser(), []
    for piece in pieces:
        for token in parser.feed(piece):
            if isinstance(token, Key):
                found.append(token.key)
            elif isinstance(token, Paste):
                found.append(f">{token.text}")
    return found


@pytest.mark.parametrize(
    "text", ["dKy", "\x1b[31mdown\x1b[0m dKy", "\x1b", "\x1b\x1b[201", "a\x1bb", "\x1b[A\x1bOP", "\n\ty"]
)
def test_no_letter_of_what_is_pasted_is_a_key(text: str) -> None:
    assert read(f"x{BEGIN}{text}{END}", "z") == ["x", f">{text.replace(chr(27), '')}", "z"]


def test_keys_outside_of_a_paste_are_what_they_are() -> None:
    assert read("\x1b[A", "\x1b[[A", "d", "\x1b[1;2A") == ["up", "f1", "d", "shift+up"]


def test_marks_and_escapes_are_known_wherever_reads_cut_them() -> None:
    chance = random.Random(11)
    whole = f"a{BEGIN}one \x1b[31mtwo\x1b\x1b[20 three{END}b{BEGIN}{END}c"
    expected = f"a{BEGIN}one [31mtwo[20 three{END}b{BEGIN}{END}c"
    for _ in range(300):
        cuts = sorted(chance.sample(range(1, len(whole)), 6))
        pieces = [whole[first:last] for first, last in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
        keep = PasteFilter()
        assert "".join(map(keep, pieces)) == expected, pieces
