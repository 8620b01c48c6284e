"""What probes add up to."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from lbapp.engine.policy.health import (
    HealthRecord,
    ProbeResult,
    Transition,
    first_probe_delay_s,
    next_probe_delay_s,
    observe,
)
from lbapp.model.entities import HealthCheck
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


def test_later_probes_come_an_interval_apart_give_or_take_a_tenth() -> None:
    random = Random(1)
    delays = [next_probe_delay_s(random, 5.0) for _ in range(500)]
    assert 4.5 <= min(delays) < 4.6
    assert 5.4 < max(delays) <= 5.5
