"""A cookie is taken out of its field, and nothing else is touched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.engine.wire.cookies import field_pattern, take_cookie

HOST = b"Host: h\r\n"


@pytest.mark.parametrize(
    ("line", "values", "left"),
    [
        (b"Cookie: n=1\r\n", (b"1",), b""),
        (b"cookie:n=1\r\n", (b"1",), b""),
        (b"Cookie: a=1; n=2\r\n", (b"2",), b"Cookie: a=1\r\n"),
        (b"Cookie: n=2; a=1\r\n", (b"2",), b"Cookie: a=1\r\n"),
        (b"Cookie: a=1; n=2; b=3\r\n", (b"2",), b"Cookie: a=1; b=3\r\n"),
        (b"Cookie: a=1;n=2;b=3\r\n", (b"2",), b"Cookie: a=1;b=3\r\n"),
        (b'Cookie: n="2"\r\n', (b"2",), b""),
        (b"Cookie: n=1; n=2\r\n", (b"1", b"2"), b""),
        (b"Cookie: n=1\r\nCookie: x=n=5; n=2\r\n", (b"1", b"2"), b"Cookie: x=n=5\r\n"),
        (b"Cookie: an=1; n=2\r\n", (b"2",), b"Cookie: an=1\r\n"),
        (b"Cookie: an=1\r\n", (), b"Cookie: an=1\r\n"),
        (b"X-Cookie: n=1\r\n", (), b"X-Cookie: n=1\r\n"),
        (b"Referer: /?a; n=1\r\n", (), b"Referer: /?a; n=1\r\n"),
        (b"Cookie: n=\r\n", (b"",), b""),
        (b"Cookie: a=1; n=2;\r\n", (b"2",), b"Cookie: a=1; \r\n"),
        (b"Cookie: a=1\r\n", (), b"Cookie: a=1\r\n"),
    ],
)
def test_the_cookie_goes_and_the_rest_stays(line: bytes, values: tuple[bytes, ...], left: bytes) -> None:
    assert take_cookie(HOST + line + b"Z: n=9\r\n", b"n") == (values, HOST + left + b"Z: n=9\r\n")


_NAMES = st.sampled_from([b"a", b"b", b"nn", b"n"])
_PAIRS = st.lists(st.tuples(_NAMES, st.sampled_from([b"", b"1", b"n", b"x=n=2"])), min_size=1, max_size=6)


@given(st.lists(_PAIRS, max_size=3))
def test_any_cookies_are_those_that_are_left_when_ours_are_taken_out(lines: list[list[tuple[bytes, bytes]]]) -> None:
    def built(is_ours_kept: bool) -> bytes:
        fields = b""
        for pairs in lines:
            kept = [b"=".join(pair) for pair in pairs if is_ours_kept or pair[0] != b"n"]
            fields += b"Cookie: " + b"; ".join(kept) + b"\r\n" if kept else b""
        return fields

    values = tuple(value for pairs in lines for name, value in pairs if name == b"n")
    assert take_cookie(built(True), b"n") == (values, built(False))


def test_a_field_is_found_by_its_name_in_any_case_and_without_the_space_around_it() -> None:
    find = field_pattern(b"x-user").search
    found = find(HOST + b"X-USER: \t ann b \t\r\nA: b\r\n")
    assert found is not None
    assert found[1] == b"ann b"
    assert find(b"A-x-user: 1\r\nx-users: 2\r\n") is None
    empty = find(b"x-user:\r\n")
    assert empty is not None
    assert empty[1] == b""
