"""`python -m tests.bench cluster`: how soon what a node decides holds on all, in DNS and in the router, and what rest costs.

Responsible for real nodes over a real etcd, for `lbapp dns` beside Knot and BIND, for `lbapp announce` beside a router of its own
network namespaces, and for what each process takes while nothing happens. Knows nothing of how any of it is done.

Invariants: a time begins before the change is asked for and ends when the last who has to know shows it; what is not installed is
left out, and said.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import anyio
import dns.exception

from lbapp.cluster.dns.decide import Wish, decide
from lbapp.cluster.dns.zone import Zone
from lbapp.control import calls
from lbapp.control.client import AsyncControlClient
from lbapp.model.errors import LbappError
from tests.bench.cpu import read_cpu, read_memory
from tests.bench.process import BenchError, Program, free_port
from tests.bench.table import format_table, machine_facts, show_facts, write_json
from tests.cluster.dns.support import StandInEngine, settings
from tests.cluster.harness import Store, running_stores
from tests.lateness import Lateness
from tests.name_servers import PROGRAMS, NameServer, missing, name_server
from tests.system.cluster import lab
from tests.system.cluster.announcers import Nodes
from tests.system.harness import wait_for
from tests.system.test_dns import lbapp_dns, write_file

PARTS: Final = ("intents", "dns", "routes", "rest")
NODES: Final = ("lb1", "lb2", "lb3")
_EVENT: Final = "weight_changed"
_PAUSE_S: Final = 0.01  # between two writes


@dataclass(frozen=True, slots=True)
class Times:
    """How long something took, in milliseconds, so many times."""

    took_ms: list[float]

    def at(self, percent: float) -> float:
        """Return a percentile."""
        ordered = sorted(self.took_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]

    def row(self, what: str) -> list[str]:
        figures = [f"{each:.1f}" for each in (self.at(50), self.at(99), max(self.took_ms))]
        return [what, str(len(self.took_ms)), *figures]


@dataclass(frozen=True, slots=True)
class AtRest:
    """What one process takes while nothing happens: CPU of one core, and memory."""

    cpu_percent: float
    resident_mib: float
    private_mib: float


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for."""

    parts: tuple[str, ...]
    writes: int
    changes: int
    seconds: float
    json: Path | None


def main(argv: Sequence[str]) -> int:
    """Measure, and print tables. Raises BenchError."""
    asked = _parse(argv)
    facts = machine_facts({})
    print(show_facts(facts))
    results: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="lbapp-bench-") as folder:
        for part in asked.parts:
            own = Path(folder) / part
            own.mkdir()
            results[part] = _PARTS[part](own, asked)
    write_json(asked.json, "cluster", facts, results)
    return 0


def _parse(argv: Sequence[str]) -> Asked:
    parser = argparse.ArgumentParser(prog="python -m tests.bench cluster")
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts, of {', '.join(PARTS)}")
    parser.add_argument("--writes", type=int, default=500, help="intents that are written (default 500)")
    parser.add_argument("--changes", type=int, default=30, help="changes of records and of routes (default 30)")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long rest is looked at (default 10)")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="also write the figures here")
    found = parser.parse_args(argv)
    parts = tuple(found.only.split(","))
    if unknown := [part for part in parts if part not in PARTS]:
        parser.error(f"unknown part {', '.join(unknown)}; known: {', '.join(PARTS)}")
    return Asked(parts, max(1, found.writes), max(1, found.changes), max(0.1, found.seconds), found.json)


def _show(rows: list[list[str]]) -> None:
    print(f"\n{format_table(('what', 'n', 'p50 ms', 'p99 ms', 'max ms'), rows)}")


# -- intents -------------------------------------------------------------------------------------------------------------


@contextmanager
def _fleet(folder: Path) -> Iterator[tuple[Store, dict[str, Program], dict[str, Path]]]:
    """Run three engines over one etcd; return when each knows all."""
    if shutil.which("etcd") is None:
        raise BenchError("needs etcd: apt-get install etcd-server")
    with ExitStack() as stack:
        (store,) = stack.enter_context(running_stores(folder))
        engines, sockets = {}, {}
        for name in NODES:
            own = folder / name
            own.mkdir()
            sockets[name] = own / "c.sock"
            (own / "lbapp.toml").write_text(
                f'[engine]\nworkers = 1\nstate_dir = "{own}"\n[cluster]\nnode = "{name}"\nendpoints = ["{store.url}"]\n'
                f'[[listener]]\nname = "web"\nbind = "127.0.0.1:{free_port()}"\npool = "app"\n'
                '[[pool]]\nname = "app"\n[pool.health_check]\ntype = "none"\n'
                '[[pool.server]]\nname = "s1"\naddress = "127.0.0.1:9"\n'
                '[[pool.server]]\nname = "s2"\naddress = "127.0.0.1:9"\n'
            )
            command = [sys.executable, "-m", "lbapp", "run", "-c", str(own / "lbapp.toml")]
            engines[name] = stack.enter_context(Program(name, [*command, "--socket", str(sockets[name])], own))
        for socket in sockets.values():
            wait_for(lambda socket=socket: anyio.run(_is_whole, socket), 90)  # type: ignore[misc]
        yield store, engines, sockets


async def _is_whole(socket: Path) -> bool:
    client = AsyncControlClient(socket)
    try:
        status = await client.ask(calls.fleet())
        return status["state"] == "synced" and sum(each["is_alive"] for each in status["members"]) == len(NODES)
    except LbappError:  # an engine that is not there yet
        return False
    finally:
        await client.close()


def _intents(folder: Path, asked: Asked) -> object:
    with _fleet(folder) as (_, _, sockets):
        calls_took, held = anyio.run(_write_intents, sockets, asked.writes)
    _show([calls_took.row("lb1 answers the call"), held.row("intent of lb1 -> holds on lb1, lb2 and lb3")])
    return {"call": asdict(calls_took), "holds": asdict(held)}


async def _write_intents(sockets: dict[str, Path], writes: int) -> tuple[Times, Times]:
    """Write weights on the first node, one after the other; a node shows each by its event."""
    clients = {name: AsyncControlClient(path) for name, path in sockets.items()}
    came: dict[str, float] = {}
    all_came = anyio.Event()
    answered, held = [], []

    async def follow(name: str) -> None:
        nonlocal all_came
        last = (await clients[name].ask(calls.events(limit=1)))["events"][-1]["seq"]
        async for event in clients[name].follow_events(last):
            if event["kind"] == _EVENT:
                came[name] = time.monotonic()
                if len(came) == len(NODES):
                    all_came.set()

    async with anyio.create_task_group() as tasks:
        for name in NODES:
            tasks.start_soon(follow, name)
        await anyio.sleep(1.0)  # until everybody follows
        for number in range(writes):
            came.clear()
            all_came = anyio.Event()
            began = time.monotonic()
            await clients["lb1"].ask(calls.patch_server("app/s1", {"weight": 1 + number % 256, "fleet": True}))
            answered.append((time.monotonic() - began) * 1e3)
            with anyio.fail_after(30):
                await all_came.wait()
            held.append((max(came.values()) - began) * 1e3)
            await anyio.sleep(_PAUSE_S)
        tasks.cancel_scope.cancel()
    for client in clients.values():
        await client.close()
    return Times(answered), Times(held)


# -- DNS -----------------------------------------------------------------------------------------------------------------


def _dns(folder: Path, asked: Asked) -> object:
    rows, results = [], {}
    for kind in PROGRAMS:
        if why := missing(kind):
            print(f"! {kind} is left out: {why}")
            continue
        with name_server(kind, folder / kind) as server:
            updates = anyio.run(_updates, server, asked.changes)
            follows = _readiness(folder, server, asked.changes)
        rows += [updates.row(f"{kind}: update -> visible"), follows.row(f"{kind}: node is (not) ready -> visible")]
        results[kind] = {"update": asdict(updates), "readiness": asdict(follows)}
    _show(rows)
    return results


async def _updates(server: NameServer, changes: int) -> Times:
    """Put a record in and take it out by turns, beside another that stays."""
    other, file = settings("192.0.2.9", node="lb9", port=server.port), settings(port=server.port, records_min=1)
    took = []
    for number in range(changes + 1):
        which, is_in = (file, number % 2 == 1) if number else (other, True)
        zone = Zone(which)
        seen = await zone.look()
        decision = decide(which, seen, Wish(is_in), time.time())
        began = time.monotonic()
        await zone.write(seen, decision)
        if number:
            await anyio.to_thread.run_sync(_until, server, "192.0.2.1", is_in)
            took.append((time.monotonic() - began) * 1e3)
    return Times(took)


def _readiness(folder: Path, server: NameServer, changes: int) -> Times:
    """Have an engine say that its node is ready, and not, by turns; `lbapp dns` with its defaults for how often it asks."""
    own = folder / f"{server.kind}-nodes"
    own.mkdir()
    took = []
    with StandInEngine(own / "c.sock").running() as engine:
        file = write_file(own, 1, server.port, interval='"300ms"', refresh='"10s"', ttl='"20s"', records_min="1")
        with lbapp_dns(file, engine.path):
            _until(server, "192.0.2.1", is_there=True)
            for number in range(changes):
                time.sleep(0.05 + 0.37 * number % 0.6)  # at any moment between two questions
                began = time.monotonic()
                engine.is_ready = number % 2 == 1
                _until(server, "192.0.2.1", is_there=engine.is_ready)
                took.append((time.monotonic() - began) * 1e3)
    return Times(took)


def _until(server: NameServer, address: str, is_there: bool) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if (address in server.has()) is is_there:
                return
        except (OSError, EOFError, dns.exception.DNSException):
            pass
        time.sleep(0.001)
    raise BenchError(f"{server.kind} did not have it within 30 s: {server.log[-500:]}")


# -- routes --------------------------------------------------------------------------------------------------------------


def _routes(folder: Path, asked: Asked) -> object:
    if why := lab.missing("bird", "birdc", "nft"):
        print(f"! routes are left out: {why}")
        return None
    left, came = [], []
    with lab.routed(folder) as network:
        nodes = Nodes(network, Lateness())
        nodes.start()
        for _ in range(asked.changes):
            began = time.time()
            nodes.drain("n2")
            left.append(nodes.watch.gone_after_s("n2", began) * 1e3)
            wait_for(lambda: nodes.is_reported("n2", "drained"))
            came.append(nodes.watch.back_after_s("n2", nodes.end_drain("n2")) * 1e3)
            nodes.wait_until_whole()
    leaves, comes = Times(left), Times(came)
    _show([leaves.row("drain of a node -> out of the router's table"), comes.row("node is ready -> in it again")])
    return {"drain": asdict(leaves), "ready": asdict(comes)}


# -- rest ----------------------------------------------------------------------------------------------------------------


def _rest(folder: Path, asked: Asked) -> object:
    """Look at a node of a fleet of three that has a publisher, while nobody asks for anything."""
    with ExitStack() as stack:
        store, engines, sockets = stack.enter_context(_fleet(folder))
        pids: dict[str, int] = {}
        supervisor, *workers = engines["lb1"].pids()
        pids |= {"supervisor, in a fleet of three": supervisor, "worker": workers[0]}
        assert store.process is not None
        pids["etcd"] = store.process.pid
        for kind in PROGRAMS:
            if why := missing(kind):
                print(f"! {kind} is left out: {why}")
                continue
            server = stack.enter_context(name_server(kind, folder / kind))
            own = folder / f"{kind}-node"
            own.mkdir()
            file = write_file(own, 1, server.port, interval='"300ms"', refresh='"10s"')
            publisher = stack.enter_context(lbapp_dns(file, sockets["lb1"]))
            pids |= {f"lbapp dns, beside {kind}": publisher.process.pid, kind: server.pid}
            _until(server, "192.0.2.1", is_there=True)
        time.sleep(2.0)  # until all of them are at rest
        before, began = read_cpu(pids.values()), time.monotonic()
        time.sleep(asked.seconds)
        after, passed_s = read_cpu(pids.values()), time.monotonic() - began
        found = {}
        for name, pid in pids.items():
            memory = read_memory(pid)
            cpu = (after[pid] - before[pid]) / 1e7 / passed_s
            found[name] = AtRest(cpu, memory.resident_bytes / 2**20, memory.private_bytes / 2**20)
    rows = [
        [name, f"{each.cpu_percent:.2f}", f"{each.resident_mib:.1f}", f"{each.private_mib:.1f}"]
        for name, each in found.items()
    ]
    print(f"\n{format_table(('at rest', 'CPU %', 'resident MiB', 'private MiB'), rows)}")
    return {name: asdict(each) for name, each in found.items()}


_PARTS: Final[dict[str, Callable[[Path, Asked], object]]] = {
    "intents": _intents,
    "dns": _dns,
    "routes": _routes,
    "rest": _rest,
}
