"""An address that keepalived moves between two nodes of one network."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from lbapp.control import calls
from tests.system.cluster.lab import PORT, VIP4, VIP6, Client, Lab, missing
from tests.system.harness import Engine, wait_for

WHY_NOT = missing("keepalived")
pytestmark = [pytest.mark.system, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "all there")]
FILE = """
backend = "keepalived"
addresses = ["{vip4}", "{vip6}"]
rise = 2
fall = 2
interval = "500ms"
fast_interval = "100ms"
hold_down = "0s"
socket = "{folder}/{node}/c.sock"
[keepalived]
interface = "up0"
source = "10.79.0.1{number}"
peers = ["10.79.0.1{other}"]
track_file = "{folder}/{node}.track"
fifo = "{folder}/{node}.fifo"
"""


class Pair:
    """Two nodes and a client on one wire, each node with an engine, `lbapp announce` and a keepalived."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        lab.bridge("10.79.0.")
        self.client: Client = lab.client()
        self.announcers: dict[str, subprocess.Popen[bytes]] = {}
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        for node in lab.nodes:
            words = {"folder": lab.folder, "node": node, "number": node[1:], "other": 3 - int(node[1:])}
            (lab.folder / f"{node}.toml").write_text(FILE.format(vip4=VIP4, vip6=VIP6, **words))
            self._start(node)
        self.engines: dict[str, Engine] = lab.start_engines()
        self.mend()

    def _announce(self, node: str) -> tuple[str, ...]:
        return (sys.executable, "-m", "lbapp", "announce", "-c", str(self.lab.folder / f"{node}.toml"))

    def _start(self, node: str) -> None:
        folder = self.lab.folder
        file = folder / f"{node}.keepalived"
        file.write_text(self.lab.run(node, *self._announce(node), "--print", "keepalived"))
        self.lab.run(node, "keepalived", "-t", "-f", str(file))
        self.start_announcer(node)
        self.start_daemon(node)

    def start_daemon(self, node: str) -> None:
        folder, file = self.lab.folder, self.lab.folder / f"{node}.keepalived"
        # As its own file, as both share a mount namespace.
        pids = [f"--{each}={folder}/{node}.{each}" for each in ("pid", "vrrp_pid", "checkers_pid")]
        command = ("keepalived", "--dont-fork", "--log-console", "--vrrp", "-f", str(file), *pids)
        self.daemons[node] = self.lab.start(node, *command, log=f"{node}.vrrp")

    def mend(self) -> None:
        """Start what has ended, end drains, and wait until one node has the addresses and the other is ready to."""
        for node in self.lab.nodes:
            if self.daemons[node].poll() is not None:
                self.start_daemon(node)
            if self.announcers[node].poll() is not None:
                self.start_announcer(node)
            if self.engines[node].status()["engine"]["drain"]:
                self.patch(node, "ready")
        wait_for(lambda: sorted(self.state(node) for node in self.lab.nodes) == ["BACKUP", "MASTER"], 30)
        wait_for(lambda: len(self.masters()) == 1)

    def start_announcer(self, node: str) -> None:
        self.announcers[node] = self.lab.start(node, *self._announce(node), log=f"{node}.announce")

    def kill_announcer(self, node: str) -> None:
        """Kill it, and its warden before it can do anything: what keepalived reads is left behind."""
        process = self.announcers[node]
        process.send_signal(signal.SIGSTOP)
        for each in psutil.Process(process.pid).children():
            each.kill()
        process.kill()
        process.wait()

    def track(self, node: str) -> Path:
        return self.lab.folder / f"{node}.track"

    def withdraw(self, node: str) -> None:
        self.lab.run(node, *self._announce(node), "--withdraw")

    def state(self, node: str) -> str:
        """Return what keepalived says of itself on a node, by way of the engine."""
        with self.engines[node].client() as client:
            (member,) = client.ask(calls.fleet())["members"]
        report = member["state"]["announce"] if member["state"] else None
        return report["sessions"][0]["state"] if report is not None else ""

    def masters(self) -> list[str]:
        """Return the nodes that have both addresses."""
        texts = {node: self.lab.run(node, "ip", "-o", "addr", "show", "dev", "up0") for node in self.lab.nodes}
        return [node for node, text in texts.items() if f"{VIP4}/32" in text and f"{VIP6}/128" in text]

    def master(self) -> str:
        """Return the one node that has them; waits until it is one."""
        wait_for(lambda: len(self.masters()) == 1)
        return self.masters()[0]

    def patch(self, node: str, state: str) -> None:
        with self.engines[node].client() as client:
            client.patch_node({"state": "drain"} if state == "drain" else {"state": "ready"})


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with Lab(tmp_path_factory.mktemp("vrrp"), 2) as lab:
        yield Pair(lab)


@pytest.fixture
def pair(everything: Pair) -> Pair:
    everything.mend()
    return everything


def other(node: str) -> str:
    return "n2" if node == "n1" else "n1"


def test_a_killed_engine_loses_the_address_and_one_that_comes_back_takes_it_from_nobody(pair: Pair) -> None:
    first = pair.master()
    second = other(first)
    assert set(pair.client.spread(20)) == set(pair.client.spread(20, VIP6)) == {first}
    pair.client.begin_probe(timeout_s=0.2)
    engine = pair.engines[first].process
    at = time.monotonic()
    engine.kill()
    engine.wait()
    wait_for(lambda: pair.masters() == [second])
    wait_for(lambda: pair.client.probe().since(at).nodes >= {second})
    wait_for(lambda: pair.state(second) == "MASTER")
    pair.engines[first] = pair.lab.start_engine(first)
    pair.lab.wait_until_serving(pair.engines[first])
    wait_for(lambda: pair.state(first) == "BACKUP")
    assert pair.masters() == [second]
    probe = pair.client.end_probe()
    assert probe.gap_s < 2.0
    assert probe.since(at).seen[-1][1] == second
    assert pair.lab.run(second, "sh", "-c", f"ip -o addr | grep -c '{VIP4}'").strip() == "1"


def test_a_drained_node_gives_the_address_away_without_a_failure_and_the_last_one_keeps_it(pair: Pair) -> None:
    first = pair.master()
    second = other(first)
    pair.client.begin_probe(timeout_s=5.0)
    pair.patch(first, "drain")
    wait_for(lambda: pair.masters() == [second])
    pair.patch(second, "drain")
    wait_for(lambda: "drained" in (pair.lab.folder / f"{second}.announce").read_text())
    assert set(pair.client.spread(20)) <= {first, second}
    probe = pair.client.end_probe()
    # One that is open when the address moves may be reset, as its next packet goes to the other node. Nothing else fails.
    assert [what for _, what in probe.failed if "ConnectionResetError" not in what] == []
    assert len(probe.failed) <= 1
    assert probe.gap_s < 2.0


def test_without_its_announcer_a_node_is_taken_out_by_the_warden(pair: Pair) -> None:
    first = pair.master()
    os.kill(pair.announcers[first].pid, signal.SIGKILL)
    pair.announcers[first].wait()
    wait_for(lambda: pair.masters() == [other(first)])
    assert pair.track(first).read_text() == "-254\n"


def test_without_its_announcer_and_warden_a_node_is_taken_out_by_the_unit(pair: Pair) -> None:
    first = pair.master()
    second = other(first)
    pair.kill_announcer(first)
    assert pair.masters() == [first]
    pair.withdraw(first)
    wait_for(lambda: pair.masters() == [second])
    wait_for(lambda: set(pair.client.spread(5, port=PORT)) == {second})


@pytest.mark.parametrize("what", ["gone", "empty", "nonsense"])
def test_a_track_file_without_a_number_is_a_node_that_is_not_ready(pair: Pair, what: str) -> None:
    first = pair.master()
    pair.kill_announcer(first)
    if what == "gone":
        pair.track(first).unlink()
    else:
        pair.track(first).write_text("" if what == "empty" else "ready\n")
    wait_for(lambda: pair.masters() == [other(first)])
    pair.start_announcer(first)
    wait_for(lambda: pair.state(first) == "BACKUP")
    assert pair.masters() == [other(first)]


def test_a_keepalived_that_starts_before_anything_was_written_is_out_of_the_election(pair: Pair) -> None:
    first = pair.master()
    second = other(first)
    pair.kill_announcer(second)
    pair.daemons[second].terminate()
    pair.daemons[second].wait(15)
    pair.track(second).unlink()
    log = pair.lab.folder / f"{second}.vrrp"
    said = log.read_text().count("(lbapp) entering FAULT state")
    pair.start_daemon(second)
    wait_for(lambda: log.read_text().count("(lbapp) entering FAULT state") > said)
    pair.kill_announcer(first)
    pair.withdraw(first)
    wait_for(lambda: pair.masters() == [])
    pair.start_announcer(second)
    wait_for(lambda: pair.masters() == [second])


def test_a_keepalived_that_was_killed_is_said(pair: Pair) -> None:
    first = pair.master()
    parent = psutil.Process(pair.daemons[first].pid)
    for each in (parent, *parent.children(recursive=True)):
        each.kill()
    pair.daemons[first].wait()
    wait_for(lambda: pair.state(first) == "keepalived does not run, or has not opened the FIFO")
