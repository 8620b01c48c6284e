"""Actions of a fleet, on real engines."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from lbapp.model.fleet import FleetIntent
from lbapp.model.journal import Setting
from tests.dns_server import dns_server
from tests.system.fleet_nodes import FleetNode, fleet_of, start_node
from tests.system.harness import NO_CHECK, listener_toml, wait_for

pytestmark = pytest.mark.system
S1, S2 = "/v1/pools/app/servers/s1", "/v1/pools/app/servers/s2"


def code(node: FleetNode, path: str, body: object) -> tuple[int, str]:
    answer = node.patch(path, body)
    return answer.status_code, answer.json()["error"]["code"]


def test_an_action_of_the_fleet_is_made_on_every_node_and_one_of_a_node_on_that_alone(tmp_path: Path) -> None:
    with fleet_of(tmp_path, "lb1", "lb2") as (store, nodes):
        lb1, lb2 = nodes["lb1"], nodes["lb2"]
        done = lb1.patch(S1, {"state": "drain", "weight_percent": 50, "fleet": True, "reason": "disks"}).json()
        assert (done["before"], done["after"]) == (
            {"state": "ready", "weight": 100}, {"state": "drain", "weight": 50},
        )  # fmt: skip
        assert (done["fleet"]["done"], done["fleet"]["waiting"], done["fleet"]["revision"]) == (["lb1"], ["lb2"], 1)
        assert done["event_seqs"]
        wait_for(lambda: lb2.word("app/s1") == ("drain", 50))
        action = lb2.get("/v1/changes")["actions"][-1]
        assert (action["actor"]["user"].partition("@")[2], action["reason"], action["fleet"]) == ("lb1", "disks", 1)
        assert {each.value for each in store.intents()} == {"drain", 50}  # a share is a number by then
        assert lb2.server("app/s1")["drain"] is not None
        states = [each["state"]["fleet_revision"] for each in lb2.get("/v1/fleet")["members"] if each["is_self"]]
        assert states == [1]
        lb2.patch(S2, {"weight": 7})
        assert lb1.word("app/s2") == ("ready", 100)
        intents = lb2.get("/v1/fleet")["intents"]
        assert [(each["setting"], each["value"], each["here"]) for each in intents] == [
            ("state", "drain", "drain"), ("weight", 50, 50),
        ]  # fmt: skip


def test_pools_and_several_servers_are_changed_on_every_node(tmp_path: Path) -> None:
    with fleet_of(tmp_path, "lb1", "lb2") as (_, nodes):
        lb1, lb2 = nodes["lb1"], nodes["lb2"]
        assert lb2.patch("/v1/pools/app", {"published": False, "fleet": True}).json()["fleet"]["waiting"] == ["lb1"]
        wait_for(lambda: lb1.get("/v1/pools/app")["published"] is False)
        done = lb1.patch("/v1/servers", {"servers": ["app/s1", "app/s2"], "weight_add": -40, "fleet": True}).json()
        assert [each["after"]["weight"] for each in done["changes"]] == [60, 60]
        assert done["fleet"]["done"] == ["lb1"]
        wait_for(lambda: (lb2.word("app/s1"), lb2.word("app/s2")) == (("ready", 60), ("ready", 60)))
        assert len(lb2.get("/v1/changes")["actions"]) == 2


def test_a_store_that_does_not_answer_changes_nothing(tmp_path: Path) -> None:
    with fleet_of(tmp_path, "lb1") as (store, nodes):
        lb1 = nodes["lb1"]
        store.take_down()
        assert code(lb1, S1, {"state": "drain", "fleet": True}) == (503, "fleet_unreachable")
        assert code(lb1, "/v1/pools/app", {"published": False, "fleet": True}) == (503, "fleet_unreachable")
        assert (lb1.word("app/s1"), lb1.get("/v1/changes")["actions"]) == (("ready", 100), [])
        assert lb1.patch(S1, {"state": "drain"}).status_code == 200  # of this node alone


def test_what_is_refused_here_is_not_asked_of_the_fleet(tmp_path: Path) -> None:
    with fleet_of(tmp_path, "lb1") as (store, nodes):
        lb1 = nodes["lb1"]
        both = {"servers": ["app/s1", "app/s2"], "state": "drain", "fleet": True}
        assert code(lb1, "/v1/servers", both) == (409, "leaves_nobody")
        assert code(lb1, S1, {"state": "drain", "fleet": "yes"}) == (422, "invalid_body")
        assert code(lb1, S1, {"weight": 300, "fleet": True}) == (422, "invalid_weight")
        assert store.intents() == []
        assert lb1.patch("/v1/servers", {**both, "force": True}).status_code == 200
        assert all(each.is_forced for each in store.intents())


def test_an_operator_who_did_not_see_the_last_intent_is_refused(tmp_path: Path) -> None:
    with fleet_of(tmp_path, "lb1", "lb2") as (store, nodes):
        lb1 = nodes["lb1"]
        lb1.patch(S1, {"weight": 10, "fleet": True})
        wait_for(lambda: nodes["lb2"].word("app/s1")[1] == 10)
        # Written in the moment between two looks of lb1.
        with store.held() as data:
            data["revision"] += 1
            data["intents"][0]["revision"] = data["revision"]
            data["intents"][0]["value"] = 20
        answer = lb1.patch(S1, {"weight": 30, "fleet": True})
        if answer.status_code == 409:
            assert answer.json()["error"]["code"] == "changed"
            wait_for(lambda: lb1.word("app/s1")[1] == 20)
        else:  # it had seen it already
            assert lb1.word("app/s1")[1] == 30


def test_what_the_fleet_wants_outlives_a_restart_without_the_store(tmp_path: Path) -> None:
    with fleet_of(tmp_path, "lb1", "lb2") as (store, nodes):
        nodes["lb1"].patch(S1, {"state": "maint", "fleet": True})
        wait_for(lambda: nodes["lb2"].word("app/s1")[0] == "maint")
        assert nodes["lb2"].end() == 0
        store.take_down()
        lb2 = start_node(tmp_path, "lb2", "")
        try:
            assert lb2.word("app/s1") == ("maint", 100)
            assert lb2.get("/v1/fleet")["state"] == "stale"
            assert "@lb1 on " in lb2.messages("change_restored")[-1]
            store.bring_back()
            wait_for(lambda: lb2.get("/v1/fleet")["state"] == "synced")
            assert len(lb2.get("/v1/changes")["actions"]) == 1  # it was not made again
        finally:
            lb2.end()


def test_the_later_of_an_action_of_the_fleet_and_one_of_a_node_holds(tmp_path: Path) -> None:
    with fleet_of(tmp_path, "lb1", "lb2") as (store, nodes):
        lb1, lb2 = nodes["lb1"], nodes["lb2"]
        lb1.patch(S1, {"weight": 10, "fleet": True})
        wait_for(lambda: lb2.word("app/s1")[1] == 10)
        lb2.patch(S1, {"weight": 20})
        (differs,) = lb2.get("/v1/diff")["fleet"]
        assert (differs["fleet"], differs["now"], differs["why"]) == (10, 20, "it was changed on this node alone")
        assert lb2.get("/v1/status")["engine"]["fleet"]["differs"] == 1
        assert lb1.get("/v1/diff")["fleet"] == []
        lb1.patch(S1, {"weight": 30, "fleet": True})
        wait_for(lambda: lb2.word("app/s1")[1] == 30)
        assert lb2.get("/v1/diff")["fleet"] == []
        # Written before the last action of lb2, as by a node that was cut off, and heard of after it.
        store.take_down()
        wait_for(lambda: lb2.get("/v1/fleet")["state"] == "stale")
        lb2.patch(S2, {"weight": 40})
        store.bring_back()
        store.put(FleetIntent("app/s2", Setting.WEIGHT, 50, 100, "carol", "lb3", time.time() - 60))
        wait_for(lambda: lb1.word("app/s2")[1] == 50)
        wait_for(lambda: lb2.messages("intent_passed_over"))
        assert lb2.word("app/s2")[1] == 40


def test_a_file_with_another_value_beats_the_fleet_and_says_so(tmp_path: Path) -> None:
    with fleet_of(tmp_path, "lb1") as (store, nodes):
        lb1 = nodes["lb1"]
        store.put(FleetIntent("app/s1", Setting.WEIGHT, 5, 80, "carol", "lb2", time.time()))
        wait_for(lambda: lb1.messages("change_overruled"))
        assert lb1.word("app/s1")[1] == 100
        (differs,) = lb1.get("/v1/diff")["fleet"]
        assert differs["why"] == "the file has 100 here, and had 80 where it was asked for"
        assert len(lb1.messages("change_overruled")) == 1  # and it is passed over once, not at each look
        assert lb1.get("/v1/changes")["actions"] == []


def test_what_is_wanted_of_a_server_that_is_not_here_waits_until_a_reload_brings_it(tmp_path: Path) -> None:
    with fleet_of(tmp_path, "lb1") as (store, nodes):
        lb1 = nodes["lb1"]
        store.put(FleetIntent("app/s9", Setting.STATE, "drain", "ready", "carol", "lb2", time.time()))
        wait_for(lambda: lb1.messages("intent_unknown"))
        text = lb1.configuration.read_text()
        lb1.configuration.write_text(text + '[[pool.server]]\nname = "s9"\naddress = "127.0.0.1:9"\n')
        assert lb1.ask("POST", "/v1/reload").json()["applied"] is True
        wait_for(lambda: lb1.word("app/s9")[0] == "drain")
        assert len(lb1.messages("intent_unknown")) == 1


def test_the_undo_of_an_action_of_the_fleet_is_one_of_the_fleet(tmp_path: Path) -> None:
    with fleet_of(tmp_path, "lb1", "lb2") as (_, nodes):
        lb1, lb2 = nodes["lb1"], nodes["lb2"]
        lb1.patch(S1, {"state": "drain", "fleet": True})
        wait_for(lambda: lb2.word("app/s1")[0] == "drain")
        lb2.patch(S2, {"weight": 9})
        undone = lb2.ask("POST", "/v1/undo", {"fleet": True}).json()
        assert (undone["actions"], undone["fleet"]["done"]) == ([1], ["lb2"])
        wait_for(lambda: lb1.word("app/s1")[0] == "ready")
        assert lb2.word("app/s2")[1] == 9
        first, last = lb1.get("/v1/changes")["actions"]
        assert (first["is_undone"], last["undoes"], last["fleet"]) == (True, [1], 2)
        redone = lb1.ask("POST", "/v1/undo", {"action": last["number"]}).json()  # of the fleet without a word, too
        assert redone["redone"] == [1]
        wait_for(lambda: lb2.word("app/s1")[0] == "drain")
        nothing = lb2.ask("POST", "/v1/undo", {"action": 2, "fleet": True})
        assert (nothing.status_code, nothing.json()["error"]["code"]) == (409, "nothing_to_undo")


def test_a_ramp_and_the_time_of_a_drain_are_the_same_on_every_node(tmp_path: Path) -> None:
    with fleet_of(tmp_path, "lb1", "lb2") as (_, nodes):
        lb1, lb2 = nodes["lb1"], nodes["lb2"]
        lb1.patch(S1, {"weight": 10, "over_s": 600, "fleet": True})
        lb1.patch(S2, {"state": "drain", "drain_timeout_s": 500, "fleet": True, "force": True})
        wait_for(lambda: lb2.server("app/s1")["ramp"] is not None and lb2.server("app/s2")["drain"] is not None)
        one, two = lb1.server("app/s1")["ramp"], lb2.server("app/s1")["ramp"]
        assert one is not None
        assert two is not None
        assert (two["before"], two["after"]) == (100, 10)
        assert abs(one["until"] - two["until"]) < 2
        drain = lb2.server("app/s2")["drain"]
        assert drain is not None
        assert 400 < drain["remaining_s"] <= 500


def test_clocks_that_differ_end_no_drain_at_once_and_one_that_was_missed_has_its_whole_time(tmp_path: Path) -> None:
    with fleet_of(tmp_path, "lb1") as (store, nodes):
        lb1, at = nodes["lb1"], time.time() - 3600  # on the clock of lb2
        drain = FleetIntent("app/s1", Setting.STATE, "drain", "ready", "carol", "lb2", at, until=at + 500)
        store.put(drain)
        wait_for(lambda: lb1.word("app/s1")[0] == "drain")
        found = lb1.server("app/s1")["drain"]
        assert found is not None
        assert 400 < found["remaining_s"] <= 500
        assert lb1.end() == 0
        store.put(FleetIntent("app/s2", Setting.STATE, "drain", "ready", "carol", "lb2", at, until=at + 3700))
        again = start_node(tmp_path, "lb1", "")
        try:
            wait_for(lambda: again.word("app/s2")[0] == "drain")
            missed, kept = again.server("app/s2")["drain"], again.server("app/s1")["drain"]
            assert missed is not None
            assert kept is not None
            assert 3600 < missed["remaining_s"] <= 3700
            assert 300 < kept["remaining_s"] <= 500
        finally:
            again.end()


def test_what_is_wanted_of_a_server_that_dns_has_not_named_yet_waits_for_it(tmp_path: Path) -> None:
    with dns_server() as dns:
        dns.say("host.test", "A", 1, "127.0.0.1")
        dns.say("_web._tcp.test", "SRV", 1, "0 0 4001 host.test.")
        toml = listener_toml("app") + (
            f'[[pool]]\nname = "app"\n{NO_CHECK}[pool.discover]\nname = "_web._tcp.test"\ntype = "srv"\nservers_max = 3\n'
        )
        name_servers = f'nameservers = ["127.0.0.1:{dns.port}"]\n'
        with fleet_of(tmp_path, "lb1", toml=toml, engine=name_servers) as (store, nodes):
            lb1, late = nodes["lb1"], "app/127.0.0.1:4002"
            wait_for(lambda: len(lb1.get("/v1/pools/app")["servers"]) == 1)
            store.put(FleetIntent(late, Setting.STATE, "maint", "ready", "carol", "lb2", time.time()))
            wait_for(lambda: lb1.get("/v1/changes")["actions"])
            dns.say("_web._tcp.test", "SRV", 1, "0 0 4001 host.test.", "0 0 4002 host.test.")
            wait_for(lambda: len(lb1.get("/v1/pools/app")["servers"]) == 2)
            assert lb1.word(late)[0] == "maint"
            assert lb1.get("/v1/diff")["fleet"] == []
