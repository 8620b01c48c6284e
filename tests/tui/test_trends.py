from __future__ import annotations

from lbapp.tui.trends import Trends


def test_history_keeps_the_last_readings_and_forgets_what_is_gone() -> None:
    history = Trends(length=2)
    for value in (1.0, 2.0, 3.0):
        history.add({"a": value, "b": 0.0})
    assert history.of("a") == (2.0, 3.0)
    history.add({"b": 1.0})
    assert history.of("a") == ()
    assert history.of("b") == (0.0, 1.0)
