"""A supervisor's parts on a real scoreboard, a whole engine as a process, and a small HTTP server to stand behind it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import anyio
import httpx

from lbapp.control.unix_transport import connections
from lbapp.engine.channel import Message
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.supervisor.drains import Drains
from lbapp.engine.supervisor.events import Events
from lbapp.engine.supervisor.history import History
from lbapp.engine.supervisor.life import Life
from lbapp.engine.supervisor.overload import OverloadWatch
from lbapp.engine.supervisor.pool_watch import PoolWatch
from lbapp.engine.supervisor.reading import StatusReader
from lbapp.engine.supervisor.running import Running
from lbapp.engine.supervisor.server_state import ServerState
from lbapp.engine.supervisor.sockets import Listening
from lbapp.engine.supervisor.state import ServerStates
from lbapp.engine.supervisor.workers import Served, Workers
from lbapp.model.entities import (
    Bind,
    CheckType,
    Configuration,
    EngineSettings,
    HealthCheck,
    Listener,
    Pool,
    Server,
)
from lbapp.model.histogram import bucket_of
from tests import forked
from tests.naps import naps

DEADLINE_S = 25.0
START_TIMEOUT_S = 60.0  # of an engine, on a machine that many share
NO_CHECK = HealthCheck(CheckType.NONE)


def configured(
    addresses: list[tuple[str, int]] | None = None,
    check: HealthCheck = NO_CHECK,
    workers: int = 1,
    binds: tuple[Bind, ...] = (Bind("127.0.0.1", 0),),
) -> Configuration:
    """One listener `web`, one pool `app`, its servers s1, s2, ... at `addresses`."""
    servers = tuple(
        Server("app", f"s{number}", host, port)
        for number, (host, port) in enumerate(addresses or [("127.0.0.1", 1), ("127.0.0.1", 2)], 1)
    )
    listener = Listener("web", binds, pool="app")
    return Configuration(EngineSettings(workers=workers), (listener,), (Pool("app", servers, health_check=check),))


@dataclass
class Parts:
    """What most modules of the supervisor need."""

    running: Running
    events: Events
    states: ServerStates
    drains: Drains
    told: list[Message] = field(default_factory=list)

    def server(self, name: str) -> ServerState:
        return self.states.by_id[f"app/{name}"]

    def kinds(self) -> list[str]:
        return [event["kind"] for event in self.events.after(0)]

    def set_in_flight(self, name: str, count: int, slot: int = 0) -> None:
        segment = self.running.segment
        segment.cells[segment.layout.in_flight(slot) + self.server(name).row] = count

    def state_cell(self, name: str, cell: int) -> int:
        segment = self.running.segment
        return segment.cells[segment.layout.state(self.server(name).row) + cell]

    def pool_version(self) -> int:
        return self.running.segment.cells[self.running.segment.layout.pool_version(0)]

    def count_requests(
        self, name: str, count: int, *, status_class: int = 2, latency_us: int = 1000, slot: int = 0
    ) -> None:
        """Count as a worker would: responses, completed outcomes and the histogram of totals."""
        segment = self.running.segment
        base = segment.layout.server(slot, self.server(name).row)
        for cell in (
            at.SERVER_RESPONSES + status_class - 1,
            at.SERVER_OUTCOMES,
            at.SERVER_TOTAL + bucket_of(latency_us),
        ):
            segment.cells[base + cell] += count


@contextmanager
def parts(configuration: Configuration | None = None) -> Iterator[Parts]:
    running = Running.create(Path("lbapp.toml"), configuration or configured())
    events = Events()
    states = ServerStates(running, events)
    told: list[Message] = []
    try:
        yield Parts(running, events, states, Drains(running.segment, states, events, told.append), told)
    finally:
        running.segment.close()


@contextmanager
def reading(configuration: Configuration | None = None) -> Iterator[tuple[Parts, StatusReader]]:
    with parts(configuration) as own:
        listening = Listening.open(own.running.configuration.listeners, 1)
        workers = Workers(Served(own.running), listening, own.events)
        history = History(own.running.segment, own.running.rows)
        try:
            overload = OverloadWatch(own.running, own.events)
            life = Life(1.0)
            pools = PoolWatch(own.running, own.states, own.events)
            yield (
                own,
                StatusReader(own.running, life, listening, own.states, own.drains, workers, history, overload, pools),
            )
        finally:
            listening.close()


async def until(condition: Callable[[], object], what: str = "the condition") -> None:
    """Wait until `condition` holds; fail after DEADLINE_S."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come about"
        await anyio.sleep(0.01)


class Backend:
    """An HTTP server that answers every GET with `status` and its name; it waits for `gate` on /slow."""

    def __init__(self, name: str = "backend") -> None:
        self.status = 200
        self.requests = 0
        self.agents: list[str] = []
        self.gate = threading.Event()
        backend = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                backend.requests += 1
                backend.agents.append(self.headers.get("User-Agent", ""))
                if self.path == "/slow":
                    backend.gate.wait(DEADLINE_S)
                body = name.encode()
                self.send_response(backend.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def __enter__(self) -> Backend:
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _UnixTransport(httpx.HTTPTransport):
    """Carries what tests ask by hand over the engine's own connections, which leave nothing open."""

    def __init__(self, path: Path) -> None:
        super().__init__(verify=False)
        self._pool = connections(path)


@dataclass
class EngineProcess:
    """A running engine."""

    process: forked.Process
    socket: Path
    port: int
    log: list[str]

    def control(self) -> httpx.Client:
        return httpx.Client(transport=_UnixTransport(self.socket), base_url="http://lbapp", timeout=DEADLINE_S)

    def get(self, path: str = "/") -> httpx.Response:
        """Ask through the listener, on a connection of its own."""
        with httpx.Client(timeout=DEADLINE_S, trust_env=False) as client:
            return client.get(f"http://127.0.0.1:{self.port}{path}")

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_S)

    def wait_for(self, condition: Callable[[], object], what: str = "the condition") -> None:
        deadline, pauses = time.monotonic() + DEADLINE_S, naps()
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not come about\n{''.join(self.log)}"
            time.sleep(next(pauses))


def toml(ports: list[int], *, workers: int = 1, check: str = 'type = "none"', bind: str = "127.0.0.1:0") -> str:
    servers = "".join(
        f'[[pool.server]]\nname = "s{number}"\naddress = "127.0.0.1:{port}"\n' for number, port in enumerate(ports, 1)
    )
    return (
        f"[engine]\nworkers = {workers}\n"
        f'[[listener]]\nname = "web"\nbind = "{bind}"\nprotocol = "http"\npool = "app"\n'
        f'[[pool]]\nname = "app"\nalgorithm = "round_robin"\n[pool.health_check]\n{check}\n{servers}'
    )


def engine_arguments(folder: Path, text: str, first: str = "") -> list[str]:
    """Write a configuration; return what Python runs an engine with. `first`: what its process does before that."""
    (folder / "lbapp.toml").write_text(text.replace("[engine]\n", f'[engine]\nstate_dir = "{folder}"\n', 1))
    code = (
        "import sys; from pathlib import Path; from lbapp.engine.main import run_engine; "
        "from lbapp.cli.fleet_maker import make_fleet; "
        "sys.exit(run_engine(Path(sys.argv[1]), Path(sys.argv[2]), make_fleet))"
    )
    return ["-c", first + code, str(folder / "lbapp.toml"), str(folder / "control" / "lbapp.sock")]


@contextmanager
def engine(
    folder: Path, text: str, first: str = "", *, is_anew: bool = False, **environment: str
) -> Iterator[EngineProcess]:
    """Run an engine until the end of the block; it must not leave anything behind. `first`: what its process does before.

    `is_anew`: by an interpreter of its own, where the test is about what a process takes from the one that starts it.
    """
    arguments, environment = engine_arguments(folder, text, first), os.environ | environment
    reads, writes = os.pipe()
    process: forked.Process
    if is_anew:
        process = subprocess.Popen([sys.executable, *arguments], stderr=writes, env=environment)
    else:
        process = forked.start(arguments, writes, writes, environment)
    os.close(writes)
    said = os.fdopen(reads)
    log: list[str] = []
    serving = threading.Event()

    def read() -> None:
        for line in said:
            log.append(line)
            if "serving: " in line:
                serving.set()
        serving.set()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        assert serving.wait(START_TIMEOUT_S), "the engine does not serve"
        found = re.search(r"serving: web http 127\.0\.0\.1:(\d+)", "".join(log))
        assert found, "".join(log)
        yield EngineProcess(process, folder / "control" / "lbapp.sock", int(found[1]), log)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join()
        said.close()
