"""Real engines that are one fleet, over a folder in the place of a store."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from tests import forked
from tests.engine.supervisor.folder_fleet import ENVIRONMENT, Folder
from tests.system.harness import NO_CHECK, Engine, engine_command, listener_toml, pool_toml, servers, wait_for

_CODE = (
    "import sys; from pathlib import Path; from lbapp.engine.main import run_engine; "
    "from tests.engine.supervisor.folder_fleet import make; "
    "sys.exit(run_engine(Path(sys.argv[1]), Path(sys.argv[2]), make))"
)


@dataclass
class FleetNode(Engine):
    """One engine of a fleet."""

    name: str
    configuration: Path

    def ask(self, method: str, path: str, body: object = None) -> httpx.Response:
        transport = httpx.HTTPTransport(uds=str(self.control), verify=False)
        with httpx.Client(transport=transport, base_url="http://lbapp", timeout=20) as client:
            return client.request(method, path, json=body)

    def get(self, path: str) -> Any:
        return self.ask("GET", path).json()

    def patch(self, path: str, body: object) -> httpx.Response:
        return self.ask("PATCH", path, body)

    def word(self, server: str) -> tuple[str, int]:
        found = self.server(server)
        return found["admin"], found["weight"]

    def messages(self, kind: str) -> list[str]:
        return [each["message"] for each in self.get("/v1/events")["events"] if each["kind"] == kind]

    def end(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def cluster_toml(name: str, more: str = "") -> str:
    return f'[cluster]\nnode = "{name}"\nendpoints = ["http://127.0.0.1:1"]\n{more}'


def start_node(
    folder: Path, name: str, toml: str, *, cluster: str = "", has_store: bool = False, first: str = ""
) -> FleetNode:
    """Start the engine of a node, on the file that it had before if `toml` is empty; return when it serves.

    `has_store`: as operators do, so that it looks for a real store; else `first` is run in it before anything else.
    """
    own = folder / name
    own.mkdir(exist_ok=True)
    file, control, log = own / "lbapp.toml", own / "c.sock", own / "engine.log"
    if toml:
        table = cluster or cluster_toml(name)
        file.write_text(f'[engine]\nworkers = 1\nstate_dir = "{own}"\n{table}{toml}')
    arguments = engine_command(file, control)[1:] if has_store else ["-c", first + _CODE, str(file), str(control)]
    with log.open("ab") as output:
        process = forked.start(arguments, output.fileno(), output.fileno(), os.environ | {ENVIRONMENT: str(folder)})
    node = FleetNode(process, control, log, name, file)
    said = f"; pid {process.pid}"

    def serves() -> bool:
        assert process.poll() is None, log.read_text()
        return said in log.read_text()

    wait_for(serves, 60)
    return node


@contextmanager
def fleet_of(
    folder: Path, *names: str, cluster: str = "", toml: str = "", engine: str = ""
) -> Iterator[tuple[Folder, dict[str, FleetNode]]]:
    """Run the engines of a fleet until the block ends; return when each knows all.

    They serve a pool `app` of s1 and s2, or `toml`. `cluster`, `engine`: more of these tables.
    """
    with ExitStack() as stack:
        ports = stack.enter_context(servers("s1", "s2"))
        text = toml or listener_toml("app") + pool_toml("app", ports, extra=NO_CHECK)
        nodes = {}
        for name in names:
            nodes[name] = start_node(folder, name, text, cluster=engine + cluster_toml(name, cluster))
            stack.callback(nodes[name].end)
        for node in nodes.values():
            wait_for(partial(_knows, node, len(names)))
        yield Folder(folder), nodes


def _knows(node: FleetNode, count: int) -> bool:
    return len(alive(node)) == count


def alive(node: FleetNode) -> list[str]:
    """Return the members that live, as a node knows them."""
    return [each["name"] for each in node.get("/v1/fleet")["members"] if each["is_alive"]]
