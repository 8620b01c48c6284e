"""Figures as people read them."""

from __future__ import annotations

import pytest

from lbapp.control.figures import count, duration, share


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (0, "0"),
        (0.25, "0.2"),
        (9.96, "10"),
        (3, "3"),
        (12.6, "13"),
        (99_999, "99999"),
        (99_999.9, "100K"),
        (9_999_600, "10M"),
    ],
)
def test_counts_take_at_most_five_characters(value: float | None, shown: str) -> None:
    assert count(value) == shown
    assert len(shown) <= 5


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "-"), (0.0, "0%"), (1.0, "100%"), (0.0123, "1.2%"), (0.5, "50.0%")]
)
def test_shares_are_per_cent(value: float | None, shown: str) -> None:
    assert share(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(-1, "0s"), (0.9, "0s"), (59, "59s"), (61, "1m01s"), (3_660, "1h01m"), (90_000, "1d01h")]
)
def test_durations_show_two_units(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown
