"""Nodes of a lab that announce themselves: an engine, `lbapp announce` and its daemon on each, as on a real node."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

import psutil

from lbapp.cluster.announce.bird_text import bird_text
from lbapp.config.announce import load_announce
from lbapp.control import calls
from lbapp.control.fleet import AnnounceReport
from tests.forked import Process
from tests.lateness import Lateness
from tests.system.cluster.lab import NODE_ASN, ROUTER_ASN, VIP4, VIP6, Client, Lab
from tests.system.harness import Engine, wait_for

_FILE: Final = """
backend = "{backend}"
addresses = ["{vip4}", "{vip6}"]
rise = 2
fall = 2
interval = "500ms"
fast_interval = "100ms"
hold_down = "500ms"
socket = "{folder}/{node}/c.sock"
"""
_BIRD: Final = '[bird]\nsocket = "{folder}/{node}.ctl"\n'
_BGP: Final = """
[bgp]
router_id = "10.77.{number}.2"
asn = {ours}
[[bgp.neighbor]]
address = "10.77.{number}.1"
asn = {theirs}
local_address = "10.77.{number}.2"
next_hop_ipv6 = "fd77:{number}::2"
"""
_TRIES: Final = 5
_match_change = re.compile(r"\[(?P<at>[0-9T:.-]+)\] ?(?P<gone>Deleted )?" + re.escape(VIP4) + r"\b(?P<ways>.*)").match


class RouteWatch:
    """When the router's table for VIP4 changed, by the kernel's own notices: no poll, so that a busy machine adds nothing."""

    def __init__(self, lab: Lab) -> None:
        self._log = lab.folder / "routes.log"
        lab.start("router", "ip", "-4", "-o", "-ts", "monitor", "route", log=self._log.name)

    def changes(self) -> list[tuple[float, set[str]]]:
        """Return each change: Unix seconds, and the nodes that were left."""
        found = []
        for line in self._log.read_text().splitlines():
            match = _match_change(line)
            if match:
                at = datetime.fromisoformat(match["at"]).timestamp()
                found.append((at, set() if match["gone"] else set(re.findall(r"dev r-(n\d)", match["ways"]))))
        return found

    def gone_after_s(self, node: str, since: float) -> float:
        """Return how long after `since` (Unix seconds) a node was out of the table; waits for that."""
        return self._first(since, lambda ways: node not in ways)

    def back_after_s(self, node: str, since: float) -> float:
        """Return how long after `since` a node was in the table; waits for that."""
        return self._first(since, lambda ways: node in ways)

    def _first(self, since: float, is_it: Callable[[set[str]], bool]) -> float:
        return wait_for(lambda: [at - since for at, ways in self.changes() if at >= since and is_it(ways)])[0]


class Nodes:
    """Everything that runs on the nodes of a lab, by node. What a test has broken, `mend` puts right."""

    def __init__(self, lab: Lab, late: Lateness, backend: str = "bird") -> None:
        self.lab, self.backend, self._late = lab, backend, late
        self.engines: dict[str, Engine] = {}
        self.announcers: dict[str, subprocess.Popen[bytes]] = {}
        self.birds: dict[str, subprocess.Popen[bytes]] = {}
        self.client: Client = lab.client()
        self.watch = RouteWatch(lab)
        self.dark: set[str] = set()
        for node in lab.nodes:
            self.file(node).write_text(self._text(node))

    def file(self, node: str) -> Path:
        return self.lab.folder / f"{node}.toml"

    def _text(self, node: str) -> str:
        words = {"folder": self.lab.folder, "node": node, "number": node[1:], "ours": NODE_ASN, "theirs": ROUTER_ASN}
        text = _FILE.format(backend=self.backend, vip4=VIP4, vip6=VIP6, **words)
        return text + (_BIRD.format(**words) if self.backend == "bird" else "") + _BGP.format(**words)

    def a_second_from(self, at: float) -> float:
        """Return a second, which is what is promised, and by how much the machine has been late since `at` (Unix seconds)."""
        return 1.0 + self._late.since(at)

    def late_since(self, at: float) -> float:
        """Return by how much the machine has been late since `at` (Unix seconds)."""
        return self._late.since(at)

    def start(self) -> None:
        """Start everything, and wait until routers send clients to every node."""
        for node in self.lab.nodes:
            if self.backend == "bird":
                self.start_bird(node)
            self.start_announcer(node)
        self.engines = self.lab.start_engines()
        self.wait_until_whole()

    def start_bird(self, node: str) -> None:
        self.birds[node] = self.lab.start_bird(node, bird_text(load_announce(self.file(node))))

    def start_announcer(self, node: str) -> None:
        command = (sys.executable, "-m", "lbapp", "announce", "-c", str(self.file(node)))
        self.announcers[node] = self.lab.start(node, *command, log=f"{node}.announce")

    def announce(self, node: str, *options: str) -> str:
        """Run `lbapp announce` with options on a node, to its end."""
        return self.lab.run(node, sys.executable, "-m", "lbapp", "announce", "-c", str(self.file(node)), *options)

    def log(self, node: str) -> str:
        return (self.lab.folder / f"{node}.announce").read_text()

    def report(self, node: str) -> AnnounceReport | None:
        """Return what the engine was told last."""
        with self.engines[node].client() as client:
            (member,) = client.ask(calls.fleet())["members"]
        return member["state"]["announce"] if member["state"] else None

    def bfd(self, node: str) -> str:
        """Return the state of the node's BFD session, as it reported it."""
        report = self.report(node)
        return report["sessions"][0]["bfd"] if report is not None and report["sessions"] else ""

    def is_reported(self, node: str, state: str) -> bool:
        report = self.report(node)
        return report is not None and report["state"] == state

    def drain(self, node: str, timeout_s: float = 60.0) -> None:
        with self.engines[node].client() as client:
            client.patch_node({"state": "drain", "drain_timeout_s": timeout_s})

    def end_drain(self, node: str) -> float:
        """Have a node that drains take new clients again; return when it was told (Unix seconds)."""
        at = time.time()
        with self.engines[node].client() as client:
            client.patch_node({"state": "ready"})
        return at

    def kill(self, process: Process) -> float:
        """Kill one process, and nothing that it has started; return when (Unix seconds)."""
        at = time.time()
        process.kill()
        process.wait()
        return at

    def kill_with_warden(self, node: str) -> None:
        """Kill the announcer of a node, and its warden before it can do anything."""
        process = self.announcers[node]
        process.send_signal(signal.SIGSTOP)
        for each in psutil.Process(process.pid).children():
            each.kill()
        self.kill(process)

    def go_dark(self, node: str) -> float:
        """Have a node fall silent; return when."""
        self.dark.add(node)
        at = time.time()
        self.lab.drop_all(node)
        return at

    def mend(self) -> None:
        """Start again whatever has ended, end drains, and wait until everything is as it was."""
        for node in sorted(self.dark):
            self.lab.undrop(node)
        self.dark.clear()
        for node in self.lab.nodes:
            if node in self.birds and self.birds[node].poll() is not None:
                self.start_bird(node)
            if self.announcers[node].poll() is not None:
                self.start_announcer(node)
            if self.engines[node].process.poll() is not None:
                self.engines[node] = self.lab.start_engine(node)
                self.lab.wait_until_serving(self.engines[node])
            elif self.engines[node].status()["engine"]["drain"]:
                self.end_drain(node)
        self.wait_until_whole()

    def wait_until_whole(self) -> None:
        nodes = set(self.lab.nodes)
        wait_for(lambda: self.lab.ways(VIP4) == nodes and self.lab.ways(VIP6) == nodes, 30)
        for node in self.lab.nodes:
            wait_for(lambda node=node: self.is_reported(node, "announced"))  # type: ignore[misc]

    def spread(self, count: int, address: str) -> dict[str, int]:
        """Open so many connections while the router's table stays as it is; return how many each node answered, and each error.

        They are opened again where it changed: a machine that does not run a node's BIRD for 300 ms is one that falls silent.
        """
        for _ in range(_TRIES):
            at = time.time()
            met = self.client.spread(count, address)
            if all(changed_at < at for changed_at, _ in self.watch.changes()):
                return met
            self.wait_until_whole()
        raise AssertionError(f"the router's table changed each of {_TRIES} times: {self.watch.changes()}")

    def stop(self, process: subprocess.Popen[bytes]) -> float:
        """Stop a process by SIGTERM, and wait for its end; return when it was told (Unix seconds)."""
        at = time.time()
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        return at


def route_text(lab: Lab, address: str) -> str:
    """Return what the router's BIRD knows of an address, with all attributes."""
    return lab.birdc("router", f"show route all {address}/{128 if ':' in address else 32}")
