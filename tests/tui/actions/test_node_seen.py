from __future__ import annotations

from typing import Any

import pytest

from lbapp.tui.actions.node_seen import seen_node
from tests.tui.fleet_double import fleet_of, member, member_state, node_drain


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({}, ""),
        ({"is_alive": False}, "lb2 is not there any more"),
        ({"started_at": 9.0}, "lb2 was started again meanwhile"),
        ({"state": member_state(drain=node_drain())}, "lb2 drains: somebody else did that"),
        ({"state": None}, ""),
    ],
)
def test_node_is_the_one_that_was_seen_by_its_name_its_start_and_its_drain(more: dict[str, Any], why: str) -> None:
    seen = seen_node(member("lb2", started_at=5.0))
    assert seen.why_other(fleet_of(member("lb2", **{"started_at": 5.0, **more}))) == why
    assert seen.why_other(fleet_of(member("lb3"))) == "lb2 is not there any more"


def test_drain_that_somebody_ended_is_not_ended_again() -> None:
    seen = seen_node(member("lb2", started_at=5.0, state=member_state(drain=node_drain())))
    assert seen.is_draining
    assert "lb2 does not drain any more" in seen.why_other(fleet_of(member("lb2", started_at=5.0)))
