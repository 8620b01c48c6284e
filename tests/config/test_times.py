"""Times that operators name."""

from __future__ import annotations

from datetime import datetime

import pytest

from lbapp.config.times import is_to_the_second, unix_time

NOW = datetime(2026, 11, 28, 14, 30, 15)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("14:05", datetime(2026, 11, 28, 14, 5)),
        ("14:05:30", datetime(2026, 11, 28, 14, 5, 30)),
        ("14:31", datetime(2026, 11, 27, 14, 31)),
        ("2026-11-20 08:00", datetime(2026, 11, 20, 8)),
        ("2026-11-20T08:00:01", datetime(2026, 11, 20, 8, 0, 1)),
        ("-10m", datetime(2026, 11, 28, 14, 20, 15)),
        ("-90s", datetime(2026, 11, 28, 14, 28, 45)),
    ],
)
def test_time_is_the_last_one_that_is_meant(text: str, meant: datetime) -> None:
    assert unix_time(text, NOW) == meant.timestamp()


@pytest.mark.parametrize("text", ["", "yesterday", "25:00", "-soon", "14"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"time|duration"):
        unix_time(text, NOW)


@pytest.mark.parametrize(
    ("text", "is_exact"),
    [("14:05", False), ("14:05:30", True), ("2026-11-20 08:00", False), ("-10m", False), ("-90s", True)],
)
def test_time_with_seconds_means_one_second(text: str, is_exact: bool) -> None:
    assert is_to_the_second(text) is is_exact
