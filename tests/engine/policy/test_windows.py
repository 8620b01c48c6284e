"""Which steps make up a window, and what is in them."""

from __future__ import annotations

from lbapp.engine.policy.windows import Steps
from lbapp.model.amounts import NOTHING, Amounts, Subject, added

APP, API = Subject("pool", "app"), Subject("pool", "api")
ONE = Amounts(1, 0, (0, 0, 1 << 640, 1 << 704))


def times(count: int) -> Amounts:
    return added([ONE] * count)


def test_window_has_the_steps_that_it_takes_to_go_back_so_far() -> None:
    steps = Steps(30)
    for number in range(1, 11):  # from 0 s to 100 s, step by step
        steps.add(10.0 * (number - 1), {APP: times(number)})
    window = steps.since(at_s=104.0 - 60.0, end_s=100.0)
    assert window.began_s == 40.0
    assert window.amounts(APP, times(3)) == times(3 + 10 + 9 + 8 + 7 + 6 + 5)
    assert window.amounts(API) == NOTHING


def test_window_that_ends_with_its_last_step_has_no_more_than_it_needs() -> None:
    steps = Steps(30)
    steps.add(0.0, {APP: times(1)})
    steps.add(10.0, {APP: times(2)})
    assert steps.since(at_s=10.0, end_s=20.0).amounts(APP) == times(2)
    assert steps.since(at_s=20.0, end_s=20.0).steps == ()


def test_window_goes_back_no_farther_than_there_are_steps() -> None:
    steps = Steps(2)
    for began_s in (0.0, 10.0, 20.0):
        steps.add(began_s, {APP: ONE})
    window = steps.since(at_s=-1000.0, end_s=30.0)
    assert (window.began_s, window.amounts(APP)) == (10.0, times(2))


def test_who_counted_only_now_and_then_is_in_the_steps_in_which_it_did() -> None:
    steps = Steps(5)
    steps.add(0.0, {APP: ONE})
    steps.add(10.0, {API: ONE})
    window = steps.since(at_s=0.0, end_s=20.0)
    assert window.amounts(APP) == window.amounts(API) == ONE
    assert window.amounts(Subject("server", "app/s1")) == NOTHING
