from __future__ import annotations

from dataclasses import replace

import pytest

from lbapp.engine.policy.readiness import Standing, reasons_against
from lbapp.model.readiness import ReadinessSettings

FINE = Standing("serving", False, False, (), 2, ("app", "api"), {"app": 1, "api": 2})


def test_a_node_that_serves_and_has_servers_is_ready() -> None:
    assert reasons_against(FINE, ReadinessSettings(3, ("app", "api"))) == []


@pytest.mark.parametrize(
    ("standing", "reason"),
    [
        (replace(FINE, phase="starting"), "the engine is starting"),
        (replace(FINE, phase="draining"), "the engine is about to stop"),
        (replace(FINE, is_stopping=True), "the engine is about to stop"),
        (replace(FINE, is_draining=True), "the node drains"),
        (replace(FINE, unbound=("web",)), "listener web accepts nobody"),
        (replace(FINE, workers=0), "no worker serves"),
        (replace(FINE, eligible={"app": 0, "api": 4}), "pool app has no eligible server"),
        (replace(FINE, eligible={"app": 0, "api": 4}, unpublished=("app",)), "pool app is unpublished"),
        (replace(FINE, eligible={"app": 1, "api": 1}), "2 eligible servers, and readiness.eligible_min is 3"),
    ],
)
def test_everything_that_speaks_against_new_clients_is_said(standing: Standing, reason: str) -> None:
    assert reasons_against(standing, ReadinessSettings(3, ("app",))) == [reason]


def test_a_node_whose_listeners_lead_to_no_pool_needs_no_server() -> None:
    assert reasons_against(replace(FINE, led_to=(), eligible={}), ReadinessSettings()) == []


def test_servers_of_pools_that_no_listener_leads_to_do_not_count() -> None:
    standing = replace(FINE, led_to=("app",), eligible={"app": 0, "api": 9})
    assert reasons_against(standing, ReadinessSettings()) == ["0 eligible servers, and readiness.eligible_min is 1"]
    assert reasons_against(standing, ReadinessSettings(0)) == []
