from __future__ import annotations

import pytest

from lbapp.tui.hand import HOLD_S, STARTLED_S, Hand


def test_a_move_holds_the_order_for_a_while_and_ends_a_fright(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("lbapp.tui.hand.monotonic", lambda: now)
    hand = Hand()
    assert (hand.is_moving, hand.is_startled) == (False, False)
    hand.startle()
    assert hand.is_startled
    now += 0.1
    hand.move()
    assert (hand.is_moving, hand.is_startled) == (True, False)
    now += HOLD_S
    assert not hand.is_moving


def test_what_slid_under_the_cursor_has_been_seen_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("lbapp.tui.hand.monotonic", lambda: now)
    hand = Hand()
    hand.startle()
    now += STARTLED_S
    assert not hand.is_startled


def test_an_order_that_was_asked_for_comes_at_once_and_does_not_hide_a_fright(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("lbapp.tui.hand.monotonic", lambda: now)
    hand = Hand()
    hand.move()
    now += 0.1
    hand.startle()
    hand.rest()
    assert (hand.is_moving, hand.is_startled) == (False, True)
