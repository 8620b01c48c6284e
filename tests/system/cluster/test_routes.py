"""Routes by BIRD, over a real router: they come and go with what happens at a node, and nobody else is hurt.

One lab for all tests of this module; each begins with it whole. The router hashes by address and port, and what is
left of established connections when a route goes is the plain truth of it: docs/operations.md, Routes.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lateness import lateness
from tests.system.cluster.announcers import Nodes, route_text
from tests.system.cluster.lab import VIP4, VIP6, missing, routed
from tests.system.cluster.test_handoff import handoff, make_ring
from tests.system.harness import wait_for

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(bool(missing("bird", "birdc", "nft")), reason=missing("bird", "birdc", "nft") or "all there"),
]
FLOWS = 36
# A share is off by more than 10 % of a third with a probability of 6e-7 (5 standard deviations of a binomial distribution): for
# three nodes and two families that is once in 300,000 runs.
CONNECTIONS = 5000


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with routed(tmp_path_factory.mktemp("routes")) as lab, lateness() as late:
        nodes = Nodes(lab, late)
        nodes.start()
        yield nodes


@pytest.fixture
def nodes(everything: Nodes) -> Nodes:
    everything.mend()
    return everything


@pytest.mark.parametrize("address", [VIP4, VIP6])
def test_three_nodes_get_the_same_share_of_new_connections(nodes: Nodes, address: str) -> None:
    met = nodes.spread(CONNECTIONS, address)
    assert set(met) == {"n1", "n2", "n3"}, met
    for share in met.values():
        assert abs(share - CONNECTIONS / 3) < 0.1 * CONNECTIONS / 3, met


def test_the_engine_knows_its_routes_and_sessions(nodes: Nodes) -> None:
    report = nodes.report("n1")
    assert report is not None
    assert (report["backend"], report["state"], report["ecmp"], report["problem"]) == ("bird", "announced", "plain", "")
    (session,) = report["sessions"]
    assert (session["state"], session["is_up"]) == ("Established", True)
    wait_for(lambda: nodes.bfd("n1") == "Up")


def test_the_route_of_a_killed_engine_is_gone_within_a_second_and_only_its_flows_with_it(nodes: Nodes) -> None:
    nodes.client.begin_flows(FLOWS)
    at = nodes.kill(nodes.engines["n2"].process)
    assert nodes.watch.gone_after_s("n2", at) < nodes.a_second_from(at)
    wait_for(lambda: nodes.lab.ways(VIP6) == {"n1", "n3"})
    flows = nodes.client.end_flows()
    assert set(flows.born) == {"n1", "n2", "n3"}
    assert set(flows.broken) <= {"n2"}
    assert flows.moved == 0
    assert "announced -> withdrawn: no engine answers" in nodes.log("n2")


def test_the_routes_of_a_killed_announcer_are_gone_within_a_second_by_its_warden(nodes: Nodes) -> None:
    at = nodes.kill(nodes.announcers["n2"])
    assert nodes.watch.gone_after_s("n2", at) < nodes.a_second_from(at)
    wait_for(lambda: "n2" not in nodes.lab.ways(VIP6))
    assert "WARNING lbapp announce has ended: its addresses are withdrawn" in nodes.log("n2")


def test_bird_goes_on_announcing_for_an_announcer_that_was_killed_with_its_warden_until_its_unit_withdraws(
    nodes: Nodes,
) -> None:
    nodes.kill_with_warden("n2")
    nodes.kill(nodes.engines["n2"].process)
    assert "up" in nodes.lab.birdc("n2", 'show protocols "lbapp_vip_*"').split("Static", 1)[1]
    assert "n2" in nodes.lab.ways(), "nobody is left to withdraw it: this is why the unit is to have an ExecStopPost"
    nodes.announce("n2", "--withdraw")
    wait_for(lambda: "n2" not in nodes.lab.ways(VIP4) and "n2" not in nodes.lab.ways(VIP6))


def test_a_stop_withdraws_and_the_end_of_a_drain_announces_within_a_second(
    nodes: Nodes,
) -> None:
    at = nodes.stop(nodes.announcers["n2"])
    assert nodes.announcers["n2"].returncode == 0
    assert nodes.watch.gone_after_s("n2", at) < nodes.a_second_from(at)
    assert nodes.report("n2") is not None
    nodes.drain("n3")
    wait_for(lambda: nodes.lab.ways() == {"n1"})
    at = nodes.end_drain("n3")
    assert nodes.watch.back_after_s("n3", at) < nodes.a_second_from(at)


def test_the_route_of_a_killed_bird_is_gone_at_once_and_the_next_bird_is_set_again(nodes: Nodes) -> None:
    nodes.client.begin_flows(FLOWS)
    at = nodes.kill(nodes.birds["n2"])
    assert nodes.watch.gone_after_s("n2", at) < nodes.a_second_from(at)
    assert set(nodes.client.end_flows().broken) <= {"n2"}
    wait_for(lambda: nodes.is_reported("n2", "failed"))
    report = nodes.report("n2")
    assert report is not None
    assert "BIRD does not answer" in report["problem"]
    nodes.start_bird("n2")
    wait_for(lambda: nodes.lab.ways() == {"n1", "n2", "n3"}, 30)
    assert "it was restarted, or changed by hand" in nodes.log("n2")


def test_birdc_configure_takes_no_route_away_for_longer_than_a_moment(nodes: Nodes) -> None:
    at = time.time()
    nodes.lab.birdc("n2", "configure")  # disables what was enabled
    wait_for(lambda: "it was restarted, or changed by hand" in nodes.log("n2"))
    gone = nodes.watch.gone_after_s("n2", at)
    assert nodes.watch.back_after_s("n2", at + gone) < nodes.a_second_from(at + gone)


def test_a_frozen_engine_is_withdrawn(nodes: Nodes) -> None:
    process = nodes.engines["n2"].process
    os.kill(process.pid, signal.SIGSTOP)
    try:
        wait_for(lambda: "n2" not in nodes.lab.ways())
    finally:
        os.kill(process.pid, signal.SIGCONT)
    wait_for(lambda: "n2" in nodes.lab.ways())


def test_an_upgrade_of_the_engine_leaves_its_routes_as_they_are(nodes: Nodes) -> None:
    engine, file = nodes.engines["n2"], nodes.file("n2")
    command = (sys.executable, "-m", "lbapp", "--socket", str(engine.control))
    sharp = file.read_text()
    # With the patience that nodes have by default, and more: the next engine starts while the machine is busy with this test.
    file.write_text(sharp.replace("fall = 2", "fall = 3").replace('interval = "500ms"', 'interval = "3s"', 1))
    nodes.stop(nodes.announcers["n2"])
    nodes.mend()
    nodes.client.begin_probe(timeout_s=5.0)
    at = time.time()
    nodes.lab.run("n2", *command, "upgrade", timeout_s=60)
    try:
        engine.process.wait(60)
        wait_for(lambda: nodes.report("n2") is not None)  # the next engine answers, and is told
        assert [ways for changed_at, ways in nodes.watch.changes() if changed_at > at] == [], nodes.log("n2")
        assert nodes.client.end_probe().failed == []
    finally:
        file.write_text(sharp)
        nodes.stop(nodes.announcers["n2"])
        nodes.lab.run("n2", *command, "stop", timeout_s=60)  # no child of the test, as all others are


def test_a_node_that_falls_silent_is_out_within_a_second_by_bfd(nodes: Nodes) -> None:
    nodes.client.begin_flows(FLOWS)
    wait_for(lambda: nodes.bfd("n2") == "Up")
    at = nodes.go_dark("n2")
    assert nodes.watch.gone_after_s("n2", at) < nodes.a_second_from(at)
    assert set(nodes.client.end_flows().broken) <= {"n2"}
    assert nodes.client.spread(60).keys() == {"n1", "n3"}


def test_a_drain_by_med_fails_no_new_connection_and_the_last_node_stays_reachable(nodes: Nodes) -> None:
    client = nodes.client
    client.begin_flows(FLOWS)
    # The machine may be slower than that; a client is patient.
    client.begin_probe(timeout_s=5.0)
    at = time.time()
    nodes.drain("n2")
    wait_for(lambda: nodes.lab.ways(VIP4) == nodes.lab.ways(VIP6) == {"n1", "n3"}, 30)
    wait_for(lambda: nodes.is_reported("n2", "drained"))
    flows = client.end_flows()
    assert flows.broken == {}, "clients were asked to leave first, and did"
    assert client.spread(60).keys() == {"n1", "n3"}
    for node in ("n1", "n3"):
        nodes.stop(nodes.announcers[node])
    wait_for(lambda: nodes.lab.ways(VIP4) == nodes.lab.ways(VIP6) == {"n2"})
    assert client.spread(60) == {"n2": 60}
    assert "BGP.med: 100" in route_text(nodes.lab, VIP4)
    probe = client.end_probe()
    # The router sends a connection that is open when its table changes elsewhere, were it a millisecond old: plain ECMP. Nothing
    # else fails. What fails nothing at all is a ring of handoff, below.
    changes = [changed_at for changed_at, _ in nodes.watch.changes() if changed_at >= at]
    assert probe.failed_but_for(changes, 0.1 + nodes.late_since(at)) == []
    assert probe.gap_s < nodes.a_second_from(at)
    assert probe.nodes == {"n1", "n2", "n3"}


def test_a_drain_with_handoff_fails_nothing_under_load(nodes: Nodes) -> None:
    lab, client, file = nodes.lab, nodes.client, nodes.file("n2")
    sharp = file.read_text()
    file.write_text(f'ecmp = "handoff"\n{sharp}')
    nodes.stop(nodes.announcers["n2"])
    nodes.mend()
    make_ring(lab)
    try:
        client.begin_flows(FLOWS)
        client.begin_probe(timeout_s=5.0, clients=8)
        nodes.drain("n2")
        wait_for(lambda: lab.ways(VIP4) == lab.ways(VIP6) == {"n1", "n3"}, 30)
        wait_for(lambda: nodes.is_reported("n2", "drained"))
        now = client.flows()
        assert now.born["n2"] > 0
        assert (now.broken, now.moved) == ({}, 0), "they are asked to leave, and lose nothing by the route"
        nodes.end_drain("n2")
        wait_for(lambda: lab.ways(VIP4) == lab.ways(VIP6) == {"n1", "n2", "n3"}, 30)
        wait_for(lambda: len(client.probe().seen) > 300)
        flows = client.end_flows()
        assert (flows.broken, flows.moved) == ({}, 0)
        probe = client.end_probe()
        assert probe.failed == []
        assert probe.nodes == {"n1", "n2", "n3"}
    finally:
        file.write_text(sharp)
        nodes.stop(nodes.announcers["n2"])
        for node in lab.nodes:
            handoff(lab, "down", node)


def test_what_is_printed_is_what_bird_takes(nodes: Nodes, tmp_path: Path) -> None:
    file = tmp_path / "bird.conf"
    file.write_text(nodes.announce("n1", "--print", "bird"))
    nodes.lab.run("n1", "bird", "-p", "-c", str(file))
