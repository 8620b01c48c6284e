"""`lbapp dns` that hangs: its service manager hears nothing more of it, and it ends, so that another one takes its place."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.cluster.dns.support import StandInEngine
from tests.cluster.watchdog import Watchdog
from tests.name_servers import PROGRAMS, NameServer, missing, name_server
from tests.system.test_dns import wait_for, write_file

pytestmark = pytest.mark.system
UNIT = Path(__file__).parents[2] / "packaging/systemd/lbapp-dns.service"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NameServer]:
    there = [each for each in PROGRAMS if not missing(each)]
    if not there:
        pytest.skip("no name server is installed")
    with name_server(there[0], tmp_path / "server") as found:
        yield found


@pytest.fixture
def one(tmp_path: Path) -> Iterator[StandInEngine]:
    with StandInEngine(tmp_path / "one.sock").running() as engine:
        yield engine


@contextmanager
def started(file: Path, socket: Path, unit: Watchdog, log: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run `lbapp dns` as its unit does until the block ends. `log`: the descriptor that its log goes to."""
    command = [sys.executable, "-m", "lbapp", "dns", "-c", str(file), "--socket", str(socket)]
    process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | unit.environment)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(20)


def test_publisher_that_was_stopped_is_noticed_and_the_next_one_does_what_it_could_not(
    server: NameServer, one: StandInEngine, tmp_path: Path
) -> None:
    file = write_file(tmp_path, 1, server.port)
    one.is_ready, one.reasons = False, ["the node drains"]
    with Watchdog(tmp_path, 4.0) as unit, (tmp_path / "log").open("wb") as log:
        with started(file, one.path, unit, log.fileno()) as process:
            assert unit.hear(60) == "READY=1"
            wait_for(lambda: one.says("state") == "withdrawn")
            assert [unit.hear(4.0) for _ in range(3)] == ["WATCHDOG=1"] * 3
            process.send_signal(signal.SIGSTOP)
            one.is_ready = True
            unit.wait_for_silence()
            assert server.has() == [], "nobody puts it in"
            process.send_signal(signal.SIGCONT)
            assert process.wait(20) == -signal.SIGALRM, (
                "one that goes on after that does not go on with what it had in mind"
            )
        with started(file, one.path, unit, log.fileno()):
            wait_for(lambda: server.has() == ["192.0.2.1"])


def test_publisher_that_waits_for_its_log_for_ever_ends_by_itself(
    server: NameServer, one: StandInEngine, tmp_path: Path
) -> None:
    file = write_file(tmp_path, 1, server.port)
    one.is_ready, one.reasons = False, ["the node drains"]
    reads, writes = os.pipe()
    with Watchdog(tmp_path, 4.0) as unit, started(file, one.path, unit, writes) as process:
        assert unit.hear(60) == "READY=1"
        wait_for(lambda: one.says("state") == "withdrawn")
        fill(writes)
        one.is_ready = True  # which it wants to say
        assert process.wait(30) == -signal.SIGALRM
    os.close(reads)
    os.close(writes)


def fill(writes: int) -> None:
    """Leave no room in a pipe that nobody reads. Who has it already waits for room, as before."""
    own = os.open(f"/proc/self/fd/{writes}", os.O_WRONLY | os.O_NONBLOCK)
    for data in (b"x" * 4096, b"x"):
        with suppress(BlockingIOError):
            while True:
                os.write(own, data)
    os.close(own)


def test_publisher_that_is_stopped_in_order_says_so_and_has_the_time_that_it_needs(
    server: NameServer, one: StandInEngine, tmp_path: Path
) -> None:
    file = write_file(tmp_path, 1, server.port)
    with Watchdog(tmp_path, 4.0) as unit, (tmp_path / "log").open("wb") as log:
        with started(file, one.path, unit, log.fileno()) as process:
            wait_for(lambda: one.says("state") == "published")
            server.freeze()
            process.terminate()
            wait_for(
                lambda: "has not answered within 5 s" in (tmp_path / "log").read_text()
            )  # longer than the watchdog waits
            server.thaw()
            assert process.wait(30) == 0
        said = set()
        while word := unit.hear(0.5):
            said.add(word)
        assert said == {"READY=1", "WATCHDOG=1", "STOPPING=1"}


def test_the_unit_has_its_watchdog_kill_what_is_stopped_and_start_it_again() -> None:
    lines = UNIT.read_text().splitlines()
    keys = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    found = keys["Type"], keys["WatchdogSignal"], keys["Restart"], keys["StartLimitIntervalSec"]
    assert found == ("notify", "SIGKILL", "on-failure", "0")
    assert keys["WatchdogSec"] == "40s"
