"""What an agent's line says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.engine.policy.agent import NO_WISH, Wish, read_line, weight_of


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"", NO_WISH),
        (b"75%", Wish(percent=75)),
        (b"up ready 50%", Wish(percent=50)),
        (b"0%", Wish(percent=0)),
        (b"down", Wish(down="down")),
        (b"DOWN # disk is full ", Wish(down="down: disk is full")),
        (b"stopped", Wish(down="stopped")),
        (b"failed", Wish(down="failed")),
        (b"fail#x\x1by", Wish(down="fail: x?y")),
        (b"drain", Wish(no_new_clients="drain")),
        (b"maint,maxconn:30\t10%", Wish(no_new_clients="maint", percent=10, connections_max=30)),
    ],
)
def test_words_of_a_line(line: bytes, expected: Wish) -> None:
    assert read_line(line, NO_WISH) == (expected, ())


def test_what_a_line_does_not_speak_of_stays_as_it_was() -> None:
    before = Wish("down: disk", "drain", 50, 7)
    assert read_line(b"up", before)[0] == Wish("", "drain", 50, 7)
    assert read_line(b"ready", before)[0] == Wish("down: disk", "", 50, 7)
    assert read_line(b"up ready", before)[0] == Wish("", "", 50, 7)
    assert read_line(b"100% maxconn:0", before)[0] == Wish("down: disk", "drain", 100, 0)


@pytest.mark.parametrize("word", ["257%", "-1%", "maxconn:", "maxconn:x", "%", "sideways", "up;"])
def test_word_that_is_not_known_is_named_and_ignored(word: str) -> None:
    assert read_line(f"50% {word} drain".encode(), NO_WISH) == (Wish("", "drain", 50), (word,))


@given(st.binary(max_size=300))
def test_line_of_any_bytes_has_an_answer(line: bytes) -> None:
    wish, unknown = read_line(line, NO_WISH)
    assert 0 <= wish.percent <= 256
    assert all(word.isprintable() for word in (wish.down, *unknown))


@pytest.mark.parametrize(
    ("weight", "percent", "expected"),
    [(100, 100, 100), (100, 50, 50), (1, 10, 1), (100, 0, 0), (0, 50, 0), (200, 200, 256), (3, 50, 2)],
)
def test_share_of_a_weight(weight: int, percent: int, expected: int) -> None:
    assert weight_of(weight, percent, 256) == expected
