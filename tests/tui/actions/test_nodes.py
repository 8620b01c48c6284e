from __future__ import annotations

from typing import Any, cast

import pytest

from lbapp.control.messages import FleetGlance
from lbapp.tui.actions.catalog import ACTIONS
from lbapp.tui.actions.nodes import OF_FLEET, drain_effect, scope_lines, why_not_fleet
from tests.tui.fleet_double import fleet_of, member, member_state, routes_report, three_nodes


def glance(state: str) -> FleetGlance:
    return cast(FleetGlance, {"name": "prod", "node": "node-a", "state": state})


def test_only_actions_that_there_are_may_be_for_all_nodes() -> None:
    assert set(ACTIONS) >= OF_FLEET


def test_nodes_that_change_and_nodes_that_do_not_are_named() -> None:
    fleet = fleet_of(member("lb2"), member("node-a"), member("lb3", is_alive=False))
    assert scope_lines(fleet, is_fleet=True) == ("On ALL 2 nodes that live: node-a, lb2.",)
    assert scope_lines(fleet, is_fleet=False) == ("On node-a ALONE: lb2 goes on as before.",)
    assert scope_lines(fleet_of(member("node-a")), is_fleet=False) == ()
    many = fleet_of(*(member(f"lb{number}") for number in range(1, 10)), member("node-a"))
    assert scope_lines(many, is_fleet=True)[0].endswith("lb4, lb5 and 4 more.")


@pytest.mark.parametrize("state", ["stale", "starting"])
def test_store_that_is_silent_lets_nothing_be_changed_on_all_nodes(state: Any) -> None:
    assert scope_lines(three_nodes(state=state, age_s=42.0), is_fleet=True)[0].startswith("! STORE")
    assert "F goes back to this node alone" in why_not_fleet(glance(state))
    assert why_not_fleet(None)
    assert why_not_fleet(glance("synced")) == ""


def test_drain_of_a_node_says_its_steps_who_is_ready_then_and_where_connections_end() -> None:
    effect = drain_effect(three_nodes(), "lb2")
    assert effect.lines == (
        "Steps: 1 its record leaves DNS, 20s, 2 210 connections are asked to leave, 3 its routes lead elsewhere, "
        "4 who is left is served.",
        "2 of 3 nodes are ready then.",
        "! In step 3, established connections END when routes leave: some of other nodes, too.",
    )
    assert (effect.grade, effect.needs_force) == ("B", False)


def test_steps_that_nothing_waits_for_are_not_named_and_what_is_not_known_is_said() -> None:
    alone = member_state(announce=None, dns=None)
    fleet = fleet_of(member("node-a", is_alive=False), member("lb2", state=alone), member("lb3", state=None))
    lines = drain_effect(fleet, "lb2").lines
    assert lines[0] == "Steps: 1 210 connections are asked to leave, 2 who is left is served."
    assert lines[1] == "! 0 of 3 nodes are ready then."
    assert "Nothing is known of its routes" in lines[2]
    kept = three_nodes(state="stale", age_s=42.0)
    assert "cannot be known" in drain_effect(kept, "lb2").lines[1]
    stays = fleet_of(member("lb2", state=member_state(announce=routes_report(ecmp="resilient"))))
    assert not drain_effect(stays, "lb2").lines[2].startswith("!")
