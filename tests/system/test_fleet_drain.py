"""The drain of a node of a fleet, on real engines."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.engine.supervisor.test_reports import ANNOUNCE
from tests.system.fleet_nodes import FleetNode, alive, fleet_of, start_node
from tests.system.harness import wait_for

pytestmark = pytest.mark.system
NODE = "/v1/node"


def refused(node: FleetNode, body: object) -> tuple[int, str, str]:
    answer = node.patch(NODE, body)
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["message"]


def stands(node: FleetNode, name: str) -> dict[str, Any]:
    """Return how another node stands, as one has heard of it last."""
    found: dict[str, Any] = next(each["state"] for each in node.get("/v1/fleet")["members"] if each["name"] == name)
    return found


def test_a_node_is_not_drained_where_too_few_would_be_ready(tmp_path: Path) -> None:
    with fleet_of(tmp_path, "lb1", "lb2") as (_, nodes):
        lb1, lb2 = nodes["lb1"], nodes["lb2"]
        assert lb1.patch(NODE, {"state": "drain"}).status_code == 200
        wait_for(lambda: lb2.get("/v1/status")["engine"]["fleet"]["ready"] == 1)
        assert refused(lb2, {"state": "drain"}) == (
            409, "quorum", "0 of 2 members would be ready without lb2, and 1 have to be (half of them)",
        )  # fmt: skip
        assert lb2.ask("GET", "/v1/ready").status_code == 200
        assert lb1.patch(NODE, {"state": "drain", "drain_timeout_s": 900}).status_code == 200  # it is not ready anyway
        assert lb2.patch(NODE, {"state": "drain", "force": True}).status_code == 200
        assert lb2.ask("GET", "/v1/ready").status_code == 503


def test_an_undo_or_a_redo_drains_no_node_where_too_few_would_be_ready(tmp_path: Path) -> None:
    with fleet_of(tmp_path, "lb1", "lb2") as (_, nodes):
        lb1, lb2 = nodes["lb1"], nodes["lb2"]
        assert lb2.patch(NODE, {"state": "drain"}).status_code == 200
        assert lb2.ask("POST", "/v1/undo", {}).status_code == 200
        number = lb2.get("/v1/changes")["actions"][-1]["number"]
        undone_at = time.time()
        wait_for(lambda: stands(lb1, "lb2")["at"] > undone_at)  # what it has heard before may be of the drain
        assert lb1.get("/v1/status")["engine"]["fleet"]["ready"] == 2
        assert lb1.patch(NODE, {"state": "drain"}).status_code == 200
        wait_for(lambda: lb2.get("/v1/status")["engine"]["fleet"]["ready"] == 1)
        again = lb2.ask("POST", "/v1/undo", {"action": number})
        assert (again.status_code, again.json()["error"]["code"]) == (409, "quorum")
        assert lb2.ask("GET", "/v1/ready").status_code == 200
        assert lb2.ask("POST", "/v1/undo", {"action": number, "force": True}).status_code == 200
        assert lb2.ask("GET", "/v1/ready").status_code == 503


def test_while_the_store_is_silent_nobody_knows_whether_enough_would_be_ready(tmp_path: Path) -> None:
    with fleet_of(tmp_path, "lb1", "lb2") as (store, nodes):
        lb1 = nodes["lb1"]
        store.take_down()
        wait_for(lambda: lb1.get("/v1/fleet")["state"] == "stale")
        status, code, message = refused(lb1, {"state": "drain"})
        assert (status, code) == (409, "quorum")
        assert message.startswith("whether enough members would be ready is not known: the store has not answered for")
        assert lb1.patch(NODE, {"state": "drain", "force": True}).status_code == 200


def test_another_node_is_drained_and_made_ready_again_from_here(tmp_path: Path) -> None:
    with fleet_of(tmp_path, "lb1", "lb2", cluster="ready_min = 0\n") as (_, nodes):
        lb1, lb2 = nodes["lb1"], nodes["lb2"]
        done = lb1.patch(NODE, {"state": "drain", "node": "lb2", "drain_timeout_s": 700, "reason": "kernel"}).json()
        assert (done["before"], done["after"], done["fleet"]["waiting"]) == ("ready", "drain", ["lb2"])
        wait_for(lambda: lb2.status()["engine"]["drain"] is not None)
        drain = lb2.status()["engine"]["drain"]
        assert drain is not None
        assert 600 < drain["timeout_s"] <= 700
        assert lb1.ask("GET", "/v1/ready").status_code == 200
        assert lb2.get("/v1/changes")["actions"][-1]["reason"] == "kernel"
        member = next(each for each in lb1.get("/v1/fleet")["members"] if each["name"] == "lb2")
        wait_for(lambda: lb1.get("/v1/status")["engine"]["fleet"]["ready"] == 1)
        assert member["is_alive"] is True
        lb1.patch(NODE, {"state": "ready", "node": "lb2"})
        wait_for(lambda: lb2.ask("GET", "/v1/ready").status_code == 200)
        assert refused(lb1, {"state": "drain", "node": "lb3"})[:2] == (404, "unknown_node")


def test_the_drain_of_another_node_is_taken_back_where_it_was_asked_for_and_nothing_else(tmp_path: Path) -> None:
    with fleet_of(tmp_path, "lb1", "lb2", cluster="ready_min = 0\n") as (_, nodes):
        lb1, lb2 = nodes["lb1"], nodes["lb2"]
        lb1.patch("/v1/pools/app/servers/s1", {"weight": 7})
        lb1.patch(NODE, {"state": "drain", "node": "lb2", "reason": "kernel"})
        action = lb1.get("/v1/changes")["actions"][-1]
        assert [(each["on"], each["before"], each["after"]) for each in action["changes"]] == [
            ("node/lb2", "ready", "drain")
        ]
        assert (action["reason"], action["actor"]["user"].partition("@")[2]) == ("kernel", "lb1")
        wait_for(lambda: lb2.ask("GET", "/v1/ready").status_code == 503)
        done = lb1.ask("POST", "/v1/undo", {}).json()
        assert [(each["on"], each["after"]) for each in done.get("changes", ())] == [("node/lb2", "ready")], done
        wait_for(lambda: lb2.ask("GET", "/v1/ready").status_code == 200)
        assert lb1.word("app/s1") == ("ready", 7)
        assert [each["is_undone"] for each in lb1.get("/v1/changes")["actions"]] == [False, True, False]
        assert lb2.get("/v1/changes")["actions"][0]["is_undone"] is True
        # The undo itself is done again by its number; what somebody has ended at the node since is refused.
        redo = lb1.ask("POST", "/v1/undo", {"action": lb1.get("/v1/changes")["actions"][-1]["number"]}).json()
        wait_for(lambda: lb2.ask("GET", "/v1/ready").status_code == 503)
        lb2.patch(NODE, {"state": "ready"})

        def has_said_so() -> bool:
            said = stands(lb1, "lb2")
            return bool(said["fleet_revision"] == redo["fleet"]["revision"] and said["drain"] is None)

        wait_for(has_said_so)
        again = lb1.ask("POST", "/v1/undo", {"action": action["number"]}).json()
        assert "node/lb2 has state ready now, not drain" in again["error"]["message"]


def test_what_was_asked_of_another_node_outlives_the_engine_and_is_nothing_of_this_one(tmp_path: Path) -> None:
    with fleet_of(tmp_path, "lb1", "lb2", cluster="ready_min = 0\n") as (_, nodes):
        lb1, lb2 = nodes["lb1"], nodes["lb2"]
        lb1.patch(NODE, {"state": "drain", "node": "lb2"})
        wait_for(lambda: lb2.ask("GET", "/v1/ready").status_code == 503)
        assert lb1.end() == 0
        again = start_node(tmp_path, "lb1", "")
        try:
            assert again.ask("GET", "/v1/ready").status_code == 200
            assert again.get("/v1/diff")["differences"] == []
            wait_for(lambda: len(alive(again)) == 2 and again.get("/v1/fleet")["state"] == "synced")
            assert again.ask("POST", "/v1/undo", {}).status_code == 200
            wait_for(lambda: lb2.ask("GET", "/v1/ready").status_code == 200)
        finally:
            again.end()


def test_a_node_that_has_no_such_server_has_heard_of_it_all_the_same(tmp_path: Path) -> None:
    with fleet_of(tmp_path, "lb1", "lb2") as (_, nodes):
        lb1, lb2 = nodes["lb1"], nodes["lb2"]
        text = lb2.configuration.read_text()
        lb2.configuration.write_text(text[: text.index("[[pool.server]]", text.index("[[pool.server]]") + 1)])
        assert lb2.ask("POST", "/v1/reload", {}).status_code == 200
        applied = lb1.patch("/v1/pools/app/servers/s2", {"weight": 5, "fleet": True}).json()["fleet"]
        wait_for(lambda: lb2.messages("intent_unknown"))

        def have() -> list[int]:
            states = [each["state"] for each in lb1.get("/v1/fleet")["members"]]
            return [each["fleet_revision"] for each in states if each]

        wait_for(lambda: have() == [applied["revision"], applied["revision"]])


def test_a_drained_node_stops_where_that_was_asked_for_and_stays_drained_when_it_starts(tmp_path: Path) -> None:
    with fleet_of(tmp_path, "lb1", "lb2") as (_, nodes):
        lb2 = nodes["lb2"]
        assert refused(lb2, {"state": "ready", "then_stop": True})[:2] == (422, "invalid_body")
        nodes["lb1"].patch(NODE, {"state": "drain", "node": "lb2", "then_stop": True})
        assert lb2.process.wait(30) == 0
        assert "the engine stops now, as was asked for" in lb2.log.read_text()


def test_a_drain_waits_for_the_routes_that_are_told_of_and_is_cancelled_meanwhile(tmp_path: Path) -> None:
    with fleet_of(tmp_path, "lb1") as (_, nodes):
        lb1 = nodes["lb1"]
        assert lb1.ask("PUT", "/v1/reports/announce", {**ANNOUNCE, "ecmp": "handoff"}).status_code == 200
        drain = lb1.patch(NODE, {"state": "drain", "force": True}).json()["drain"]
        assert (drain["step"], drain["ecmp"], drain["phase"]) == ("routes", "handoff", "draining")
        assert lb1.get("/v1/ready")["drain"]["step"] == "routes"
        lb1.patch(NODE, {"state": "ready"})
        assert lb1.ask("GET", "/v1/ready").status_code == 200
        lb1.patch(NODE, {"state": "drain", "force": True})
        lb1.ask("PUT", "/v1/reports/announce", {**ANNOUNCE, "ecmp": "handoff", "state": "drained", "med": 100})
        wait_for(lambda: lb1.get("/v1/ready")["drain"]["step"] == "drained")
