from __future__ import annotations

from typing import Any

import pytest

from lbapp.control.fleet import Applied
from lbapp.control.fleet_words import (
    applied_word,
    are_routes_well,
    came_of,
    clock_word,
    configuration_word,
    dns_word,
    ending,
    is_alone,
    is_roll_over,
    nodes_ready,
    roll_word,
    routes_word,
    seen_word,
    state_word,
    step_word,
    totals,
    view_sentence,
    view_word,
)
from lbapp.tui.format import duration
from tests.tui.fleet_double import (
    ALICE,
    ALONE,
    dns_report,
    fleet_of,
    member,
    member_state,
    node_drain,
    roll,
    routes_report,
    three_nodes,
)

DRAIN = {
    "phase": "draining", "since": 0.0, "timeout_s": 300.0, "remaining_s": 270.0, "connections": 7, "in_flight": 3,
    "finish_s": None,
}  # fmt: skip


def test_totals_add_up_rates_and_weigh_errors_and_nodes_that_are_gone_carry_nothing() -> None:
    unready = member_state(requests_per_s=100.0, error_rate=None, connections=7, in_flight=2, ready=False)
    found = totals(
        [
            member("lb1", state=member_state(requests_per_s=300.0, error_rate=0.1, connections=5, in_flight=1)),
            member("lb2", state=unready),
            member("lb3", is_alive=False),
            member("lb4", state=None),
        ]
    )
    assert (found.nodes, found.ready, found.connections, found.in_flight) == (4, 1, 12, 3)
    assert found.requests_per_s == 400.0
    assert found.error_rate == pytest.approx(0.075)


def test_totals_of_nodes_that_said_nothing_are_not_known() -> None:
    found = totals([member("lb1", state=None)])
    assert (found.requests_per_s, found.connections, found.error_rate) == (None, None, None)


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({}, "ready"),
        ({"is_alive": False}, "GONE"),
        ({"state": None}, "-"),
        ({"state": member_state(ready=False, reasons=["no server of app is eligible"])}, "NOT READY"),
        ({"state": member_state(phase="starting")}, "starting"),
        ({"state": member_state(drain=DRAIN)}, "DRAIN 4m30s"),
        ({"state": member_state(drain={**DRAIN, "phase": "overdue"})}, "OVERDUE"),
    ],
)
def test_state_of_a_node_is_a_word_and_the_worst_stands_first(more: dict[str, Any], word: str) -> None:
    assert state_word(member("lb2", **more), duration) == word


def test_routes_are_said_with_their_sessions_and_a_session_that_is_down_is_not_well() -> None:
    assert routes_word(member_state()) == "announced 2/2"
    down = routes_report()
    down["sessions"][0]["is_up"] = False
    assert routes_word(member_state(announce=down)) == "announced 1/2"
    assert are_routes_well(member_state())
    assert not are_routes_well(member_state(announce=down))
    assert routes_word(member_state(announce=routes_report(state="drained", med=100))) == "drained med 100 2/2"
    assert routes_word(member_state(announce=routes_report(state="failed", sessions=[]))) == "FAILED"
    assert routes_word(member_state(announce=None)) == "-"
    assert are_routes_well(None)


def test_records_are_a_word() -> None:
    assert dns_word(member_state()) == "published"
    assert dns_word(member_state(dns=dns_report(state="failed"))) == "FAILED"
    assert dns_word(None) == "-"


def test_view_that_is_old_says_so_in_capitals_with_its_age_and_reason() -> None:
    assert view_word(three_nodes(), duration) == "synced"
    assert view_sentence(three_nodes(), duration) == ""
    stale = three_nodes(state="stale", age_s=42.0, problem="the store at 10.0.0.1:2379 does not answer")
    assert view_word(stale, duration) == "STORE STALE 42s"
    assert (
        view_sentence(stale, duration) == "the store at 10.0.0.1:2379 does not answer; the view is 42s old, and holds"
    )
    starting = three_nodes(state="starting", age_s=None)
    assert view_word(starting, duration) == "STORE NOT REACHED YET"
    assert "there is no view yet" in view_sentence(starting, duration)
    assert is_alone(ALONE)
    assert is_alone(None)


def test_nodes_that_are_ready_are_counted_among_all() -> None:
    assert nodes_ready(fleet_of(member("lb1"), member("lb2", is_alive=False))) == "1 of 2 nodes ready"


def test_number_that_is_not_what_the_fleet_wants_has_a_mark() -> None:
    fleet = three_nodes()
    assert configuration_word(fleet, fleet["members"][1]) == "f7"
    behind = member("lb2", state=member_state(fleet_configuration=6))
    assert configuration_word(fleet, behind) == "f6!"
    own = member("lb2", state=member_state(fleet_configuration=0))
    assert configuration_word(fleet, own) == "4!"
    rolling = three_nodes(configuration=roll(number=8, mode="rolling", reached=1, results={"node-a": ""}))
    assert configuration_word(rolling, member("lb2")) == "f7"  # it is not its turn yet
    refused = three_nodes(configuration=roll(results={"lb2": "line 4: no such pool"}))
    assert configuration_word(refused, member("lb2")) == "f7!"
    assert configuration_word(fleet, member("lb2", state=None)) == "-"


def test_roll_says_how_far_it_has_come_and_why_it_stopped() -> None:
    names = ["node-a", "lb2", "lb3"]
    assert roll_word(None, names) == "no configuration of the fleet"
    assert roll_word(roll(), names) == "configuration f7 on 3 of 3"
    going = roll(number=8, mode="rolling", reached=2, results={"node-a": ""})
    assert roll_word(going, names) == "configuration f8 on 1 of 3, rolling: lb3 to come"
    assert not is_roll_over(going, names)
    refused = {"node-a": "", "lb2": "line 4"}
    stopped = roll(number=8, mode="rolling", reached=2, results=refused, stopped="lb2 does not serve by it")
    words = "configuration f8 on 1 of 3, REFUSED by lb2, roll STOPPED: lb2 does not serve by it"
    assert roll_word(stopped, names) == words
    assert is_roll_over(stopped, names)
    assert is_roll_over(roll(), names)


def test_nodes_that_made_an_action_are_told_from_those_that_have_not_said_so() -> None:
    applied: Applied = {"revision": 20, "actor": ALICE, "done": ["node-a"], "waiting": ["lb2", "lb3"]}
    fleet = fleet_of(
        member("node-a", state=member_state(fleet_revision=20)),
        member("lb2", state=member_state(fleet_revision=19)),
        member("lb3", is_alive=False),
        member("lb4", state=None),
    )
    found = came_of(fleet, applied)
    assert found is not None
    assert (found["done"], found["waiting"]) == (["node-a"], ["lb2", "lb4"])
    assert applied_word(found) == "node-a has it; not yet said by lb2, lb4"
    assert applied_word({**found, "done": ["node-a", "lb2"], "waiting": []}) == "on all nodes that live: node-a, lb2"
    assert came_of(three_nodes(state="stale"), applied) is None  # it is not known who lives


def test_step_of_a_drain_says_what_it_waits_for_and_until_when() -> None:
    word = step_word(node_drain(step_until=1020.0), 1000.0, duration)
    assert word == "step 1 of 5: its records leave DNS; resolvers still know its addresses, 20s at most"
    assert step_word(node_drain(step="serving", step_why="", step_until=None), 1000.0, duration) == (
        "step 4 of 5: who is left is served"
    )
    old = node_drain()
    del old["step"]
    assert step_word(old, 1000.0, duration) == ""


def test_clock_of_another_node_is_ok_within_what_a_look_tells() -> None:
    def of(off: float) -> str:
        return clock_word(member("lb2", seen_at=1000.0, state=member_state(at=1000.0 + off)))

    assert (of(-1.9), of(2.0), of(12.0), of(-60.0)) == ("ok", "ok", "+12s", "-60s")
    assert clock_word(member("node-a")) == "self"
    assert clock_word(member("lb2", state=None)) == "-"


def test_age_of_what_came_of_a_node_is_never_below_zero() -> None:
    assert seen_word(member("lb2", seen_at=1000.0), 990.0, duration) == "0s"
    assert seen_word(member("lb2", seen_at=1000.0), 1065.0, duration) == "1m05s"
    assert seen_word(member("lb2", seen_at=0.0), 1065.0, duration) == "-"


def test_where_established_connections_end_is_said_and_so_is_that_it_is_not_known() -> None:
    assert "END" in ending(member_state(announce=routes_report(ecmp="plain")))
    assert ending(member_state(announce=routes_report(ecmp="handoff"))) == "established connections stay"
    assert "nothing is known" in ending(None)
