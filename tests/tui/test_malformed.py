from __future__ import annotations

import pytest

from lbapp.tui.glyphs import FULL
from lbapp.tui.malformed import fault_lines, marked, split_at_fault, who
from tests.tui.looks_double import capture


def test_byte_that_was_wrong_is_found_behind_bytes_that_are_written_with_four_letters() -> None:
    one = capture(excerpt="a\\x00\\x01b", excerpt_offset=10, offset=12)
    assert split_at_fault(one) == ("a\\x00", "\\x01", "b")
    assert fault_lines(one, 40, FULL) == ["a\\x00\\x01b", "     ^^^^"]


def test_line_that_was_wrong_is_marked_as_a_whole() -> None:
    one = capture(excerpt="A: 1\\x0d\\x0aB 2\\x0d\\x0aC: 3", excerpt_offset=0, offset=6, offset_is="line")
    assert split_at_fault(one)[1] == "B 2"


@pytest.mark.parametrize("offset", [None, 5, 900])
def test_head_of_which_no_byte_is_named_has_no_mark(offset: int | None) -> None:
    one = capture(offset=offset, excerpt="GET", excerpt_offset=0)
    assert split_at_fault(one) == ("GET", "", "")
    assert marked(one, 20, FULL) == "GET"
    assert fault_lines(one, 20, FULL) == ["GET"]


def test_what_was_wrong_stays_in_a_narrow_column() -> None:
    one = capture(excerpt="x" * 90 + "\\x00" + "y" * 90, excerpt_offset=0, offset=90)
    assert marked(one, 16, FULL) == "xxxxxx>\\x00<yyyy"
    assert marked(one, 4, FULL) == ">\\x0"
    assert len(marked(one, 16, FULL)) == 16


def test_long_excerpt_is_told_in_lines_and_the_mark_stands_under_its_own() -> None:
    lines = fault_lines(capture(excerpt="0123456789", excerpt_offset=0, offset=6), 4, FULL)
    assert lines == ["0123", "4567", "  ^", "89"]


def test_sender_is_the_client_or_the_server() -> None:
    assert who(capture()) == "192.0.2.66:4711"
    assert who(capture(who="server", server="app/s1")) == "app/s1"
    assert who(capture(port=None)) == "192.0.2.66"
