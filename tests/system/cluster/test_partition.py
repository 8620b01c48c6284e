"""A node that is cut off from the store by packets that are dropped, as networks do: nobody is told, and nothing is refused.

etcd runs on the router; clients reach every node all the time.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.system.cluster.lab import Lab, missing
from tests.system.fleet_nodes import FleetNode, alive
from tests.system.harness import wait_for

WHY_NOT = missing("etcd", "nft")
pytestmark = [pytest.mark.system, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "all there")]
S1 = "/v1/pools/app/servers/s1"
STORE = "10.77.0.1"
NODES = ["n1", "n2", "n3"]
CLUSTER = '[cluster]\nname = "f"\nnode = "{node}"\nendpoints = ["http://{store}:2379"]\nlease = "2s"\n'


def start_store(lab: Lab) -> None:
    own, peers = f"http://{STORE}:2379", "http://127.0.0.1:2380"
    command = ["etcd", "--name", "e1", "--data-dir", str(lab.folder / "etcd"), "--initial-cluster", f"e1={peers}"]
    command += ["--listen-client-urls", own, "--advertise-client-urls", own]
    command += ["--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers]
    lab.start("router", *command, log="etcd.log")


def start_node(lab: Lab, name: str) -> FleetNode:
    lab.start(name, sys.executable, "-m", "tests.system.cluster.origin", name, log=f"{name}.origin")
    engine = lab.start_engine(name, CLUSTER.format(node=name, store=STORE))
    return FleetNode(engine.process, engine.control, engine.log, name, lab.folder / name / "lbapp.toml")


@pytest.fixture
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("partition")) as made:
        yield made


def cut_off(lab: Lab, node: str) -> None:
    """Drop everything between a node and the store, on the way there and back."""
    rules = "\n".join(
        f"add chain inet partition {hook} {{ type filter hook {hook} priority 0; policy accept; }}\n"
        f"add rule inet partition {hook} ip {way} {STORE} drop"
        for hook, way in (("input", "saddr"), ("output", "daddr"))
    )
    script = lab.folder / "partition.nft"
    script.write_text(f"add table inet partition\n{rules}\n")
    lab.run(node, "nft", "-f", str(script))


def heal(lab: Lab, node: str) -> None:
    lab.run(node, "nft", "delete table inet partition")


def fleet(node: FleetNode) -> dict[str, Any]:
    found: dict[str, Any] = node.get("/v1/fleet")
    return found


def is_whole(nodes: dict[str, FleetNode]) -> bool:
    return all(fleet(node)["state"] == "synced" and alive(node) == NODES for node in nodes.values())


def test_a_node_that_is_cut_off_from_the_store_proxies_on_holds_what_it_has_and_catches_up(lab: Lab) -> None:
    start_store(lab)
    nodes = {name: start_node(lab, name) for name in NODES}
    for node in nodes.values():
        lab.wait_until_serving(node)
    wait_for(lambda: is_whole(nodes), 30)
    n1, n3 = nodes["n1"], nodes["n3"]
    assert n1.patch(S1, {"weight": 7, "fleet": True}).status_code == 200
    wait_for(lambda: [node.word("app/s1") for node in nodes.values()] == [("ready", 7)] * 3)

    client = lab.client()
    client.begin_probe("10.77.3.2", timeout_s=5.0)
    cut_off(lab, "n3")
    wait_for(lambda: fleet(n3)["state"] == "stale", 30)
    wait_for(lambda: alive(n1) == ["n1", "n2"], 30)  # its lease has ended
    assert n1.patch(S1, {"weight": 9, "fleet": True}).json()["fleet"]["done"] == ["n1"]
    wait_for(lambda: nodes["n2"].word("app/s1") == ("ready", 9))

    age_s = fleet(n3)["age_s"]
    wait_for(lambda: fleet(n3)["age_s"] > max(age_s, 2.0) + 1)
    seen = fleet(n3)
    assert (seen["state"], alive(n3)) == ("stale", NODES), "silence ends nobody's membership"
    assert "2379" in seen["problem"] or "answer" in seen["problem"], seen["problem"]
    assert n3.word("app/s1") == ("ready", 7), "the last intents hold"
    assert n3.ask("GET", "/v1/ready").status_code == 200
    assert n3.status()["engine"]["drain"] is None
    asked_s = time.monotonic()
    refused = n3.patch(S1, {"weight": 5, "fleet": True})
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "fleet_unreachable")
    assert time.monotonic() - asked_s < 15

    heal(lab, "n3")
    wait_for(lambda: is_whole(nodes), 30)
    wait_for(lambda: n3.word("app/s1") == ("ready", 9))
    wait_for(lambda: "n3" in client.probe().nodes)
    met = client.end_probe()
    assert met.failed == []
    assert met.nodes == {"n3"}
