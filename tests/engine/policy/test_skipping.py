"""Why a server is none that somebody may be given."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lbapp.engine.policy.skipping import Standing, reason_against
from lbapp.model.states import AdminState, HealthState

FINE = Standing(
    is_published=True,
    admin=AdminState.READY,
    health=HealthState.UP,
    weight=100,
    is_ejected=False,
    wants_no_clients=False,
    is_backup=False,
    is_eligible=True,
    is_tried=False,
    is_full=False,
    in_flight=3,
    connections_max=0,
)


def against(pool_in_flight: int = 9, pool_connections_max: int = 0, **others: Any) -> str:
    return reason_against(replace(FINE, **others), pool_in_flight, pool_connections_max)


@pytest.mark.parametrize(
    ("others", "reason"),
    [
        ({"is_published": False}, "the pool is unpublished"),
        ({"admin": AdminState.DRAIN, "health": HealthState.DOWN}, "DRAIN"),
        ({"admin": AdminState.MAINT}, "MAINT"),
        ({"weight": 0, "health": HealthState.DOWN}, "weight 0"),
        ({"wants_no_clients": True}, "asks for no new clients"),
        ({"health": HealthState.DOWN, "is_ejected": True}, "DOWN"),
        ({"is_ejected": True}, "ejected"),
        ({"is_backup": True}, "backup, not needed"),
        ({}, "not among those in use"),
    ],
)
def test_server_that_is_not_eligible_has_one_reason(others: dict[str, Any], reason: str) -> None:
    assert against(is_eligible=False, **others) == reason


def test_server_that_may_be_chosen_has_none_whatever_its_health_in_a_panic() -> None:
    assert against() == ""
    assert against(health=HealthState.DOWN) == ""


def test_what_is_tried_or_full_says_so() -> None:
    assert against(is_tried=True, is_full=True) == "tried already"
    assert against(is_full=True, connections_max=3) == "full: 3 in flight of connections_max 3"
    assert against(9, 9, is_full=True, connections_max=4) == "the pool is full: 9 in flight of connections_max 9"
    assert against(is_full=True, connections_max=4) == "others wait for it"
