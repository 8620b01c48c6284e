from __future__ import annotations

import time

import pytest

from lbapp.cluster.dns.turning import SLACK_S, Turns


def test_a_loop_is_late_when_it_was_not_heard_of_for_as_long_as_it_said_and_some_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turns, now_s = Turns(), time.monotonic()
    turns.expect("one", 1.0)
    turns.expect("other", 60.0)
    for passed_s, late in ((0.0, ""), (SLACK_S, ""), (SLACK_S + 2, "one"), (SLACK_S + 59, "one")):
        monkeypatch.setattr(time, "monotonic", lambda passed_s=passed_s: now_s + passed_s)
        assert turns.overdue == late
    turns.expect("one", 1.0)
    assert turns.overdue == ""


def test_loops_that_were_ended_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    turns, now_s = Turns(), time.monotonic()
    turns.expect("one", 1.0)
    turns.expect_only("the end", 5.0)
    monkeypatch.setattr(time, "monotonic", lambda: now_s + SLACK_S + 4)
    assert turns.overdue == ""
    monkeypatch.setattr(time, "monotonic", lambda: now_s + SLACK_S + 6)
    assert turns.overdue == "the end"
