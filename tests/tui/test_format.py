from __future__ import annotations

import pytest

from lbapp.tui import format as shown


def test_unprintable_characters_are_replaced_one_by_one() -> None:
    assert shown.clean("a\x1b[2J\n\u202e[b]é") == "a·[2J··[b]é"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0.04, "0.0ms"),
        (9.94, "9.9ms"),
        (9.96, "10ms"),
        (999.0, "999ms"),
        (1500, "1.5s"),
        (120_000, "120s"),
    ],
)
def test_latency_has_its_unit_and_fits(value: float | None, text: str) -> None:
    assert shown.milliseconds(value) == text


def test_size_has_a_binary_unit() -> None:
    assert [shown.size(value) for value in (None, 5, 2048, 2**40)] == ["-", "5 B", "2.0 KiB", "1.0 TiB"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(59, "59s"), (599, "9m59s"), (600, "10m"), (3660, "1h01m"), (36_000, "10h"), (864_000, "10d")]
)
def test_brief_duration_fits_five_characters(seconds: float, text: str) -> None:
    assert shown.brief_duration(seconds) == text


def test_clock_is_a_time_of_day() -> None:
    assert len(shown.clock(0).split(":")) == 3
