"""Real engines, started as operators start them, that are one fleet by a real etcd."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.cluster.harness import Store, needs_etcd, running_stores
from tests.system.fleet_nodes import FleetNode, alive, start_node
from tests.system.harness import NO_CHECK, Load, listener_toml, pool_toml, servers, wait_for

pytestmark = [pytest.mark.system, needs_etcd]
S1 = "/v1/pools/app/servers/s1"
CONFIGURATION = "/v1/fleet/configuration"
MORE = '[[pool.server]]\nname = "s3"\naddress = "127.0.0.1:9"\n'


def cluster(store: Store, name: str) -> str:
    return f'[cluster]\nname = "f"\nnode = "{name}"\nendpoints = ["{store.url}"]\nlease = "2s"\n'


@contextmanager
def fleet(folder: Path, *names: str) -> Iterator[tuple[Store, dict[str, FleetNode]]]:
    with ExitStack() as stack:
        (store,) = stack.enter_context(running_stores(folder))
        text = listener_toml("app") + pool_toml("app", stack.enter_context(servers("s1", "s2")), extra=NO_CHECK)
        nodes = {}
        for name in names:
            nodes[name] = start_node(folder, name, text, cluster=cluster(store, name), has_store=True)
            stack.callback(nodes[name].end)
        wait_for(lambda: all(alive(node) == sorted(names) for node in nodes.values()), 30)
        yield store, nodes


def state(node: FleetNode) -> str:
    return str(node.get("/v1/fleet")["state"])


def results(node: FleetNode) -> dict[str, str]:
    found: dict[str, str] = node.get("/v1/fleet")["configuration"]["results"]
    return found


def test_actions_of_the_fleet_hold_on_every_node_and_outlive_restarts_without_the_store(tmp_path: Path) -> None:
    with fleet(tmp_path, "lb1", "lb2") as (store, nodes):
        lb1, lb2 = nodes["lb1"], nodes["lb2"]
        done = lb1.patch(S1, {"state": "drain", "weight": 50, "fleet": True, "reason": "disks"}).json()
        assert (done["fleet"]["done"], done["fleet"]["waiting"]) == (["lb1"], ["lb2"])
        wait_for(lambda: lb2.word("app/s1") == ("drain", 50))
        lb2.ask("POST", "/v1/undo", {"fleet": True})
        wait_for(lambda: lb1.word("app/s1") == ("ready", 100))
        assert lb1.get("/v1/changes")["actions"][0]["is_undone"] is True
        lb1.patch(S1, {"state": "maint", "fleet": True})
        wait_for(lambda: lb2.word("app/s1") == ("maint", 100))
        assert lb2.end() == 0
        wait_for(lambda: alive(lb1) == ["lb1"])
        store.kill()
        again = start_node(tmp_path, "lb2", "", has_store=True)
        try:
            assert again.word("app/s1") == ("maint", 100)
            wait_for(lambda: [each["value"] for each in again.get("/v1/fleet")["intents"]])  # as it was kept
            assert state(again) in ("starting", "stale")
        finally:
            again.end()


def test_a_node_is_a_member_all_the_time_while_its_settings_are_edited(tmp_path: Path) -> None:
    with fleet(tmp_path, "lb1", "lb2") as (store, nodes):
        lb1, key = nodes["lb1"], "nodes/lb1"
        since, lease, text = store.created_at(key), store.lease_of(key), lb1.configuration.read_text()
        lb1.configuration.write_text(text.replace('lease = "2s"', 'lease = "2s"\nready_min = 2'))
        assert lb1.ask("POST", "/v1/reload", {}).status_code == 200
        assert lb1.patch("/v1/node", {"state": "drain"}).json()["error"]["code"] == "quorum"
        assert (lb1.get("/v1/fleet")["state"], store.lease_of(key)) == ("synced", lease)
        lb1.configuration.write_text(text.replace('lease = "2s"', 'lease = "3s"'))
        assert lb1.ask("POST", "/v1/reload", {}).status_code == 200
        wait_for(lambda: store.lease_of(key) != lease)
        assert store.created_at(key) == since
        wait_for(lambda: alive(lb1) == ["lb1", "lb2"])


def test_a_store_that_is_gone_changes_nothing_and_comes_back(tmp_path: Path) -> None:
    with fleet(tmp_path, "lb1", "lb2") as (store, nodes):
        lb1, lb2 = nodes["lb1"], nodes["lb2"]
        with Load(lb1.port()) as load:
            store.kill()
            wait_for(lambda: state(lb1) == "stale" and state(lb2) == "stale", 30)
            refused = lb1.patch(S1, {"state": "drain", "fleet": True})
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "fleet_unreachable")
            assert lb1.word("app/s1") == ("ready", 100)
            assert alive(lb1) == ["lb1", "lb2"]
            assert lb1.ask("GET", "/v1/ready").status_code == 200
            assert lb1.patch("/v1/node", {"state": "drain"}).json()["error"]["code"] == "quorum"
            store.start()
            wait_for(lambda: state(lb1) == "synced" and state(lb2) == "synced", 30)
            lb2.patch(S1, {"weight": 5, "fleet": True})
            wait_for(lambda: lb1.word("app/s1") == ("ready", 5))
            answered = load.answered
            wait_for(lambda: load.answered > answered)
        assert load.failures == []


def test_a_store_that_was_emptied_undoes_nothing_and_takes_new_intents(tmp_path: Path) -> None:
    with fleet(tmp_path, "lb1", "lb2") as (store, nodes):
        lb1, lb2 = nodes["lb1"], nodes["lb2"]
        for weight in (10, 20, 30):
            lb1.patch(S1, {"weight": weight, "fleet": True})
        wait_for(lambda: lb2.word("app/s1") == ("ready", 30))
        store.begin_empty()
        wait_for(lambda: lb1.messages("fleet_store_lost") and lb2.messages("fleet_store_lost"), 30)
        wait_for(lambda: alive(lb1) == ["lb1", "lb2"] and state(lb1) == "synced", 30)
        assert (lb1.word("app/s1"), lb2.word("app/s1")) == (("ready", 30), ("ready", 30))
        wait_for(lambda: lb1.patch(S1, {"weight": 40, "fleet": True}).status_code == 200)
        wait_for(lambda: lb2.word("app/s1") == ("ready", 40))
        assert lb1.word("app/s1") == ("ready", 40)


def test_a_configuration_is_rolled_node_by_node_and_stops_at_the_first_that_cannot_take_it(tmp_path: Path) -> None:
    with fleet(tmp_path, "lb1", "lb2", "lb3") as (_, nodes):
        lb1, lb2, lb3 = nodes["lb1"], nodes["lb2"], nodes["lb3"]
        text = lb1.configuration.read_text()
        assert lb1.ask("POST", CONFIGURATION, {"mode": "rolling", "text": text + MORE}).status_code == 200
        wait_for(lambda: results(lb1) == {"lb1": "", "lb2": "", "lb3": ""}, 30)
        assert len(lb3.get("/v1/pools/app")["servers"]) == 3
        lb2.configuration.write_text(lb2.configuration.read_text() + "# another\n")
        assert lb2.ask("POST", "/v1/reload", {"confirm_s": 600}).json()["applied"] is True
        body = {"mode": "rolling", "text": text + MORE.replace("s3", "s4")}
        assert lb1.ask("POST", CONFIGURATION, body).status_code == 200
        wait_for(lambda: "is not confirmed yet" in results(lb3).get("lb2", ""), 30)
        wait_for(lambda: lb3.get("/v1/fleet")["configuration"]["stopped"])
        assert [each["name"] for each in lb3.get("/v1/pools/app")["servers"]] == ["s1", "s2", "s3"]


def test_a_roll_stops_at_the_node_whose_engine_is_killed_while_it_begins_to_serve(tmp_path: Path) -> None:
    with fleet(tmp_path, "lb1", "lb2", "lb3") as (store, nodes):
        lb1, lb2, lb3 = nodes["lb1"], nodes["lb2"], nodes["lb3"]
        text = lb1.configuration.read_text()
        with Load(lb1.port()) as load:
            assert lb1.ask("POST", CONFIGURATION, {"mode": "rolling", "text": text + MORE}).status_code == 200
            wait_for(lambda: store.has("configuration/result/lb2"))  # it begins; new workers take longer than that
            lb2.process.kill()
            lb2.process.wait()
            stopped = "lb2 is gone since it began to serve by it"
            wait_for(lambda: lb3.get("/v1/fleet")["configuration"]["stopped"] == stopped, 30)
            assert [each["name"] for each in lb3.get("/v1/pools/app")["servers"]] == ["s1", "s2"]
            assert [each["name"] for each in lb1.get("/v1/pools/app")["servers"]] == ["s1", "s2", "s3"]
            again = start_node(tmp_path, "lb2", "", has_store=True)
            try:
                wait_for(lambda: alive(lb1) == ["lb1", "lb2", "lb3"], 30)
                # What it serves by is what it had kept when it was killed: that of before, or the one that it began with.
                assert again.get("/v1/fleet")["configuration"]["stopped"] == stopped
            finally:
                again.end()
        assert load.failures == []


def test_an_engine_that_takes_the_place_of_another_is_the_same_member(tmp_path: Path) -> None:
    with fleet(tmp_path, "lb1", "lb2") as (_, nodes):
        lb1, lb2 = nodes["lb1"], nodes["lb2"]
        lb1.patch(S1, {"weight": 7, "fleet": True})
        pid = lb2.get("/v1/status")["engine"]["pid"]
        done = lb2.ask("POST", "/v1/upgrade").json()
        try:
            assert done["pid"] != pid
            wait_for(lambda: lb2.get("/v1/status")["engine"]["pid"] == done["pid"])
            wait_for(lambda: state(lb2) == "synced" and alive(lb1) == alive(lb2) == ["lb1", "lb2"], 30)
            assert lb2.word("app/s1") == ("ready", 7)
            lb1.patch(S1, {"weight": 8, "fleet": True})
            wait_for(lambda: lb2.word("app/s1") == ("ready", 8))
        finally:
            lb2.ask("POST", "/v1/stop")
            wait_for(lambda: alive(lb1) == ["lb1"])
