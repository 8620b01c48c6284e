"""A real engine under test: started as an operator starts it, asked over its control socket, stopped behind."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import IO, Self, TypeVar

from click.testing import CliRunner

from lbapp.cli.context import Settings
from lbapp.cli.main import cli
from lbapp.control.client import ControlClient
from lbapp.control.messages import ServerStatus, Status
from tests import forked
from tests.engine.worker.harness import TcpServer, answering, read_head
from tests.naps import naps

_Value = TypeVar("_Value")

# A wait costs nothing when what is waited for holds, and a machine that many share may be slow. Shorter than the 30 s after which
# an engine gives up by itself what hangs: else a test that waits for something to end would take that for it.
DEADLINE_S = 25.0
START_TIMEOUT_S = 60.0  # of an engine
_PORT_RANGES, _PORTS_OF_A_RANGE = 10, 2_000
_ports = cycle(random.sample(range(_PORTS_OF_A_RANGE), _PORTS_OF_A_RANGE))
NO_CHECK = '[pool.health_check]\ntype = "none"\n'


def wait_for(what: Callable[[], _Value], timeout_s: float = DEADLINE_S) -> _Value:
    """Return the first true value of `what`; fail when none comes in time."""
    deadline, pauses = time.monotonic() + timeout_s, naps()
    while True:
        value = what()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(next(pauses))


def free_port() -> int:
    """Return a port that nobody listens on, below those that the kernel gives to connections (ip_local_port_range).

    Tests that run at the same time have ranges of their own; each port has its turn, and is free until the engine listens on it.
    """
    range_of_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _PORT_RANGES
    while True:
        port = 12_000 + range_of_worker * _PORTS_OF_A_RANGE + next(_ports)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@dataclass
class Engine:
    """A running engine."""

    process: forked.Process
    control: Path
    log: Path

    def client(self) -> ControlClient:
        return ControlClient(self.control)

    def status(self) -> Status:
        with self.client() as client:
            return client.status()

    def server(self, server_id: str) -> ServerStatus:
        return next(each for pool in self.status()["pools"] for each in pool["servers"] if each["id"] == server_id)

    def port(self, listener: str = "web") -> int:
        found = next(each for each in self.status()["listeners"] if each["name"] == listener)
        return int(found["bind"][0].rpartition(":")[2])

    def worker_pids(self) -> list[int]:
        return [worker["pid"] for worker in self.status()["engine"]["workers"] if worker["phase"] == "serving"]

    def events(self) -> list[str]:
        with self.client() as client:
            return [event["kind"] for event in client.events(limit=1000)]


def engine_command(configuration: Path, control: Path) -> list[str]:
    return [sys.executable, "-m", "lbapp", "run", "-c", str(configuration), "--socket", str(control)]


def start_engine(configuration: Path, control: Path, output: IO[bytes], *, is_anew: bool = False) -> forked.Process:
    """Start an engine; what it says goes to `output`."""
    command = engine_command(configuration, control)
    if is_anew:
        return subprocess.Popen(command, stderr=output, stdout=output)
    return forked.start(command[1:], output.fileno(), output.fileno())


@contextmanager
def running_engine(
    folder: Path, toml: str, state_dir: Path | None = None, *, workers: int = 2, is_anew: bool = False
) -> Iterator[Engine]:
    """Run an engine with this configuration until the block ends. `state_dir` None: the folder.

    `is_anew`: by an interpreter of its own, where the test is about what a start finds or leaves to the next.
    """
    configuration, control, log = folder / "lbapp.toml", folder / "c.sock", folder / "engine.log"
    configuration.write_text(f'[engine]\nworkers = {workers}\nstate_dir = "{state_dir or folder}"\n' + toml)
    with log.open("wb") as output:
        process = start_engine(configuration, control, output, is_anew=is_anew)
    engine = Engine(process, control, log)

    def serves() -> bool:
        assert process.poll() is None, log.read_text()
        return "serving:" in log.read_text()

    try:
        wait_for(serves, START_TIMEOUT_S)
        yield engine
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def lbapp(engine: Engine | Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Do at this engine, or at the one behind this control socket, what an operator does on the command line.

    It is done in this process: an interpreter for each verb takes longer than all else in most tests. That the command is
    also a process of its own, `tests/cli/test_main.py` shows.
    """
    control = engine if isinstance(engine, Path) else engine.control
    command = ["--socket", str(control), *arguments]
    done = CliRunner(catch_exceptions=False).invoke(cli, command, obj=Settings(), prog_name="lbapp")
    return subprocess.CompletedProcess(command, done.exit_code, done.stdout, done.stderr)


def lbapp_says(engine: Engine, *arguments: str) -> str:
    """Do the same, which must not fail; return what is printed."""
    done = lbapp(engine, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def servers(*names: str) -> Iterator[dict[str, int]]:
    """Run servers (without names: s1, s2, s3) that answer with their names; return their ports."""
    with ExitStack() as stack:
        ports = {}
        for name in names or ("s1", "s2", "s3"):
            found = TcpServer(answering(name.encode()))
            stack.callback(found.close)
            ports[name] = found.port
        yield ports


@contextmanager
def waiting_server() -> Iterator[tuple[int, threading.Event]]:
    """Run a server that answers one request of a connection, `slow`, when the event is set; return its port and the event."""
    may_answer = threading.Event()

    def handle(connection: socket.socket) -> None:
        read_head(connection)
        may_answer.wait(60)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")

    server = TcpServer(handle)
    try:
        yield server.port, may_answer
    finally:
        may_answer.set()
        server.close()


def pool_toml(name: str, ports: dict[str, int], *, algorithm: str = "round_robin", extra: str = "") -> str:
    """Return a pool with a quick TCP check; `extra` goes between the pool and its servers."""
    servers = "".join(
        f'[[pool.server]]\nname = "{server}"\naddress = "127.0.0.1:{port}"\n' for server, port in ports.items()
    )
    check = extra or '[pool.health_check]\ntype = "tcp"\ninterval = "500ms"\n'
    return f'[[pool]]\nname = "{name}"\nalgorithm = "{algorithm}"\n{check}{servers}'


def listener_toml(pool: str, *, name: str = "web", protocol: str = "http") -> str:
    return f'[[listener]]\nname = "{name}"\nbind = "127.0.0.1:0"\nprotocol = "{protocol}"\npool = "{pool}"\n'


@dataclass
class Load:
    """Steady traffic from several clients in threads; every request is counted as answered or failed."""

    port: int
    clients: int = 4
    answers: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(self.clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)

    @property
    def answered(self) -> int:
        return sum(self.answers.values())

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                answer = request(self.port)
            except OSError as error:
                with self._lock:
                    self.failures.append(repr(error))
                continue
            status, _, body = answer.partition(b"\r\n\r\n")
            with self._lock:
                if status.startswith(b"HTTP/1.1 200"):
                    name = body.decode()
                    self.answers[name] = self.answers.get(name, 0) + 1
                else:
                    self.failures.append(answer[:200].decode("latin-1"))


def request(port: int, raw: bytes = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n") -> bytes:
    """Send one request on a new connection and return the whole answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(raw)
        answer = b""
        while data := connection.recv(65536):
            answer += data
        if not answer:
            raise OSError("closed without an answer")
        return answer
