"""The command line in this process, against a real engine in front of real servers."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner, Result

from lbapp.cli.context import Settings
from lbapp.cli.main import cli
from tests.engine.worker.harness import TcpServer, read_head
from tests.system.harness import Engine, listener_toml, pool_toml, running_engine, wait_for

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def run(*arguments: str) -> Result:
    """Run `lbapp` with these arguments."""
    return CliRunner().invoke(cli, arguments, obj=Settings(), prog_name="lbapp")


def run_process(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `lbapp` in a process of its own, without a terminal."""
    command = [sys.executable, "-m", "lbapp", *arguments]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


@dataclass
class Bench:
    """An engine with pool `app` (s1, s2) and pool `api` (s1). Its servers answer once `may_answer` is set."""

    engine: Engine
    may_answer: threading.Event

    def lbapp(self, *arguments: str) -> Result:
        """Run `lbapp` against this engine."""
        return run("--socket", str(self.engine.control), *arguments)

    def send_request(self) -> socket.socket:
        """Send a request and leave it in flight; the connection is the caller's to close."""
        connection = socket.create_connection(("127.0.0.1", self.engine.port()), timeout=20)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        return connection


@contextmanager
def running_bench(folder: Path) -> Iterator[Bench]:
    may_answer = threading.Event()
    may_answer.set()

    def answer(connection: socket.socket) -> None:
        while read_head(connection):
            may_answer.wait(20)
            connection.sendall(ANSWER)

    servers = [TcpServer(answer) for _ in range(3)]
    app = {"s1": servers[0].port, "s2": servers[1].port}
    toml = listener_toml("app") + pool_toml("app", app) + pool_toml("api", {"s1": servers[2].port})
    try:
        with running_engine(folder, toml) as engine:
            # Every first probe is over, so that the newest event is what a test has just done.
            wait_for(
                lambda: all(server["health"] == "up" for pool in engine.status()["pools"] for server in pool["servers"])
            )
            yield Bench(engine, may_answer)
    finally:
        may_answer.set()
        for server in servers:
            server.close()
