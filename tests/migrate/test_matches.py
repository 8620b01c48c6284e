"""What requests a route takes, put together from conditions."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.migrate import matches


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [
        ({"path": "/a"}, {"path": "/a/b"}, [{"path": "/a/b"}]),
        ({"path": "/a"}, {"path": "/b"}, []),
        ({"host": "*.x.y"}, {"host": "a.x.y"}, [{"host": "a.x.y"}]),
        ({"host": "*.x.y"}, {"host": "a.b.y"}, []),
        ({"host": "a"}, {"host": "b"}, []),
        ({"path_regex": "/a"}, {"path_regex": "/.*"}, None),
        ({"headers": {"a": "1"}}, {"headers": {"b": "2"}}, [{"headers": {"a": "1", "b": "2"}}]),
        ({"headers": {"a": "1"}}, {"headers": {"a": "2"}}, None),
        ({}, {"method": "GET"}, [{"method": "GET"}]),
    ],
)
def test_two_conditions_are_one_match_none_or_nothing_that_a_route_can_say(
    one: matches.Match, other: matches.Match, wanted: list[matches.Match] | None
) -> None:
    assert matches.both(one, other) == matches.both(other, one) == wanted


@pytest.mark.parametrize("pattern", ["^/api", r"\.php$", "/a|/b$", "^/(a|b)/", "^/x$", "[|]", r"\|", "^/v[0-9]+/"])
@given(path=st.text("/abpivx.h|19", max_size=12))
def test_what_is_searched_for_is_found_by_matching_the_whole_path(pattern: str, path: str) -> None:
    found = matches.searched(pattern)
    assert found is not None
    assert any(re.fullmatch(each["path_regex"], path) for each in found) == bool(re.search(pattern, path))


def test_what_a_route_would_refuse_is_no_match() -> None:
    assert matches.searched("(a+)+$") is None
    assert matches.host("no host") is None
    assert matches.prefix("no path") is None
    assert matches.exactly("no path") is None
    assert matches.method("get") is None
    assert matches.header("Connection", "close") is None
    assert matches.header_like("x", "a|b") is None


@given(st.text("aB/.-", max_size=8))
def test_text_in_any_case_is_matched_in_any_case(text: str) -> None:
    assert re.fullmatch(matches.either_case(text), text.swapcase())
