"""`lbapp dns` as a process, beside a real name server: it begins, follows its node, is killed, begins again, and ends."""

from __future__ import annotations

import base64
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.cli.harness import run
from tests.cluster.dns.support import StandInEngine
from tests.lateness import lateness
from tests.name_servers import NAME, NOTES, PROGRAMS, SECRET, ZONE, NameServer, missing, name_server
from tests.system import harness

pytestmark = pytest.mark.system
# On a machine that is very busy a process alone takes 15 s to start.
wait_for = partial(harness.wait_for, timeout_s=60.0)


@dataclass
class Running:
    """A `lbapp dns` at work."""

    process: subprocess.Popen[bytes]
    log_file: Path

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def stop(self, by: signal.Signals = signal.SIGTERM) -> int:
        """End it as a service manager does, or a terminal that is closed; return its exit status."""
        self.process.send_signal(by)
        return self.process.wait(30)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(20)


def write_file(folder: Path, number: int, port: int, **more: str) -> Path:
    """Write the file of one node; `more`: keys with their TOML."""
    secret = folder / "dns.key"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    keys = {
        "name": f'"{NAME}"',
        "zone": f'"{ZONE}"',
        "server": f'"127.0.0.1:{port}"',
        "addresses": f'["192.0.2.{number}", "2001:db8::{number}"]',
        "node": f'"lb{number}"',
        "ttl": '"2s"',
        "interval": '"100ms"',
        "refresh": '"1s"',
        **more,
    }
    path = folder / f"dns{number}.toml"
    lines = "".join(f"{key} = {value}\n" for key, value in keys.items())
    path.write_text(f'{lines}[key]\nname = "lbapp"\nsecret_file = "{secret}"\n')
    return path


@contextmanager
def lbapp_dns(file: Path, socket: Path) -> Iterator[Running]:
    """Run `lbapp dns` until the block ends. `socket`: of its engine."""
    log = file.with_suffix(".log")
    command = [sys.executable, "-m", "lbapp", "dns", "-c", str(file), "--socket", str(socket)]
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    running = Running(process, log)
    try:
        yield running
    finally:
        if process.poll() is None:
            running.kill()


@pytest.fixture(params=PROGRAMS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NameServer]:
    if why := missing(request.param):
        pytest.skip(why)
    with name_server(request.param, tmp_path / request.param) as found:
        yield found


@pytest.fixture
def one(tmp_path: Path) -> Iterator[StandInEngine]:
    with StandInEngine(tmp_path / "one.sock").running() as engine:
        yield engine


@pytest.fixture
def two(tmp_path: Path) -> Iterator[StandInEngine]:
    with StandInEngine(tmp_path / "two.sock").running() as engine:
        yield engine


class Resolver:
    """A resolver that keeps what it was told for its TTL, as those of clients do."""

    def __init__(self, server: NameServer) -> None:
        self._server = server
        self._kept: list[str] = []
        self._until = 0.0

    def addresses(self) -> list[str]:
        if time.monotonic() >= self._until:
            self._kept = self._server.has()
            self._until = time.monotonic() + (self._server.ttl() if self._kept else 0)
        return self._kept


def test_clients_follow_the_health_of_a_node_within_the_ttl_and_a_second(
    server: NameServer, one: StandInEngine, two: StandInEngine, tmp_path: Path
) -> None:
    files = [write_file(tmp_path, number, server.port) for number in (1, 2)]
    resolver = Resolver(server)
    late_s = 1.0 if server.kind == "knot" else 0.0  # it takes an update that late, about once in 200 times
    with lateness() as machine, lbapp_dns(files[0], one.path) as first, lbapp_dns(files[1], two.path):
        wait_for(lambda: resolver.addresses() == ["192.0.2.1", "192.0.2.2"])
        one.is_ready, one.reasons = False, ["pool app has no server"]
        began = time.time()
        wait_for(lambda: resolver.addresses() == ["192.0.2.2"])
        assert time.time() - began <= 2 + 1 + late_s + machine.since(began)
        one.is_ready = True
        began = time.time()
        wait_for(lambda: resolver.addresses() == ["192.0.2.1", "192.0.2.2"])
        assert time.time() - began <= 2 + 1 + late_s + machine.since(began)
        wait_for(lambda: first.log.count(f"{NAME}: 2001:db8::1 in (TTL 2 s)") == 2)
        assert f"{NAME}: 192.0.2.1 out (pool app has no server)" in first.log


def test_stopped_publisher_takes_its_own_out_and_the_last_one_leaves_its_own(
    server: NameServer, one: StandInEngine, two: StandInEngine, tmp_path: Path
) -> None:
    files = [write_file(tmp_path, number, server.port) for number in (1, 2)]
    with lbapp_dns(files[0], one.path) as first, lbapp_dns(files[1], two.path) as second:
        wait_for(lambda: server.has("AAAA") == ["2001:db8::1", "2001:db8::2"])
        assert first.stop(signal.SIGHUP) == 0
        assert (server.has(), server.has("AAAA")) == (["192.0.2.2"], ["2001:db8::2"])
        wait_for(lambda: one.says("state") == "withdrawn")
        assert second.stop() == 0
        assert (server.has(), server.has("AAAA")) == (["192.0.2.2"], ["2001:db8::2"])
        assert "stays, though it should not" in second.log


def test_publisher_that_was_killed_begins_by_looking_and_writes_nothing_that_is_right(
    server: NameServer, one: StandInEngine, tmp_path: Path
) -> None:
    file = write_file(tmp_path, 1, server.port)
    with lbapp_dns(file, one.path) as first:
        wait_for(lambda: server.has() == ["192.0.2.1"] and one.says("state") == "published")
        first.kill()
    updates, notes, asked = server.updates(), server.has("TXT", NOTES), len(one.asked)
    with lbapp_dns(file, one.path):
        wait_for(lambda: len(one.asked) > asked + 20)  # two seconds and more, so several looks
        assert one.says("state") == "published"
        assert (server.updates(), server.has("TXT", NOTES)) == (updates, notes)


def test_engine_that_is_gone_has_its_records_taken_out_and_put_back(
    server: NameServer, two: StandInEngine, tmp_path: Path
) -> None:
    files = [write_file(tmp_path, number, server.port) for number in (1, 2)]
    one = StandInEngine(tmp_path / "one.sock")
    with lbapp_dns(files[0], one.path) as first, lbapp_dns(files[1], two.path):
        with one.running():
            wait_for(lambda: server.has() == ["192.0.2.1", "192.0.2.2"])
        wait_for(lambda: server.has() == ["192.0.2.2"])
        wait_for(lambda: "192.0.2.1 out (no engine answers on" in first.log)
        with one.running():
            wait_for(lambda: server.has() == ["192.0.2.1", "192.0.2.2"])
            assert first.stop() == 0


def test_server_that_is_killed_or_frozen_is_waited_for(server: NameServer, one: StandInEngine, tmp_path: Path) -> None:
    with lbapp_dns(write_file(tmp_path, 1, server.port), one.path) as publisher:
        wait_for(lambda: one.says("state") == "published")
        server.kill()
        wait_for(lambda: one.says("state") == "failed")
        server.start()
        wait_for(lambda: one.says("state") == "published")
        assert server.has() == ["192.0.2.1"]
        server.freeze()
        wait_for(lambda: one.says("state") == "failed")
        server.thaw()
        wait_for(lambda: one.says("state") == "published")
        wait_for(lambda: publisher.log.count("answers again") == 2)
        assert publisher.log.count("ERROR") == 2


@pytest.mark.parametrize(("more", "word"), [({"name": '"mail.lb.test"'}, "key lbapp"), ({}, "(BADSIG)")])
def test_what_is_wrong_with_the_key_or_its_rights_is_said_once(
    server: NameServer, one: StandInEngine, tmp_path: Path, more: dict[str, str], word: str
) -> None:
    file = write_file(tmp_path, 1, server.port, **more)
    if not more:
        (tmp_path / "dns.key").write_text(base64.b64encode(b"another secret of 16 bytes").decode())
    with lbapp_dns(file, one.path) as publisher:
        wait_for(lambda: one.says("state") == "failed")
        asked = len(one.asked)
        wait_for(lambda: len(one.asked) > asked + 30)  # three seconds and more
        assert publisher.log.count("ERROR") == 1
        assert word in publisher.log
        assert word in one.says("problem")
        # Where only writing is refused it can be seen that there is nothing to take out.
        assert publisher.stop() == (0 if more else 1)


def test_file_that_is_wrong_is_said_with_its_lines(tmp_path: Path) -> None:
    file = write_file(tmp_path, 1, 53)
    done = run("dns", "-c", str(file), "--check")
    assert done.exit_code == 0
    assert done.stdout == f"{file} is valid: 192.0.2.1, 2001:db8::1 at {NAME}\n"
    file.write_text(file.read_text().replace('ttl = "2s"', "ttl = 2"))
    done = run("dns", "-c", str(file))
    assert done.exit_code == 2
    assert f"{file}:6: ttl: 2 is not a duration" in done.stderr
