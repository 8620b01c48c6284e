"""`python -m tests.bench faults`: what operators' decisions and broken processes cost those who are being served.

Responsible for an engine of two workers under an open loop of requests while servers are drained and reweighted, while workers
are killed, and while the engine itself is killed in the middle of changes. Knows nothing of how lbapp carries any of it out.

Invariant: when a server saw its last request it says itself, by the clock of the machine; a decision counts from the moment
when the operator's client has the answer.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import select
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import psutil

from lbapp.control.changes import ServerPatch
from lbapp.control.client import ControlClient
from lbapp.model.errors import EngineUnreachable, RequestRefused
from tests.bench.arrivals import Sender, plan
from tests.bench.options import Options
from tests.bench.process import HOST, BenchError, Program, free_port
from tests.bench.table import format_table, machine_facts, show_facts, write_json

SERVERS: Final = 4
WORKERS: Final = 2
# In a round, and in a brief one.
DECISIONS: Final = 20, 5
WORKER_KILLS: Final = 4, 2
CHANGES: Final = 200, 40
_WATCHED_S: Final = 0.1  # how long a server that was taken away is looked at
_CELL: Final = 8
_BODY: Final = b"0123456789abcdef" * 64
_DECISIONS: Final[dict[str, tuple[ServerPatch, ServerPatch]]] = {
    "drain": ({"state": "drain"}, {"state": "ready"}),
    "weight 0": ({"weight": 0}, {"weight": 100}),
}


@dataclass
class Decisions:
    """What came after the answer to one kind of decision. `late_ms`: the last request under the old state, 0: none."""

    late_ms: list[float] = field(default_factory=list)

    def percentile(self, share: float) -> float:
        """Return what such a share of the decisions did not exceed."""
        ordered = sorted(self.late_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@dataclass(frozen=True, slots=True)
class Served:
    """What a load came to: good answers, and errors by what they were."""

    answers: int
    errors: dict[str, int]


@dataclass
class Restarts:
    """What kill -9 of the engine came to. `lost`: acknowledged changes that were not there; `down_ms`: until served again."""

    acknowledged: int = 0
    lost: int = 0
    down_ms: list[float] = field(default_factory=list)


class Place:
    """The folder and ports of one run, and what its servers say of themselves."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.control = folder / "c.sock"
        self.names = [f"s{number}" for number in range(SERVERS)]
        ports = [free_port() for _ in self.names]
        seen = folder / "seen"
        seen.write_bytes(bytes(_CELL * SERVERS))
        with seen.open("r+b") as file:
            self._seen = memoryview(mmap.mmap(file.fileno(), 0)).cast("d")
        command = [sys.executable, "-m", "tests.bench.faults", "serve", str(seen), *map(str, ports)]
        stack.enter_context(Program("the servers", command, _made(folder / "servers"))).wait_for_port(ports[-1])
        listed = "".join(
            f'[[pool.server]]\nname = "{name}"\naddress = "{HOST}:{port}"\n'
            for name, port in zip(self.names, ports, strict=True)
        )
        self.configuration = folder / "lbapp.toml"
        self.configuration.write_text(
            f'[engine]\nworkers = {WORKERS}\nstate_dir = "{folder}"\n[[listener]]\nname = "web"\nbind = "{HOST}:{self.port}"\n'
            f'pool = "app"\n[[pool]]\nname = "app"\n[pool.health_check]\ntype = "none"\n{listed}'
        )

    def last_seen_s(self, name: str) -> float:
        """Return when a server had its last request, by the monotonic clock."""
        return self._seen[self.names.index(name)]

    def engine(self) -> Program:
        """Return the engine, not started."""
        command = [sys.executable, "-m", "lbapp", "run", "-c", str(self.configuration), "--socket", str(self.control)]
        return Program("lbapp", command, _made(self.folder / "engine"))

    @contextmanager
    def load(self, rate: int, seconds: float) -> Iterator[list[Served]]:
        """Send an open loop meanwhile, from a process of its own; what it came to is there after the block.

        `seconds`: the longest that the block may take; a request that was not sent by then would be missed.
        """
        out, found = self.folder / "load.json", list[Served]()
        out.unlink(missing_ok=True)
        _end_of(out).unlink(missing_ok=True)
        command = [
            sys.executable,
            "-m",
            "tests.bench.faults",
            "load",
            str(out),
            str(self.port),
            str(rate),
            f"{seconds}",
        ]
        with Program("the load", command, _made(self.folder / "load")):
            yield found
            if out.exists():
                raise BenchError(
                    f"the load of {seconds:.0f} s was over too soon; see whether the machine is overloaded"
                )
            _end_of(out).touch()
            deadline = time.monotonic() + 30
            while not out.exists():
                if time.monotonic() > deadline:
                    raise BenchError("the load did not come to an end; see whether the machine is overloaded")
                time.sleep(0.05)
        found.append(Served(**json.loads(out.read_text())))


def run(options: Options) -> int:
    """Measure, print the tables, return the exit status: 1 if a decision was lost, or a request in a drain."""
    facts = machine_facts({})
    with tempfile.TemporaryDirectory(prefix="lbapp-bench-") as name, ExitStack() as stack:
        place = Place(stack, Path(name))
        with place.engine() as engine:
            engine.wait_for_port(place.port)
            decisions, decided = _decide(place, options)
            killed = _kill_workers(place, options)
        restarts = _kill_engine(place, options.rounds * options.effort(*CHANGES))
    print(f"\n{SERVERS} servers, {WORKERS} workers, {options.rate} requests a second")
    print(show_facts(facts) + "\n")
    columns = ("decision", "times", "with a later request", "late p50 ms", "p99 ms", "max ms")
    print(format_table(columns, [_decision_row(*each) for each in decisions.items()]))
    print(f"\nmeanwhile: {_told(decided)}")
    print(f"\n{options.rounds * options.effort(*WORKER_KILLS)} workers killed: {_told(killed)}")
    down = sorted(restarts.down_ms)
    print(
        f"\nengine killed {len(down)} times in {restarts.acknowledged} acknowledged changes: {restarts.lost} lost; "
        f"no new connection for {down[len(down) // 2]:.0f} ms (median), {down[-1]:.0f} ms at most"
    )
    figures = {
        "decisions": {kind: asdict(each) for kind, each in decisions.items()},
        "decided": asdict(decided),
        "workers_killed": asdict(killed),
        "engine_killed": asdict(restarts),
    }
    write_json(options.json, "faults", facts, {"lbapp": [figures]})
    return 1 if restarts.lost or decided.errors else 0


def _decide(place: Place, options: Options) -> tuple[dict[str, Decisions], Served]:
    """Take servers away and give them back, under load."""
    source = random.Random(options.rounds)
    found = {kind: Decisions() for kind in _DECISIONS}
    times = options.rounds * options.effort(*DECISIONS)
    seconds = times * len(found) * (_WATCHED_S + 0.4) + 20
    with ControlClient(place.control) as client, place.load(options.rate, seconds) as served:
        for name in place.names:
            _await_request(place, name)
        for _ in range(times):
            for kind, (away, back) in _DECISIONS.items():
                name = source.choice(place.names)
                client.patch_server("app", name, away)
                decided_s = time.monotonic()
                time.sleep(_WATCHED_S)
                found[kind].late_ms.append(max(0.0, place.last_seen_s(name) - decided_s) * 1e3)
                client.patch_server("app", name, back)
                _await_request(place, name)
                time.sleep(source.uniform(0.0, 0.02))
    return found, served[0]


def _await_request(place: Place, name: str) -> None:
    since_s = time.monotonic()
    while place.last_seen_s(name) < since_s:
        if time.monotonic() > since_s + 30:
            raise BenchError(f"{name} had no request for 30 s; look at the load")
        time.sleep(0.002)


def _kill_workers(place: Place, options: Options) -> Served:
    """Kill workers under load."""
    source = random.Random(options.rounds)
    times = options.rounds * options.effort(*WORKER_KILLS)
    with ControlClient(place.control) as client, place.load(options.rate, times * 5.0 + 20) as served:
        for _ in range(times):
            victim = source.choice(_await_workers(client))
            os.kill(victim, signal.SIGKILL)
            while victim in _await_workers(client):
                time.sleep(0.01)
            time.sleep(source.uniform(0.1, 0.3))
    return served[0]


def _await_workers(client: ControlClient) -> list[int]:
    deadline = time.monotonic() + 30
    while True:
        workers = [each["pid"] for each in client.status()["engine"]["workers"] if each["phase"] == "serving"]
        if len(workers) == WORKERS:
            return workers
        if time.monotonic() > deadline:
            raise BenchError("a worker was not replaced within 30 s; see the log of the engine")
        time.sleep(0.01)


def _kill_engine(place: Place, changes: int) -> Restarts:
    """Change weights as fast as they are acknowledged, kill the engine meanwhile, and compare after each restart."""
    source, found = random.Random(changes), Restarts()
    wanted: dict[str, int] = {}
    on_its_way = "", 0
    killed_s = 0.0
    while True:
        with place.engine() as engine:
            engine.wait_for_port(place.port)
            if killed_s:
                _await_answer(place.port)
                found.down_ms.append((time.monotonic() - killed_s) * 1e3)
            with ControlClient(place.control) as client:
                weights = _await_weights(client)
                allowed = [wanted, {**wanted, on_its_way[0]: on_its_way[1]}] if killed_s else [weights]
                found.lost += 0 if weights in allowed else 1
                wanted = weights
                if found.acknowledged >= changes:
                    return found
                processes = [psutil.Process(pid) for pid in engine.pids()]
                killer = threading.Timer(source.uniform(0.02, 0.4), processes[0].kill)
                killer.start()
                with suppress(EngineUnreachable, RequestRefused):
                    while True:
                        on_its_way = source.choice(place.names), source.randrange(1, 257)
                        client.patch_server("app", on_its_way[0], {"weight": on_its_way[1]})
                        wanted[on_its_way[0]] = on_its_way[1]
                        found.acknowledged += 1
                killed_s = time.monotonic()
                killer.join()
                # Its workers see that it is gone, and may have answered meanwhile: the next answer is the new engine's.
                while not all(map(_has_ended, processes)):
                    if time.monotonic() > killed_s + 10:
                        raise BenchError("a worker outlived the engine by 10 s; see its log")
                    time.sleep(0.001)


def _has_ended(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _await_weights(client: ControlClient) -> dict[str, int]:
    """Return the weights of a starting engine, whose port is open before its control socket is."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with suppress(EngineUnreachable):
            (pool,) = client.status()["pools"]
            return {each["name"]: each["weight"] for each in pool["servers"]}
        time.sleep(0.005)
    raise BenchError("the engine does not answer on its control socket 30 s after its start; see its log")


def _await_answer(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection((HOST, port), timeout=1.0) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            if connection.recv(1024).startswith(b"HTTP/1.1 200"):
                return
        time.sleep(0.005)
    raise BenchError("the engine does not serve 30 s after its restart; see its log")


def _end_of(out: Path) -> Path:
    """Return the file that is there when a load has been sent for long enough."""
    return out.with_suffix(".end")


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def _decision_row(kind: str, found: Decisions) -> Sequence[str]:
    late = [each for each in found.late_ms if each]
    p50, p99 = found.percentile(0.5), found.percentile(0.99)
    return kind, str(len(found.late_ms)), str(len(late)), f"{p50:.2f}", f"{p99:.2f}", f"{max(found.late_ms):.2f}"


def _told(served: Served) -> str:
    errors = ", ".join(f"{count} {what}" for what, count in served.errors.items())
    return f"{served.answers} requests answered, failed: {errors or 'none'}"


def serve(seen: Path, ports: Sequence[int]) -> None:
    """Be every server: answer each request at once, and note when it came."""
    with seen.open("r+b") as file:
        cells = memoryview(mmap.mmap(file.fileno(), 0)).cast("d")
    poller, places = select.epoll(), dict[int, int]()
    listeners = {}
    for place, port in enumerate(ports):
        listener = socket.create_server((HOST, port), backlog=4096)
        listeners[listener.fileno()] = listener, place
        poller.register(listener, select.EPOLLIN)
    answers = [
        b"HTTP/1.1 200 OK\r\nX-Server: %d\r\nContent-Length: %d\r\n\r\n%b" % (port, len(_BODY), _BODY) for port in ports
    ]
    connections: dict[int, socket.socket] = {}
    while True:
        for number, _ in poller.poll():
            if number in listeners:
                listener, place = listeners[number]
                connection, _ = listener.accept()
                connections[connection.fileno()] = connection
                places[connection.fileno()] = place
                poller.register(connection, select.EPOLLIN)
                continue
            connection = connections[number]
            try:
                data = connection.recv(65_536)
                if data:  # a request head fits into one part
                    cells[places[number]] = time.monotonic()
                    connection.sendall(answers[places[number]])
                    continue
            except OSError:
                pass
            del connections[number]
            connection.close()


def send(out: Path, port: int, rate: int, seconds: float) -> None:
    """Be the load: send an open loop until it is enough, and write what it came to."""
    found = Sender(port).run(plan(rate, int(rate * seconds), seed=rate), _end_of(out).exists)
    part = out.with_suffix(".part")
    part.write_text(json.dumps({"answers": len(found.waited_ms), "errors": dict(Counter(found.errors))}))
    part.rename(out)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(Path(sys.argv[2]), [int(port) for port in sys.argv[3:]])
    else:
        send(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
