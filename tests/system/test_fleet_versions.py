"""Real engines beside what a later version of lbapp has written to their store, or somebody has deleted from it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lbapp.cluster import values
from tests.cluster.harness import Store, ask, needs_etcd
from tests.cluster.node_double import intent, member_state
from tests.system.fleet_nodes import FleetNode, alive, start_node
from tests.system.harness import Load, lbapp, lbapp_says, wait_for
from tests.system.test_fleet_store import CONFIGURATION, MORE, S1, fleet, results, state

pytestmark = [pytest.mark.system, needs_etcd]
CURRENT = "configuration/current"
INTENT = "intents/state/app/s1"


def later_node(store: Store) -> str:
    """Have a member live that is of a later version; return its lease."""
    lease = str(ask(store, "lease/grant", {"TTL": "60"})["ID"])
    card = {
        "version": "99.1",
        "started_at": 5.0,
        "host": "h",
        "zone": {"rack": [7, None]},
        "pid": "not a number any more",
    }
    drain = {"phase": "draining", "since": 1.0, "timeout_s": 5.0, "remaining_s": 1.0, "connections": 0, "in_flight": 0,
             "finish_s": None, "mood": "calm"}  # fmt: skip
    said = {**member_state(), "drain": drain, "ready": False, "weather": {"rain": True}}
    store.put("state/zz", json.dumps(said), lease)
    store.put("nodes/zz", json.dumps(card), lease)
    return lease


def written(store: Store, key: str, **more: object) -> str:
    """Write what a later version would: a known intent with more in it; return it as it is written."""
    whole = {**json.loads(values.intent(intent("app/s1", "maint", by="zoe"))), "node": "zz", **more}
    store.put(key, json.dumps(whole))
    return json.dumps(whole)


def engine_words(node: FleetNode) -> str:
    return node.log.read_text()


def test_nodes_of_a_later_version_beside_those_of_this_one_crash_nobody_and_are_left_as_they_are(
    tmp_path: Path,
) -> None:
    with fleet(tmp_path, "lb1", "lb2") as (store, nodes):
        lb1, lb2 = nodes["lb1"], nodes["lb2"]
        with Load(lb1.port()) as load:
            later_node(store)
            wait_for(lambda: alive(lb1) == alive(lb2) == ["lb1", "lb2", "zz"])
            (shown,) = (each for each in lb1.get("/v1/fleet")["members"] if each["name"] == "zz")
            assert (shown["version"], shown["state"]["ready"]) == ("99.1", False)
            assert lbapp(lb1, "nodes").returncode == 0
            # More than is known in a decision: what is known of it is made, and the rest stays.
            more = written(store, INTENT, schedule={"at": "02:00"})
            wait_for(lambda: lb1.word("app/s1") == lb2.word("app/s1") == ("maint", 100))
            # A kind of intents, a value and a kind of keys that are not known.
            kinds = [written(store, f"intents/colour/app/s{number}", value="red") for number in (1, 2)]
            warm = written(store, "intents/state/app/s2", value="warm")
            store.put("marks/7", "\x00\x01")
            wait_for(lambda: lb1.messages("fleet_nonsense") and lb2.messages("fleet_nonsense"))
            refused = lb1.patch("/v1/pools/app/servers/s2", {"state": "drain", "fleet": True, "force": True})
            assert (refused.status_code, refused.json()["error"]["code"]) == (409, "not_understood")
            assert "as zz has written it" in refused.json()["error"]["message"]
            assert lb1.word("app/s2") == lb2.word("app/s2") == ("ready", 100)
            lb2.patch(S1, {"weight": 7, "fleet": True})
            wait_for(lambda: lb1.word("app/s1") == ("maint", 7))
            answered = load.answered
            wait_for(lambda: load.answered > answered)
        assert load.failures == []
        kept = [store.value_of(each) for each in (INTENT, "intents/colour/app/s1", "intents/colour/app/s2")]
        assert kept == [more, *kinds]
        assert (store.value_of("intents/state/app/s2"), store.value_of("marks/7")) == (warm, "\x00\x01")
        for node in (lb1, lb2):
            assert node.messages("fleet_nonsense") == [
                "/lbapp/f/intents/state/app/s2, which zz (lbapp 99.1) has written, is passed over: value is no state"
            ]
            assert sorted(node.messages("fleet_not_understood")) == [
                f"/lbapp/f/{what} to this version of lbapp: that is left as it is, and nothing is made of it"
                for what in (
                    "intents/colour, which zz (lbapp 99.1) has written, is not known",
                    "intents/state, which zz (lbapp 99.1) has written, says more than is known (schedule)",
                    "marks is not known",
                )
            ]
            assert "Traceback" not in engine_words(node)


def test_what_a_later_version_wrote_is_left_through_a_restart_and_a_silent_store(tmp_path: Path) -> None:
    with fleet(tmp_path, "lb1") as (store, nodes):
        later_node(store)
        more = written(store, INTENT, schedule={"at": "02:00"})
        colour = written(store, "intents/colour/app/s1", value="red")
        wait_for(lambda: nodes["lb1"].word("app/s1") == ("maint", 100))
        assert nodes["lb1"].end() == 0
        store.kill()
        again = start_node(tmp_path, "lb1", "", has_store=True)
        try:
            assert again.word("app/s1") == ("maint", 100)
            wait_for(lambda: [each["value"] for each in again.get("/v1/fleet")["intents"]] == ["maint"])
            store.start()
            wait_for(lambda: state(again) == "synced", 30)
            wait_for(
                lambda: len(again.messages("fleet_not_understood")) == 4
            )  # twice, and once again by the next engine
            assert (store.value_of(INTENT), store.value_of("intents/colour/app/s1")) == (more, colour)
            assert again.messages("fleet_view_damaged") == again.messages("fleet_nonsense") == []
        finally:
            again.end()


def test_a_roll_goes_its_way_with_what_a_later_version_says_of_it(tmp_path: Path) -> None:
    with fleet(tmp_path, "lb1", "lb2") as (store, nodes):
        lb1, lb2 = nodes["lb1"], nodes["lb2"]
        text = lb1.configuration.read_text()
        assert lb1.ask("POST", CONFIGURATION, {"text": text + MORE}).status_code == 200
        wait_for(lambda: results(lb1) == results(lb2) == {"lb1": "", "lb2": ""}, 30)
        # As a later version would begin a roll of the same text.
        whole = {**json.loads(store.value_of(CURRENT) or ""), "number": 2, "mode": "rolling", "order": ["lb1", "lb2"]}
        whole |= {"reached": 1, "node": "lb1", "canary": {"share": 5}}
        store.put("texts/0000000002", text + MORE)
        store.put(CURRENT, json.dumps(whole))
        wait_for(
            lambda: set(results(lb2)) == {"lb1", "lb2"} and lb2.get("/v1/fleet")["configuration"]["number"] == 2, 30
        )
        assert json.loads(store.value_of(CURRENT) or "") == {**whole, "reached": 2}
        wait_for(lambda: len(lb1.messages("fleet_not_understood")) == len(lb2.messages("fleet_not_understood")) == 1)


def test_a_configuration_that_is_deleted_by_hand_is_said_and_changes_nothing_until_the_next_one(tmp_path: Path) -> None:
    with fleet(tmp_path, "lb1", "lb2") as (store, nodes):
        lb1, lb2 = nodes["lb1"], nodes["lb2"]
        lb1.configuration.write_text(lb1.configuration.read_text() + MORE)
        assert lb1.ask("POST", CONFIGURATION, {}).status_code == 200
        wait_for(lambda: results(lb1) == results(lb2) == {"lb1": "", "lb2": ""}, 30)
        before = [each.get("/v1/status")["engine"]["generation"] for each in (lb1, lb2)]
        with Load(lb2.port()) as load:
            store.delete(CURRENT)
            wait_for(lambda: lb1.get("/v1/fleet")["problem"] and lb2.get("/v1/fleet")["problem"])
            for node in (lb1, lb2):
                (said,) = node.messages("fleet_problem")
                assert said.startswith("configuration 1 of the fleet, which ")
                assert " at lb1 has published, was deleted from the store (/lbapp/f/configuration/current)" in said
                assert said.endswith("serves on as it does; have all serve by one again with lbapp reload --fleet")
                assert node.get("/v1/fleet")["configuration"] is None
                assert said in " ".join(lbapp_says(node, "nodes").split())
                assert [each["name"] for each in node.get("/v1/pools/app")["servers"]] == ["s1", "s2", "s3"]
            assert lb2.end() == 0
            again = start_node(tmp_path, "lb2", "", has_store=True)
            try:
                wait_for(lambda: state(again) == "synced", 30)
                assert [each["name"] for each in again.get("/v1/pools/app")["servers"]] == ["s1", "s2", "s3"]
                assert lb1.get("/v1/status")["engine"]["generation"] == before[0]
                done = lbapp(lb1, "reload", "--fleet", "--wait")
                assert (done.returncode, done.stdout) == (0, "configuration f2 on 2 of 2\n"), done.stderr
                wait_for(lambda: again.get("/v1/fleet")["problem"] == lb1.get("/v1/fleet")["problem"] == "")
            finally:
                again.end()
        assert load.answered


def test_every_node_says_who_has_had_it_serve_by_what_and_one_that_was_away_says_that_as_well(tmp_path: Path) -> None:
    with fleet(tmp_path, "lb1", "lb2", "lb3") as (store, nodes):
        lb1, lb2, lb3 = nodes["lb1"], nodes["lb2"], nodes["lb3"]
        assert lb3.end() == 0
        wait_for(lambda: alive(lb1) == ["lb1", "lb2"])
        body = {"text": lb1.configuration.read_text() + MORE, "reason": "one more"}
        assert lb1.ask("POST", CONFIGURATION, body).status_code == 200
        wait_for(lambda: results(lb1) == results(lb2) == {"lb1": "", "lb2": ""}, 30)
        again = start_node(tmp_path, "lb3", "", has_store=True)
        try:
            wait_for(lambda: results(lb1).get("lb3") == "", 30)
            wanted = lb1.get("/v1/fleet")["configuration"]
            for node in (lb1, lb2, again):
                (event,) = (
                    each for each in node.get("/v1/events?limit=1000")["events"]
                    if each["kind"] == "configuration_of_fleet_began"
                )  # fmt: skip
                said = event["message"]
                which = f"configuration 1 of the fleet (revision {wanted['revision']} of the store)"
                assert said.startswith(f"this node begins to serve by {which}: {wanted['by']} at lb1 has had all nodes")
                assert ", at once, at 20" in said
                assert said.endswith("; it was away then") is (node is again)
                assert event["actor"]["user"] == f"{wanted['by']}@lb1"
                assert "this node begins to serve by configuration 1 of the fleet" in lbapp_says(node, "events")
            assert wanted["begun"] == {}
            assert store.lease_of("nodes/lb3") is not None
        finally:
            again.end()
