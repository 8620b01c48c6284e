from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from lbapp.control.fleet import FleetStatus, Readiness
from lbapp.control.shapes import check
from tests.engine.supervisor.support import Backend, EngineProcess, engine, toml
from tests.engine.supervisor.test_reports import ANNOUNCE, DNS

pytestmark = pytest.mark.system
SERVERS = "/v1/pools/app/servers"


@pytest.fixture
def running(tmp_path: Path) -> Iterator[EngineProcess]:
    with Backend() as backend, engine(tmp_path, toml([backend.port])) as process:
        yield process


@pytest.fixture
def control(running: EngineProcess) -> Iterator[httpx.Client]:
    with running.control() as client:
        yield client


def test_a_node_is_ready_while_it_serves_and_has_a_server(control: httpx.Client) -> None:
    answer = control.get("/v1/ready")
    assert answer.status_code == 200
    check(answer.json(), Readiness, "ready")
    assert (answer.json()["ready"], answer.json()["reasons"], answer.json()["drain"]) == (True, [], None)
    control.patch(f"{SERVERS}/s1", json={"state": "maint", "force": True})
    answer = control.get("/v1/ready")
    assert answer.status_code == 503
    check(answer.json(), Readiness, "ready")
    assert answer.json()["reasons"] == ["0 eligible servers, and readiness.eligible_min is 1"]
    assert answer.json()["error"]["code"] == "not_ready"


def test_a_node_that_drains_is_not_ready_until_that_ends(control: httpx.Client) -> None:
    control.patch("/v1/node", json={"state": "drain"})
    answer = control.get("/v1/ready")
    assert (answer.status_code, answer.json()["reasons"]) == (503, ["the node drains"])
    assert answer.json()["drain"] is not None
    control.patch("/v1/node", json={"state": "ready"})
    assert control.get("/v1/ready").status_code == 200


def test_a_node_that_is_alone_says_so_and_shows_itself(control: httpx.Client) -> None:
    found = control.get("/v1/fleet").json()
    check(found, FleetStatus, "fleet")
    assert (found["fleet"], found["state"], found["age_s"], found["intents"], found["configuration"]) == (
        "", "off", None, [], None,
    )  # fmt: skip
    (member,) = found["members"]
    assert (member["is_self"], member["is_alive"], member["name"]) == (True, True, found["node"])
    assert member["state"]["ready"] is True
    assert (member["state"]["servers_eligible"], member["state"]["servers_total"]) == (1, 1)


def test_reports_of_routes_and_records_are_kept_and_shown(control: httpx.Client) -> None:
    assert control.put("/v1/reports/announce", json=ANNOUNCE).json() == {"accepted": True}
    assert control.put("/v1/reports/dns", json=DNS).json() == {"accepted": True}
    state = control.get("/v1/fleet").json()["members"][0]["state"]
    assert (state["announce"], state["dns"]) == (ANNOUNCE, DNS)
    refused = control.put("/v1/reports/dns", json={**DNS, "ttl_s": "20"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "invalid_body")
    assert control.get("/v1/fleet").json()["members"][0]["state"]["dns"] == DNS
