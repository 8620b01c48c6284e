"""Figures, words and tables."""

from __future__ import annotations

from typing import Any, cast

import pytest

from lbapp.cli.format import admin, count, duration, milliseconds, note, share, table
from lbapp.control.messages import ServerStatus


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "-"), (0.0, "0.0ms"), (9.94, "9.9ms"), (12.4, "12ms"), (9999.0, "9999ms"), (12_345.0, "12s")],
)
def test_latencies_carry_their_unit(value: float | None, shown: str) -> None:
    assert milliseconds(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (0.25, "0.2"),
        (9.96, "10.0"),
        (3, "3"),
        (12.6, "13"),
        (99_999, "99999"),
        (99_999.9, "100K"),
        (9_999_600, "10M"),
    ],
)
def test_counts_take_at_most_five_characters(value: float, shown: str) -> None:
    assert count(value) == shown
    assert len(shown) <= 5


@pytest.mark.parametrize(("value", "shown"), [(None, "-"), (0.0, "0%"), (1.0, "100%"), (0.0123, "1.2%")])
def test_shares_are_per_cent(value: float | None, shown: str) -> None:
    assert share(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.9, "0s"), (59, "59s"), (61, "1m01s"), (3_660, "1h01m"), (90_000, "1d01h")]
)
def test_durations_show_two_units(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def server(**fields: Any) -> ServerStatus:
    usual = {
        "admin": "ready",
        "health": "up",
        "health_reason": "",
        "weight": 100,
        "configured_weight": 100,
        "drain": None,
        "connections_max": 0,
        "is_backup": False,
        "is_leaving": False,
        "ejected": "",
        "share_percent": 100.0,
        "no_new_clients": "",
        "agent": None,
        "ramp": None,
    }
    return cast(ServerStatus, {**usual, **fields})


@pytest.mark.parametrize(
    ("phase", "shown"), [("draining", "DRAIN 4m59s"), ("drained", "DRAINED"), ("overdue", "OVERDUE")]
)
def test_a_drain_shows_how_far_it_is(phase: str, shown: str) -> None:
    assert admin(server(admin="drain", drain={"phase": phase, "remaining_s": 299.4})) == shown


def test_wish_and_health_stay_two_words() -> None:
    assert admin(server(health="down")) == "READY"
    assert admin(server(admin="maint", health="unknown")) == "MAINT"


def test_note_says_why_a_server_is_not_as_in_the_file() -> None:
    assert note(server()) == ""
    assert note(server(health="down", health_reason="HTTP 503")) == "HTTP 503"
    assert note(server(health="down", weight=0)) == "down; weight 100 in file"
    assert note(server(is_backup=True, connections_max=50)) == "backup; at most 50"


def test_note_says_what_share_and_what_limit_an_agent_asks_for() -> None:
    assert note(server(agent={"percent": 100, "connections_max": 0})) == ""
    told = note(server(agent={"percent": 50, "connections_max": 20}, connections_max=50))
    assert told == "50% of its weight by its agent; at most 20 by its agent; at most 50"


def test_table_aligns_and_has_no_trailing_blanks() -> None:
    lines = table(("NAME", "N", "NOTE"), [("a", "10", ""), ("longer", "5", "x")], frozenset({1})).split("\n")
    assert lines == ["NAME    N NOTE", "a      10", "longer  5 x"]
