"""Routes by a real ExaBGP, over a real router: it, its helper and the announcer never leave a route behind."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.lateness import lateness
from tests.system.cluster.announcers import Nodes, route_text
from tests.system.cluster.lab import VIP4, VIP6, missing, routed
from tests.system.harness import wait_for

EXABGP = Path(sys.executable).with_name("exabgp")  # where `pip install lbapp[exabgp]` puts it
WHY_NOT = missing("bird", "birdc") or ("" if EXABGP.exists() else "not installed: exabgp")
pytestmark = [pytest.mark.system, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "all there")]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with routed(tmp_path_factory.mktemp("exabgp"), 1, bfd=False) as lab, lateness() as late:
        nodes = Nodes(lab, late, "exabgp")
        nodes.start()
        yield nodes


@pytest.fixture
def nodes(everything: Nodes) -> Nodes:
    everything.mend()
    return everything


def daemon(nodes: Nodes) -> psutil.Process:
    (child,) = psutil.Process(nodes.announcers["n1"].pid).children()
    return child


def helper(nodes: Nodes) -> psutil.Process | None:
    children = daemon(nodes).children()
    return children[0] if children else None


def is_gone(nodes: Nodes) -> bool:
    return not nodes.lab.ways(VIP4) and not nodes.lab.ways(VIP6)


def test_it_announces_withdraws_and_reports_its_session(nodes: Nodes) -> None:
    report = nodes.report("n1")
    assert report is not None
    assert [(session["name"], session["state"]) for session in report["sessions"]] == [("10.77.1.1", "up")]
    assert nodes.client.spread(20) == nodes.client.spread(20, VIP6) == {"n1": 20}
    exabgp = daemon(nodes)
    at = nodes.stop(nodes.announcers["n1"])
    assert nodes.announcers["n1"].returncode == 0
    assert nodes.watch.gone_after_s("n1", at) < nodes.a_second_from(at)
    wait_for(lambda: is_gone(nodes))
    assert not exabgp.is_running()
    assert len(nodes.log("n1").splitlines()) < 30, "no line for a keepalive or an update"


def test_a_drain_makes_its_route_worse_and_the_last_node_stays_reachable(nodes: Nodes) -> None:
    nodes.client.begin_probe()
    nodes.drain("n1")
    wait_for(lambda: all("BGP.med: 100" in route_text(nodes.lab, address) for address in (VIP4, VIP6)))
    wait_for(lambda: nodes.is_reported("n1", "drained"))
    assert nodes.lab.ways(VIP4) == nodes.lab.ways(VIP6) == {"n1"}
    nodes.end_drain("n1")
    wait_for(lambda: "BGP.med" not in route_text(nodes.lab, VIP4))
    assert nodes.client.end_probe().failed == []


def test_the_routes_of_a_killed_engine_are_gone_within_a_second(nodes: Nodes) -> None:
    at = nodes.kill(nodes.engines["n1"].process)
    assert nodes.watch.gone_after_s("n1", at) < nodes.a_second_from(at)
    wait_for(lambda: is_gone(nodes))


def test_the_routes_of_a_killed_exabgp_are_gone_at_once_and_its_announcer_ends_with_it(nodes: Nodes) -> None:
    exabgp = daemon(nodes)
    at = time.time()
    exabgp.kill()
    assert nodes.watch.gone_after_s("n1", at) < nodes.a_second_from(at)
    assert nodes.announcers["n1"].wait(20) == 1
    assert "ExaBGP has ended with status -9" in nodes.log("n1")


def test_the_routes_of_a_killed_announcer_are_gone_within_a_second_with_its_exabgp(nodes: Nodes) -> None:
    exabgp = daemon(nodes)
    at = nodes.kill(nodes.announcers["n1"])
    assert nodes.watch.gone_after_s("n1", at) < nodes.a_second_from(at)
    wait_for(lambda: not exabgp.is_running() or exabgp.status() == psutil.STATUS_ZOMBIE)


def test_a_helper_that_is_killed_is_replaced_and_what_holds_goes_on_to_hold(nodes: Nodes) -> None:
    first = helper(nodes)
    assert first is not None
    os.kill(first.pid, signal.SIGKILL)
    wait_for(lambda: (second := helper(nodes)) is not None and second.pid != first.pid)
    at = nodes.kill(nodes.engines["n1"].process)  # the new helper carries the decision
    assert nodes.watch.gone_after_s("n1", at) < nodes.a_second_from(at)


def test_with_all_three_killed_at_once_nothing_is_left(nodes: Nodes) -> None:
    exabgp, first = daemon(nodes), helper(nodes)
    assert first is not None
    at = time.time()
    for process in (psutil.Process(nodes.announcers["n1"].pid), first, exabgp):
        process.kill()
    assert nodes.watch.gone_after_s("n1", at) < nodes.a_second_from(at)
    nodes.announcers["n1"].wait(20)
