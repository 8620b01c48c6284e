"""What probes add up to."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbapp.engine.policy.health import (
    HealthRecord,
    ProbeResult,
    Transition,
    as_the_check_reads_it,
    asks_for_no_new_clients,
    detail,
    first_probe_delay_s,
    found_down,
    interval_s,
    next_probe_delay_s,
    observe,
    soonest_s,
)
from lbapp.model.entities import HealthCheck
from lbapp.model.health import NotFoundMeans
from lbapp.model.limits import PASSIVE_LOOK_INTERVAL_S
from lbapp.model.states import HEALTH_TRANSITIONS, HealthState

CHECK = HealthCheck(fall=3, rise=2)
GOOD, BAD = ProbeResult(True, "HTTP 200", 0.01), ProbeResult(False, "connection refused", 0.01)
UNKNOWN, UP, DOWN = HealthState


def after(results: str, check: HealthCheck = CHECK) -> tuple[HealthState, list[Transition]]:
    record, transitions = HealthRecord(), []
    for letter in results:
        record, transition = observe(record, GOOD if letter == "+" else BAD, check)
        if transition is not None:
            transitions.append(transition)
    return record.state, transitions


def test_first_success_brings_an_unknown_server_up() -> None:
    assert after("+") == (UP, [Transition(UNKNOWN, UP, "HTTP 200")])
    assert after("--+")[0] is UP


def test_unknown_server_goes_down_after_fall_failures() -> None:
    assert after("--")[0] is UNKNOWN
    assert after("---") == (DOWN, [Transition(UNKNOWN, DOWN, "connection refused")])


def test_server_goes_down_only_after_fall_failures_in_a_row() -> None:
    assert after("+--+--")[0] is UP
    assert after("+---")[1] == [
        Transition(UNKNOWN, UP, "HTTP 200"),
        Transition(UP, DOWN, "connection refused"),
    ]


def test_server_comes_back_only_after_rise_successes_in_a_row() -> None:
    assert after("---+-+")[0] is DOWN
    assert after("---+-++") == (
        UP,
        [Transition(UNKNOWN, DOWN, "connection refused"), Transition(DOWN, UP, "HTTP 200")],
    )


def test_more_of_the_same_changes_nothing() -> None:
    assert len(after("+" * 50)[1]) == 1
    assert len(after("-" * 50)[1]) == 1


def test_thresholds_of_one_follow_every_probe() -> None:
    assert [each.after for each in after("+-+-", HealthCheck(fall=1, rise=1))[1]] == [UP, DOWN, UP, DOWN]


@given(st.text("+-", max_size=60), st.integers(1, 5), st.integers(1, 5))
def test_every_transition_is_one_of_the_diagram_and_follows_the_one_before(results: str, fall: int, rise: int) -> None:
    state, transitions = after(results, HealthCheck(fall=fall, rise=rise))
    assert all(each.after in HEALTH_TRANSITIONS[each.before] for each in transitions)
    assert all(one.after is two.before for one, two in pairwise(transitions))
    assert state is (transitions[-1].after if transitions else UNKNOWN)


def test_first_probes_are_spread_over_the_first_second() -> None:
    random = Random(1)
    delays = [first_probe_delay_s(random, 5.0) for _ in range(500)]
    assert 0.0 <= min(delays) < 0.1
    assert 0.9 < max(delays) <= 1.0
    assert max(first_probe_delay_s(random, 0.2) for _ in range(100)) <= 0.2


def test_later_probes_come_an_interval_apart_or_a_little_less_and_never_more() -> None:
    random = Random(1)
    delays = [next_probe_delay_s(random, 5.0, 10) for _ in range(500)]
    assert 4.5 <= min(delays) < 4.6
    assert 4.9 < max(delays) <= 5.0
    assert {next_probe_delay_s(random, 5.0, 0) for _ in range(9)} == {5.0}


def test_second_probes_are_spread_over_the_whole_interval() -> None:
    random = Random(1)
    delays = [next_probe_delay_s(random, 5.0, 0, is_second=True) for _ in range(500)]
    assert 0.0 <= min(delays) < 0.1
    assert 4.9 < max(delays) <= 5.0


@pytest.mark.parametrize(
    ("results", "expected"),
    [("", 1.0), ("-", 1.0), ("+", 5.0), ("+-", 1.0), ("+--", 1.0), ("---", 9.0), ("---+", 1.0), ("---++", 5.0)],
)
def test_interval_is_short_while_the_state_may_change_soon(results: str, expected: float) -> None:
    check = HealthCheck(fall=3, rise=2, down_interval_s=9.0)
    record = HealthRecord()
    for letter in results:
        record, _ = observe(record, GOOD if letter == "+" else BAD, check)
    assert interval_s(record, check) == expected
    assert interval_s(record, check, fast_left=1) == 1.0
    assert interval_s(record, replace(check, interval_s=0.5), fast_left=1) == 0.5


def test_server_that_is_down_is_probed_as_one_that_is_up_where_nothing_else_is_said() -> None:
    assert interval_s(found_down(), HealthCheck()) == 5.0


def test_server_that_traffic_found_down_comes_back_after_rise_successes() -> None:
    record, transition = observe(found_down(), GOOD, CHECK)
    assert (record.state, transition) == (DOWN, None)
    assert observe(record, GOOD, CHECK)[0].state is UP


@pytest.mark.parametrize(
    ("means", "status", "expected", "is_asked"),
    [
        (NotFoundMeans.NO_NEW_CLIENTS, 404, ((200, 399),), True),
        (NotFoundMeans.NO_NEW_CLIENTS, 503, ((200, 399),), False),
        (NotFoundMeans.NO_NEW_CLIENTS, 404, ((200, 499),), False),
        (NotFoundMeans.FAILURE, 404, ((200, 399),), False),
    ],
)
def test_404_asks_for_no_new_clients_where_the_check_says_so(
    means: NotFoundMeans, status: int, expected: tuple[tuple[int, int], ...], is_asked: bool
) -> None:
    check = HealthCheck(not_found=means, expect_status=expected)
    result = ProbeResult(False, f"HTTP {status}", status=status)
    assert asks_for_no_new_clients(result, check) is is_asked
    assert as_the_check_reads_it(result, check).is_success is is_asked


def test_detail_says_how_far_a_probe_came_how_long_it_took_and_what_the_server_said() -> None:
    assert detail(ProbeResult(False, "connection refused", 0.0004, "connect")) == "connection refused (connect, 0 ms)"
    full = ProbeResult(False, "HTTP 503", 0.012, "http", 503, "sorry")
    assert detail(full) == 'HTTP 503 (http, 12 ms), it said "sorry"'
    assert detail(ProbeResult(True, "fine")) == "fine (0 ms)"


def test_probe_that_was_asked_for_comes_a_quarter_of_a_fast_interval_after_the_last_at_the_soonest() -> None:
    assert soonest_s(100.0, HealthCheck()) == 100.25
    assert soonest_s(100.0, HealthCheck(interval_s=0.2)) == 100.05


@pytest.mark.parametrize(
    ("is_hanging", "within_s"),
    [pytest.param(False, 7.0, id="refused: 5 + 1 + 1"), pytest.param(True, 11.0, id="hanging: 5 + 2 + 2 + 2")],
)
def test_server_that_dies_is_found_within_the_time_that_the_defaults_promise(is_hanging: bool, within_s: float) -> None:
    """It dies at the worst moment, right after a probe that has succeeded; probes start as late as they may."""
    check = HealthCheck()
    record = HealthRecord()
    while record.is_in_transition:
        record = observe(record, GOOD, check)[0]
    started_s, now_s = 0.0, 0.0
    while record.state is not DOWN:
        started_s = max(now_s, started_s + interval_s(record, check))
        now_s = started_s + (check.timeout_s if is_hanging else 0.0)
        record = observe(record, BAD, check)[0]
    assert now_s == within_s


@pytest.mark.parametrize(
    ("is_hanging", "within_s"), [pytest.param(False, 2.5, id="refused"), pytest.param(True, 6.5, id="hanging")]
)
def test_server_that_dies_under_traffic_is_found_within_the_time_that_the_defaults_promise(
    is_hanging: bool, within_s: float
) -> None:
    """It dies right after a probe that has succeeded; the first failed request is looked at as late as may be."""
    check = HealthCheck()
    record, _ = observe(HealthRecord(), GOOD, check)
    started_s = max(PASSIVE_LOOK_INTERVAL_S, soonest_s(0.0, check))
    fast_left, now_s = check.fall, 0.0
    while record.state is not DOWN:
        now_s = started_s + (check.timeout_s if is_hanging else 0.0)
        record, _ = observe(record, BAD, check)
        started_s, fast_left = max(now_s, started_s + interval_s(record, check, fast_left)), fast_left - 1
    assert within_s - 0.5 < now_s <= within_s
