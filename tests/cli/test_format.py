"""Figures, words and tables."""

from __future__ import annotations

from typing import Any, cast

import pytest

from lbapp.cli.format import admin, milliseconds, note, table
from lbapp.control.messages import ServerStatus


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "-"), (0.0, "0.0ms"), (9.94, "9.9ms"), (12.4, "12ms"), (9999.0, "9999ms"), (12_345.0, "12s")],
)
def test_latencies_carry_their_unit(value: float | None, shown: str) -> None:
    assert milliseconds(value) == shown


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
