"""Real engines whose `[cluster] endpoints` are edited to another etcd: nothing changes by that, and what does is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cluster.harness import Store, needs_etcd, running_stores
from tests.system.fleet_nodes import FleetNode, alive
from tests.system.harness import Load, lbapp_says, wait_for
from tests.system.test_fleet_store import S1, fleet, state

pytestmark = [pytest.mark.system, needs_etcd]
S2 = "/v1/pools/app/servers/s2"


def move(node: FleetNode, to: Store) -> None:
    """Have a node ask another store."""
    text = node.configuration.read_text()
    line = next(each for each in text.splitlines() if each.startswith("endpoints"))
    node.configuration.write_text(text.replace(line, f'endpoints = ["{to.url}"]'))
    done = node.ask("POST", "/v1/reload", {})
    assert (done.status_code, done.json()["applied"]) == (200, True), done.text


def member(node: FleetNode, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in node.get("/v1/fleet")["members"] if each["name"] == name)
    return found


def test_a_node_that_is_sent_to_another_store_keeps_what_holds_until_that_has_answered_and_says_what_is_other(
    tmp_path: Path,
) -> None:
    (tmp_path / "other").mkdir()
    with fleet(tmp_path, "lb1", "lb2") as (old, nodes), running_stores(tmp_path / "other") as (new,):
        lb1, lb2 = nodes["lb1"], nodes["lb2"]
        lb1.patch(S1, {"state": "drain", "fleet": True})
        lb1.patch(S2, {"weight": 7, "fleet": True})
        wait_for(lambda: lb2.word("app/s1") == ("drain", 100) and lb2.word("app/s2") == ("ready", 7))
        with Load(lb1.port()) as load:
            # It does not answer yet: all that was known holds, whose it was stands there.
            new.freeze()
            move(lb1, new)
            (said,) = lb1.messages("fleet_endpoints_changed")
            assert said.startswith(
                f"the store of the fleet is asked at {new.url}, and was at {old.url}: what is known holds"
            )
            wait_for(lambda: "does not answer" in lb1.get("/v1/fleet")["problem"], 30)
            found = lb1.get("/v1/fleet")
            assert {(each["on"], each["value"]) for each in found["intents"]} == {("app/s1", "drain"), ("app/s2", 7)}
            assert (lb1.word("app/s1"), lb1.word("app/s2")) == (("drain", 100), ("ready", 7))
            assert (state(lb1), alive(lb1)) == ("starting", ["lb1", "lb2"])
            assert lb1.patch(S1, {"state": "ready", "fleet": True}).json()["error"]["code"] == "fleet_unreachable"
            assert lb1.ask("GET", "/v1/ready").status_code == 200
            # It answers, and has nothing: nothing is made ready by that, and nobody is dead.
            new.thaw()
            wait_for(lambda: state(lb1) == "synced", 30)
            (said,) = lb1.messages("fleet_store_changed")
            assert "0 intents of the fleet are in it, and 2 of the other's are not" in said
            assert lb1.messages("fleet_store_lost") == []
            assert (lb1.word("app/s1"), lb1.word("app/s2")) == (("drain", 100), ("ready", 7))
            wait_for(lambda: alive(lb1) == ["lb1"], 30)
            assert member(lb1, "lb2")["is_unsure"] is True
            assert "it was a member by another store, and has not come to this one" in lbapp_says(lb1, "nodes")
            # The other node is with the old store, and nothing of it has changed there.
            assert (lb2.word("app/s1"), lb2.word("app/s2"), state(lb2)) == (("drain", 100), ("ready", 7), "synced")
            wait_for(lambda: alive(lb2) == ["lb2"], 30)
            assert lb1.patch(S1, {"state": "ready", "fleet": True}).status_code == 200
            assert (lb1.word("app/s1"), lb2.word("app/s1")) == (("ready", 100), ("drain", 100))
            # It comes after: what it makes of the new store's intents is an event of its own, with who wanted it.
            before = lb2.get("/v1/changes")["actions"][-1]["number"]
            move(lb2, new)
            wait_for(lambda: alive(lb1) == alive(lb2) == ["lb1", "lb2"], 30)
            wait_for(lambda: lb2.word("app/s1") == ("ready", 100))
            assert lb2.word("app/s2") == ("ready", 7)
            made = [each for each in lb2.get("/v1/changes")["actions"] if each["number"] > before]
            assert [(each["changes"][0]["on"], each["actor"]["user"].partition("@")[2]) for each in made] == [
                ("app/s1", "lb1")
            ]
            assert "is_unsure" not in member(lb1, "lb2")
            assert len(lb2.messages("fleet_store_changed")) == 1
        assert load.failures == []
