"""Configurations of a fleet, on real engines."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.fleet_nodes import FleetNode, fleet_of, start_node
from tests.system.harness import wait_for

pytestmark = pytest.mark.system
CONFIGURATION = "/v1/fleet/configuration"
MORE = '[[pool.server]]\nname = "s3"\naddress = "127.0.0.1:9"\n'


def names(node: FleetNode) -> list[str]:
    return [each["name"] for each in node.get("/v1/pools/app")["servers"]]


def number(node: FleetNode) -> int:
    fleet = node.get("/v1/fleet")
    state = next(each["state"] for each in fleet["members"] if each["is_self"])
    return int(state["fleet_configuration"])


def results(node: FleetNode) -> dict[str, str]:
    configuration = node.get("/v1/fleet")["configuration"]  # None until the node has looked again
    found: dict[str, str] = configuration["results"] if configuration else {}
    return found


def publish(node: FleetNode, more: str = MORE, **body: str) -> dict[str, object]:
    answer = node.ask("POST", CONFIGURATION, {"text": node.configuration.read_text() + more, **body})
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found


def test_every_node_serves_by_a_configuration_of_the_fleet_and_keeps_its_own_name_and_folders(tmp_path: Path) -> None:
    with fleet_of(tmp_path, "lb1", "lb2") as (_, nodes):
        lb1, lb2 = nodes["lb1"], nodes["lb2"]
        file = lb2.configuration.read_text()
        found = publish(lb1, reason="one more")
        assert (found["number"], found["mode"], found["node"]) == (1, "all", "lb1")
        wait_for(lambda: results(lb1) == {"lb1": "", "lb2": ""})
        assert (names(lb1), names(lb2)) == (["s1", "s2", "s3"],) * 2
        assert (number(lb1), number(lb2), lb2.get("/v1/fleet")["node"]) == (1, 1, "lb2")
        assert lb2.configuration.read_text() == file
        kept = lb2.get("/v1/configurations")["configurations"][-1]
        assert (kept["fleet"], kept["is_serving"], kept["user"].endswith("@lb1")) == (1, True, True)
        said = "configuration 1 of the fleet serves; "
        assert lb2.get("/v1/diff")["file"].startswith(said)
        wait_for(lambda: lb2.get("/v1/status")["engine"]["file_is_other"].startswith(said))


def test_the_file_of_a_node_is_published_where_no_text_is_given(tmp_path: Path) -> None:
    with fleet_of(tmp_path, "lb1", "lb2") as (_, nodes):
        lb1, lb2 = nodes["lb1"], nodes["lb2"]
        lb1.configuration.write_text(lb1.configuration.read_text() + MORE)
        assert lb1.ask("POST", CONFIGURATION).status_code == 200
        wait_for(lambda: results(lb2) == {"lb1": "", "lb2": ""})
        assert names(lb2) == ["s1", "s2", "s3"]
        assert lb1.get("/v1/diff")["file"] == ""  # it is what the file of lb1 says


def test_what_this_node_could_not_serve_by_is_not_published(tmp_path: Path) -> None:
    with fleet_of(tmp_path, "lb1") as (store, nodes):
        lb1 = nodes["lb1"]
        text = lb1.configuration.read_text()
        for body, refused in (
            ({"text": text + "[[pool]]\n"}, (422, "invalid_configuration")),
            ({"text": text.replace("[cluster]", "[other]")}, (422, "invalid_configuration")),
            ({"text": text[: text.index("[cluster]")] + text[text.index("[[listener]]") :]}, (422, "no_cluster")),
            ({"mode": "some"}, (422, "invalid_body")),
            ({"text": 5}, (422, "invalid_body")),
        ):
            answer = lb1.ask("POST", CONFIGURATION, body)
            assert (answer.status_code, answer.json()["error"]["code"]) == refused
        assert lb1.get("/v1/fleet")["configuration"] is None
        store.take_down()
        answer = lb1.ask("POST", CONFIGURATION, {"text": text + MORE})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "fleet_unreachable")


def test_a_node_that_cannot_take_it_says_why_and_goes_on_as_it_was(tmp_path: Path) -> None:
    with fleet_of(tmp_path, "lb1", "lb2") as (_, nodes):
        lb1, lb2 = nodes["lb1"], nodes["lb2"]
        lb2.ask("POST", "/v1/pools/app/servers", {"name": "s7", "address": "127.0.0.1:7"})
        lb2.configuration.write_text(lb2.configuration.read_text() + "# another comment\n")
        lb2.ask("POST", "/v1/reload", {"confirm_s": 600})
        publish(lb1, mode="rolling")
        wait_for(lambda: set(results(lb1)) == {"lb1", "lb2"})
        assert results(lb1)["lb1"] == ""
        assert "is not confirmed yet" in results(lb1)["lb2"]
        assert (number(lb2), "s3" in names(lb2)) == (0, False)
        assert "is not confirmed yet" in lb2.messages("configuration_of_fleet_refused")[-1]


def test_it_serves_again_after_a_restart_without_the_store_with_what_was_added_to_it_since(tmp_path: Path) -> None:
    with fleet_of(tmp_path, "lb1") as (store, nodes):
        publish(nodes["lb1"])
        wait_for(lambda: number(nodes["lb1"]) == 1)
        wait_for(lambda: results(nodes["lb1"]) == {"lb1": ""})
        nodes["lb1"].ask("POST", "/v1/pools/app/servers", {"name": "s4", "address": "127.0.0.1:4"})
        assert nodes["lb1"].end() == 0
        store.take_down()
        lb1 = start_node(tmp_path, "lb1", "")
        try:
            assert (names(lb1), number(lb1)) == (["s1", "s2", "s3", "s4"], 1)
            assert "the fleet's 1: " in lb1.messages("configuration_restored")[-1]
            differences = lb1.get("/v1/diff")["differences"]
            assert [(each["on"], each["setting"]) for each in differences] == [("app/s4", "server")]
            done = lb1.ask("POST", "/v1/reload").json()  # the file is as it was
            assert (done["applied"], names(lb1)) == (False, ["s1", "s2", "s3", "s4"])
            assert done["warnings"][0].startswith("the file is as it was when configuration 1 of the fleet was taken")
        finally:
            lb1.end()


def test_a_file_that_was_changed_afterwards_wins_at_the_start_and_says_so(tmp_path: Path) -> None:
    with fleet_of(tmp_path, "lb1") as (_, nodes):
        publish(nodes["lb1"])
        wait_for(lambda: results(nodes["lb1"]) == {"lb1": ""})
        file = nodes["lb1"].configuration
        file.write_text(file.read_text() + MORE.replace("s3", "s5"))
        assert "was changed after configuration 1 of the fleet was taken" in nodes["lb1"].get("/v1/diff")["file"]
        assert nodes["lb1"].end() == 0
        lb1 = start_node(tmp_path, "lb1", "")
        try:
            assert (names(lb1), number(lb1)) == (["s1", "s2", "s5"], 0)
            assert "the file serves" in lb1.messages("configuration_of_fleet_overruled")[-1]
            wait_for(lambda: lb1.get("/v1/fleet")["state"] == "synced")
            assert names(lb1) == ["s1", "s2", "s5"]
            publish(lb1, "")  # another of the fleet is later than the file
            wait_for(lambda: number(lb1) == 2)
        finally:
            lb1.end()


def test_a_rollback_leaves_the_fleets_configuration_on_this_node_alone(tmp_path: Path) -> None:
    with fleet_of(tmp_path, "lb1", "lb2") as (_, nodes):
        lb1, lb2 = nodes["lb1"], nodes["lb2"]
        publish(lb1)
        wait_for(lambda: results(lb1) == {"lb1": "", "lb2": ""})
        assert lb2.ask("POST", "/v1/rollback").json()["applied"] is True
        assert (names(lb2), number(lb2), number(lb1)) == (["s1", "s2"], 0, 1)
        assert lb2.get("/v1/diff")["file"] == ""
        assert lb2.ask("POST", "/v1/rollback", {"number": 2}).json()["applied"] is True
        assert names(lb2) == ["s1", "s2", "s3"]
