"""Notes are read as they were written, and nothing else is a note."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.cluster.dns.notes import Note, read_note

WORDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", fullmatch=True)
ADDRESSES = st.lists(st.ip_addresses().map(str), min_size=1, max_size=16).map(tuple)


def notes() -> st.SearchStrategy[Note]:
    here = st.builds(Note, WORDS, ADDRESSES, st.one_of(st.just(""), WORDS))
    left = st.builds(Note, WORDS, ADDRESSES, st.one_of(st.just(""), WORDS), st.integers(0, 10**11), WORDS)
    return st.one_of(here, left)


@given(notes())
def test_what_is_written_is_read_as_the_same(note: Note) -> None:
    assert read_note(note.text()) == note


def test_note_is_a_line_that_a_person_can_read() -> None:
    note = Note("lb1", ("192.0.2.11", "2001:db8::11"), "web", 1764374400, "lb2")
    text = "v=lbapp1 node=lb1 fleet=web addresses=192.0.2.11,2001:db8::11 left=1764374400 by=lb2"
    assert note.text() == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v=spf1 -all",
        "v=lbapp2 node=lb1 addresses=192.0.2.11",
        "v=lbapp1 node=lb1",
        "v=lbapp1 node=lb1 addresses=",
        "v=lbapp1 node= addresses=192.0.2.11",
        "v=lbapp1 node=lb1 addresses=192.0.2.300",
        "v=lbapp1 node=lb1 addresses=192.0.2.11 left=soon by=lb2",
        "v=lbapp1 node=lb1 addresses=192.0.2.11 left=12",
        "v=lbapp1 node=lb1 node=lb2 addresses=192.0.2.11",
        "v=lbapp1 node=lb1 fleet=a/b addresses=192.0.2.11",
        "v=lbapp1 node=lb1 addresses=" + "192.0.2.11," * 500 + "192.0.2.11",
    ],
)
def test_text_that_is_no_note_says_nothing(text: str) -> None:
    assert read_note(text) is None


@given(st.text(max_size=200))
def test_no_text_makes_reading_raise(text: str) -> None:
    for tried in (text, f"v=lbapp1 node=lb1 addresses={text}", f"v=lbapp1 {text}"):
        found = read_note(tried)
        assert found is None or read_note(found.text()) == found
