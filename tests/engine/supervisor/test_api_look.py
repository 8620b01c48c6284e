from __future__ import annotations

import pytest

from lbapp.engine.supervisor.api_look import read_filter, read_preference
from lbapp.model.errors import RequestRefused
from lbapp.model.log_filter import EVERYTHING, LogFilter, Preference


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({}, EVERYTHING),
        ({"failed": "0", "rate": "5"}, EVERYTHING),
        ({"status": "503"}, LogFilter(status_min=503, status_max=503)),
        ({"status": "4xx"}, LogFilter(status_min=400, status_max=499)),
        ({"status": "400-451", "failed": "1"}, LogFilter(status_min=400, status_max=451, is_failed=True)),
        ({"slower_ms": "1.5", "path": "/\u00e9"}, LogFilter(slower_us=1500, path="/\u00e9".encode())),
        (
            {"listener": "a", "pool": "b", "server": "b/c", "client": "::1"},
            LogFilter("a", "b", "b/c", "::1"),
        ),
    ],
)
def test_query_says_what_is_wanted(query: dict[str, str], wanted: LogFilter) -> None:
    assert read_filter(query) == wanted


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"colour": "red"}, "there is no colour"),
        ({"status": "6xx"}, "status=6xx is no status"),
        ({"slower_ms": "fast"}, "slower_ms=fast is no number"),
        ({"slower_ms": "1e9"}, "slower_ms=1e9 is no number"),
        ({"slow_ms": "5"}, "slow_ms goes with prefer=1"),
        ({"prefer": "1", "slow_ms": "x"}, "slow_ms=x is no number"),
    ],
)
def test_query_that_means_nothing_is_refused_with_what_is_meant(query: dict[str, str], said: str) -> None:
    def read() -> None:
        read_filter(query)
        read_preference(query)

    with pytest.raises(RequestRefused, match=said) as caught:
        read()
    assert (caught.value.status, caught.value.code) == (422, "invalid_query")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("query", "preference"),
    [
        ({}, None),
        ({"prefer": "0", "failed": "1"}, None),
        ({"prefer": "1"}, Preference(0)),
        ({"prefer": "1", "slow_ms": "2.5"}, Preference(2500)),
    ],
)
def test_query_says_what_comes_first(query: dict[str, str], preference: Preference | None) -> None:
    assert read_preference(query) == preference
