from __future__ import annotations

from lbapp.tui.tones import painted, plain


def test_pieces_are_drawn_as_they_are_in_the_styles_of_their_tones() -> None:
    text = painted([[("[red]DOWN", "bad"), (" 3", "plain")], [("up", "good")]])
    assert text.plain == "[red]DOWN 3\nup"
    assert [(span.start, span.end, str(span.style)) for span in text.spans] == [
        (0, 9, "tone.bad"),
        (12, 14, "tone.good"),
    ]


def test_line_is_its_words() -> None:
    assert plain([("a ", "bad"), ("b", "plain")]) == "a b"
