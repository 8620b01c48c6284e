from __future__ import annotations

from lbapp.tui.trends import LENGTH, Trends, condensed


def test_history_keeps_the_last_readings_and_forgets_what_is_gone() -> None:
    history = Trends(length=2)
    for value in (1.0, 2.0, 3.0):
        history.add(("a", "b"), [value, 0.0])
    assert history.of("a") == (2.0, 3.0)
    history.add(("b",), [1.0])
    assert history.of("a") == ()
    assert history.of("b") == (0.0, 1.0)


def test_name_that_comes_has_no_readings_of_the_time_before() -> None:
    history = Trends()
    history.add(("a",), [1.0])
    history.add(("new", "a"), [5.0, 2.0])
    assert history.of("new") == (5.0,)
    assert history.of("a") == (1.0, 2.0)


def test_what_was_before_a_gap_is_forgotten() -> None:
    history = Trends()
    history.add(("a",), [1.0])
    history.forget()
    history.add(("a",), [7.0])
    assert history.of("a") == (7.0,)


def test_condensed_values_are_means_of_the_newest_and_the_first_may_be_of_fewer() -> None:
    assert condensed([9, 1, 3, 5, 7], 2, 2) == [2, 6]
    assert condensed([1, 2, 4], 5, 2) == [1, 3]
    assert condensed([], 5, 2) == []


def test_seconds_of_a_past_are_as_long_as_two_readings_and_what_is_not_known_is_left_out() -> None:
    trends = Trends.of_seconds({"a": [1.0, None, 3.0], "b": [None], "c": [float(number) for number in range(100)]})
    assert trends.of("a") == (1.0, 1.0, 3.0, 3.0)
    assert trends.of("b") == ()
    assert (len(trends.of("c")), trends.of("c")[0], trends.of("c")[-1]) == (LENGTH, 70.0, 99.0)
    still = trends.still()
    trends.add(("a",), [9.0])
    assert still.of("a") == (1.0, 1.0, 3.0, 3.0)
