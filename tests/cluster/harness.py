"""Real stores under test, each on ports of its own, and fleets of engine doubles that are kept in touch by them."""

from __future__ import annotations

import base64
import os
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import anyio
import httpx
import pytest

from lbapp.cluster.fleet import StoreFleet, make
from lbapp.model.fleet import ClusterSettings, StoreState
from tests.cluster.node_double import NodeDouble
from tests.system.harness import free_port, wait_for

_Value = TypeVar("_Value")
needs_etcd = pytest.mark.skipif(shutil.which("etcd") is None, reason="etcd is missing: apt install etcd-server")


@dataclass
class Store:
    """A member of an etcd, that can be ended and started again. `data`: a folder that waits for no disk."""

    folder: Path
    data: Path
    name: str
    port: int
    peer_port: int
    fleet: str  # what etcd calls initial-cluster
    process: subprocess.Popen[bytes] | None = None
    options: Sequence[str] = ()
    ca_file: Path | None = None  # with it, clients come by TLS

    @property
    def url(self) -> str:
        return f"{'http' if self.ca_file is None else 'https'}://127.0.0.1:{self.port}"

    def client(self) -> httpx.Client:
        context = False if self.ca_file is None else ssl.create_default_context(cafile=self.ca_file)
        return httpx.Client(base_url=self.url, verify=context, timeout=5, trust_env=False)

    def start(self) -> None:
        own, peers = self.url, f"http://127.0.0.1:{self.peer_port}"
        command = ["etcd", "--name", self.name, "--data-dir", str(self.data / self.name)]
        command += ["--listen-client-urls", own, "--advertise-client-urls", own]
        command += ["--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers]
        # A leader that a busy machine keeps waiting is not voted out by members that still hear of it.
        command += ["--initial-cluster", self.fleet, "--pre-vote"]
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen([*command, *self.options], stdout=log, stderr=log)

    def is_healthy(self) -> bool:
        try:
            with self.client() as client:
                answer = client.get("/health")
        except httpx.HTTPError:
            return False
        return answer.status_code == 200 and '"true"' in answer.text

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def begin_empty(self) -> None:
        """Kill it, and start it again without its data."""
        self.kill()
        shutil.rmtree(self.data / self.name)
        self.start()
        wait_for(self.is_healthy)

    def put(self, key: str, value: str, lease: str = "0") -> None:
        body = {"key": _text(f"/lbapp/f/{key}"), "value": _text(value), "lease": lease}
        ask(self, "kv/put", body)

    def need_password(self, user: str, password: str, prefix: str) -> None:
        """Let nobody in but this user, who may do everything below a prefix, and root."""
        key = prefix.encode()
        end = key[:-1] + bytes([key[-1] + 1])
        permission = {"permType": "READWRITE", "key": _text(prefix), "range_end": _text(end.decode())}
        for name in ("root", user):
            ask(self, "auth/user/add", {"name": name, "password": password})
            ask(self, "auth/role/add", {"name": name})
            ask(self, "auth/user/grant", {"user": name, "role": name})
        ask(self, "auth/role/grant", {"name": user, "perm": permission})
        ask(self, "auth/enable", {})

    def lease_of(self, key: str) -> str | None:
        """Return the lease of a key of the fleet; None: there is no such key."""
        pairs = ask(self, "kv/range", {"key": _text(f"/lbapp/f/{key}")}).get("kvs", [])
        return str(pairs[0].get("lease", "0")) if pairs else None

    def created_at(self, key: str) -> str | None:
        """Return the revision since which a key of the fleet has been there all the time; None: it is not there."""
        pairs = ask(self, "kv/range", {"key": _text(f"/lbapp/f/{key}")}).get("kvs", [])
        return str(pairs[0]["create_revision"]) if pairs else None

    def value_of(self, key: str) -> str | None:
        """Return what stands at a key of the fleet; None: there is no such key."""
        pairs = ask(self, "kv/range", {"key": _text(f"/lbapp/f/{key}")}).get("kvs", [])
        return base64.b64decode(pairs[0].get("value", "")).decode() if pairs else None

    def delete(self, key: str, *, with_all_below: bool = False) -> None:
        """Delete a key of the fleet, or all that begin with it, as somebody does by hand."""
        body = {"key": _text(f"/lbapp/f/{key}")}
        if with_all_below:
            body["range_end"] = _text(f"/lbapp/f/{key[:-1]}{chr(ord(key[-1]) + 1)}")
        ask(self, "kv/deleterange", body)

    def has(self, key: str) -> bool:
        return self.lease_of(key) is not None

    def is_leader(self) -> bool:
        answer = ask(self, "maintenance/status", {})
        return bool(answer["leader"] == answer["header"]["member_id"])


def ask(store: Store, call: str, body: dict[str, Any]) -> dict[str, Any]:
    """Ask a store something as anybody may with curl."""
    with store.client() as client:
        answer = client.post(f"/v3/{call}", json=body)
    answer.raise_for_status()
    read: dict[str, Any] = answer.json()
    return read


def _text(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@contextmanager
def running_stores(
    folder: Path, count: int = 1, options: Sequence[str] = (), ca_file: Path | None = None
) -> Iterator[list[Store]]:
    """Run an etcd of so many members until the block ends. `ca_file`: where `options` have clients come by TLS."""
    ports = [(free_port(), free_port()) for _ in range(count)]
    fleet = ",".join(f"e{at}=http://127.0.0.1:{peer}" for at, (_, peer) in enumerate(ports))
    # It syncs every write: on a disk that others keep busy, that alone is longer than an election takes.
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="etcd-", dir=memory if os.access(memory, os.W_OK) else folder) as data:
        stores = [
            Store(folder, Path(data), f"e{at}", *each, fleet, None, options, ca_file) for at, each in enumerate(ports)
        ]
        try:
            for store in stores:
                store.start()
            for store in stores:
                wait_for(store.is_healthy)
            yield stores
        finally:
            for store in stores:
                if store.process is not None and store.process.poll() is None:
                    store.kill()


def settings_of(stores: Sequence[Store], node: str, *, lease_s: float = 2.0) -> ClusterSettings:
    return ClusterSettings("f", node, tuple(store.url for store in stores), lease_s=lease_s)


async def until(what: Callable[[], _Value], timeout_s: float = 25.0) -> _Value:
    """Return the first true value of `what`; fail when none comes in time."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = what()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        await anyio.sleep(0.01)


@asynccontextmanager
async def running_fleet(
    folder: Path, settings: ClusterSettings, node: NodeDouble
) -> AsyncIterator[tuple[StoreFleet, anyio.CancelScope]]:
    """Keep a node in touch until the block ends, or its scope is cancelled. What it keeps is a file named after it."""
    fleet = make(settings, folder / f"{node.name}.view")
    async with anyio.create_task_group() as tasks:
        scope = anyio.CancelScope()

        async def run() -> None:
            with scope:
                await fleet.run(node)

        tasks.start_soon(run)
        yield fleet, scope
        scope.cancel()


def is_synced(fleet: StoreFleet) -> bool:
    return fleet.view.state is StoreState.SYNCED


def alive(fleet: StoreFleet) -> list[str]:
    return [member.name for member in fleet.view.alive]
