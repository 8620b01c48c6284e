"""The demo works, and leaves nothing behind however it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from lbapp.cli.demo.configuration import configuration
from lbapp.cli.demo.servers import ECHOES, SPEEDS_S
from lbapp.control.client import ControlClient
from lbapp.control.messages import Status
from tests.children import child
from tests.system.harness import request, wait_for

pytestmark = pytest.mark.system


@dataclass
class Demo:
    """A headless demo that serves. `children` are all processes below it; its folder is in `folder`."""

    process: subprocess.Popen[str]
    folder: Path
    http: int
    control: Path
    children: list[psutil.Process]

    def status(self) -> Status:
        with ControlClient(self.control) as client:
            return client.status()

    def child(self, name: str) -> psutil.Process:
        return next(each for each in self.children if f"lbapp.cli.demo.{name}" in " ".join(each.cmdline()))

    def is_gone(self) -> bool:
        """Say whether no process, no folder and no open port is left."""
        left = [each for each in self.children if lives(each)]
        return not left and not list(self.folder.iterdir()) and not is_open(self.http)


def lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False  # it has ended in between


def is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


@contextmanager
def running_demo(*arguments: str) -> Iterator[Demo]:
    # Not tmp_path: the path of a Unix socket has room for 107 bytes only.
    with tempfile.TemporaryDirectory(prefix="lbt-") as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "lbapp", "demo", "--headless", *arguments],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": folder, "PYTHONUNBUFFERED": "1"},
        )
        with process:
            assert process.stdout is not None
            http = int(process.stdout.readline().split(",")[0].rpartition(":")[2])
            control = next(Path(folder).glob("*/control.sock"))
            children = psutil.Process(process.pid).children(recursive=True)
            demo = Demo(process, Path(folder), http, control, children)
            try:
                yield demo
                wait_for(demo.is_gone)
            finally:
                process.kill()
                for child in children:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        child.kill()


def test_demo_carries_traffic_over_http_and_tcp() -> None:
    with running_demo("--duration", "60") as demo:
        assert request(demo.http).startswith(b"HTTP/1.1 200")

        def has_traffic() -> bool:
            web, echo = demo.status()["listeners"]
            return web["requests_total"] > 200 and echo["bytes_out_total"] > 0

        wait_for(has_traffic)
        pools = {pool["name"]: pool for pool in demo.status()["pools"]}
        assert [server["name"] for server in pools["app"]["servers"]] == ["fast", "medium", "slow", "moody"]
        assert all(server["requests_total"] for server in pools["app"]["servers"])
        demo.process.send_signal(signal.SIGINT)
        assert demo.process.wait(25) == 0


def test_demo_ends_by_itself_after_its_duration() -> None:
    with running_demo("--duration", "3") as demo:
        assert demo.process.wait(25) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_demo_leaves_nothing_behind_when_it_gets(number: signal.Signals) -> None:
    with running_demo() as demo:
        assert len(demo.children) == 6  # keeper, servers, engine, two workers, traffic
        demo.process.send_signal(number)
        demo.process.wait(15)


@pytest.mark.parametrize("name", ["keeper", "engine"])
def test_demo_leaves_nothing_behind_when_a_part_of_it_is_killed(name: str) -> None:
    with running_demo() as demo:
        demo.child(name).kill()
        demo.process.wait(15)


@pytest.mark.parametrize("end", ["q", signal.SIGTERM, signal.SIGHUP])
def test_demo_on_a_terminal_draws_the_console_and_gives_the_terminal_back(end: str | signal.Signals) -> None:
    terminal, side = os.openpty()
    termios.tcsetwinsize(side, (24, 80))
    drawn = bytearray()

    def read() -> None:
        try:
            while data := os.read(terminal, 65536):
                drawn.extend(data)
        except OSError:
            return  # the demo has closed its side

    with tempfile.TemporaryDirectory(prefix="lbt-") as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "lbapp", "demo"],
            stdin=side,
            stdout=side,
            stderr=side,
            env={**os.environ, "TMPDIR": folder, "TERM": "xterm-256color"},
        )
        os.close(side)
        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        wait_for(lambda: b"least_connections" in drawn or b"4/4" in drawn)
        children = psutil.Process(process.pid).children(recursive=True)
        if isinstance(end, str):
            os.write(terminal, end.encode())
        else:
            process.send_signal(end)
        assert process.wait(25) == 0
        wait_for(lambda: not any(child.is_running() for child in children) and not list(Path(folder).iterdir()))
    reader.join(5)
    os.close(terminal)
    assert b"\x1b[?1049l" in drawn  # back from the alternate screen


def test_engine_of_the_demo_leaves_in_order_and_is_not_aborted() -> None:
    with tempfile.TemporaryDirectory(prefix="lbt-") as folder:
        ports = dict.fromkeys((*SPEEDS_S, *ECHOES), 1)  # nobody answers there
        Path(folder, "lbapp.toml").write_text(configuration(ports, folder))
        command = [sys.executable, "-m", "lbapp.cli.demo.engine", folder]
        with child(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as engine:
            assert engine.stderr is not None
            while "serving:" not in (line := engine.stderr.readline()):
                assert line, "the engine has ended"
            engine.terminate()
            assert engine.wait(25) == 0
