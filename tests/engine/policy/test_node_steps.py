from __future__ import annotations

from dataclasses import replace

import pytest

from lbapp.engine.policy.node_steps import Leaving, Records, Routes, Step, next_step, waits_for

OTHERS_S = 30.0
ALONE = Leaving(Step.DNS, 0.0, 60.0, 5, None, None)
IN = Records(True, 0.0, 20.0)
PLAIN = Routes(True, True)


@pytest.mark.parametrize("step", [Step.DNS, Step.CLIENTS, Step.ROUTES])
def test_without_reports_no_step_takes_any_time(step: Step) -> None:
    assert waits_for(replace(ALONE, step=step), OTHERS_S) is None


def test_the_steps_are_records_clients_routes_and_what_is_left() -> None:
    steps = [Step.DNS]
    while steps[-1] is not Step.SERVING:
        steps.append(next_step(steps[-1]))
    assert [step.value for step in steps] == ["dns", "clients", "routes", "serving"]


def test_records_that_are_in_are_waited_for_and_not_for_ever() -> None:
    waiting = waits_for(replace(ALONE, records=IN, in_step_s=10), OTHERS_S)
    assert waiting is not None
    assert (waiting.left_s, waiting.is_given_up) == (20.0, False)
    waiting = waits_for(replace(ALONE, records=IN, in_step_s=30), OTHERS_S)
    assert waiting is not None
    assert waiting.is_given_up


def test_resolvers_are_given_the_time_to_forget_records_and_no_more_than_that() -> None:
    leaving = replace(ALONE, records=Records(False, 12.0, 20.0), in_step_s=3)
    waiting = waits_for(leaving, OTHERS_S)
    assert waiting is not None
    assert (waiting.left_s, waiting.is_given_up) == (12.0, False)
    assert waits_for(replace(leaving, records=Records(False, 0.0, 20.0)), OTHERS_S) is None
    assert waits_for(replace(leaving, records=Records(False, 9e9, 20.0), in_step_s=50), OTHERS_S) is None


def test_clients_are_waited_for_only_where_a_route_that_leaves_would_end_them() -> None:
    leaving = replace(ALONE, step=Step.CLIENTS, routes=PLAIN, in_step_s=10)
    waiting = waits_for(leaving, OTHERS_S)
    assert waiting is not None
    assert waiting.left_s == 20.0  # half of the timeout
    assert waits_for(replace(leaving, connections=0), OTHERS_S) is None
    assert waits_for(replace(leaving, in_step_s=30), OTHERS_S) is None
    assert waits_for(replace(leaving, routes=Routes(True, False)), OTHERS_S) is None
    assert waits_for(replace(leaving, routes=Routes(False, True)), OTHERS_S) is None


def test_routes_are_waited_for_until_they_are_announced_no_more() -> None:
    leaving = replace(ALONE, step=Step.ROUTES, routes=PLAIN)
    waiting = waits_for(leaving, OTHERS_S)
    assert waiting is not None
    assert (waiting.left_s, waiting.is_given_up) == (30.0, False)
    waiting = waits_for(replace(leaving, in_step_s=31), OTHERS_S)
    assert waiting is not None
    assert waiting.is_given_up
    assert waits_for(replace(leaving, routes=Routes(False, True)), OTHERS_S) is None
