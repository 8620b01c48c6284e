"""Another engine on the same sockets: `lbapp upgrade`, and a restart by a service manager that keeps them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lbapp.control.client import ControlClient
from lbapp.model.errors import EngineUnreachable
from tests.engine.worker.harness import TcpServer
from tests.system.harness import (
    Engine,
    Load,
    free_port,
    listener_toml,
    pool_toml,
    request,
    running_engine,
    servers,
    wait_for,
)
from tests.system.service_manager import ServiceManager

pytestmark = pytest.mark.system

CHECK = '[pool.health_check]\ntype = "tcp"\ninterval = "30s"\nfast_interval = "100ms"\nfall = 1\nrise = 1\n'


@contextmanager
def upgradable(folder: Path, toml: str) -> Iterator[Engine]:
    """Run an engine whose successors are ended with it."""
    with running_engine(folder, toml) as engine:
        try:
            yield engine
        finally:
            pid = engine.status()["engine"]["pid"]
            os.kill(pid, signal.SIGTERM)
            wait_for(lambda: not Path(f"/proc/{pid}").exists() or engine.process.poll() is not None)
            wait_for(lambda: not _answers(engine))


def _answers(engine: Engine) -> bool:
    try:
        engine.status()
    except EngineUnreachable:
        return False
    return True


def lbapp(control: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lbapp", "--socket", str(control), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)


def test_upgrades_under_load_fail_no_request_and_keep_what_is_known(tmp_path: Path) -> None:
    def echo(connection: socket.socket) -> None:
        while data := connection.recv(100):
            connection.sendall(data)

    raw = TcpServer(echo)
    with servers() as ports:
        gone = {**ports, "s9": free_port()}
        toml = listener_toml("app") + pool_toml("app", gone, extra=CHECK)
        toml += listener_toml("raw", name="raw", protocol="tcp") + pool_toml("raw", {"r": raw.port}, extra=CHECK)
        with upgradable(tmp_path, toml) as engine:
            wait_for(lambda: engine.server("app/s9")["health"] == "down")
            assert lbapp(engine.control, "drain", "app/s1", "--timeout", "1h").returncode == 0
            assert lbapp(engine.control, "weight", "app/s2", "7").returncode == 0
            before, port = engine.server("app/s9"), engine.port()
            with socket.create_connection(("127.0.0.1", engine.port("raw")), timeout=20) as tunnel, Load(port) as load:
                pids = [engine.process.pid]
                for _ in range(3):
                    done = lbapp(engine.control, "upgrade", "--reason", "a better one")
                    assert done.returncode == 0, done.stderr
                    tunnel.sendall(b"still there")
                    assert tunnel.recv(100) == b"still there"
                    pids.append(engine.status()["engine"]["pid"])
                    answered = load.answered
                    wait_for(lambda seen=answered: load.answered > seen + 50)  # type: ignore[misc]
            assert load.failures == []
            assert len(set(pids)) == 4
            assert engine.port() == port
            after = engine.server("app/s9")
            assert (after["health"], after["health_since"]) == ("down", before["health_since"])
            assert (engine.server("app/s1")["admin"], engine.server("app/s2")["weight"]) == ("drain", 7)
            assert engine.events().count("node_took_over") == 3
            wait_for(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in pids[1:3]))
            assert engine.process.wait(20) == 0
    raw.close()


def test_upgrade_changes_the_number_of_workers_which_a_reload_cannot(tmp_path: Path) -> None:
    configuration = tmp_path / "lbapp.toml"
    with servers() as ports, upgradable(tmp_path, listener_toml("app") + pool_toml("app", ports)) as engine:
        text = configuration.read_text()
        with Load(engine.port()) as load:
            for count in (3, 1):
                configuration.write_text(text.replace("workers = 2", f"workers = {count}"))
                assert lbapp(engine.control, "reload").returncode == 1
                assert lbapp(engine.control, "upgrade").returncode == 0
                assert len(engine.worker_pids()) == count
                answered = load.answered
                wait_for(lambda seen=answered: load.answered > seen + 50)  # type: ignore[misc]
        assert load.failures == []


def test_upgrade_that_fails_changes_nothing_and_says_why(tmp_path: Path) -> None:
    configuration = tmp_path / "lbapp.toml"
    with servers() as ports, running_engine(tmp_path, listener_toml("app") + pool_toml("app", ports)) as engine:
        sound = configuration.read_text()
        configuration.write_text(sound + "nonsense = 1\n")
        done = lbapp(engine.control, "upgrade")
        assert done.returncode == 1
        assert "the next engine does not come to serve" in done.stderr
        assert 'unknown key "nonsense"' in done.stderr
        with socket.create_server(("127.0.0.1", 0)) as taken:
            bind = f"127.0.0.1:{taken.getsockname()[1]}"
            configuration.write_text(f'{sound}[[listener]]\nname = "more"\nbind = "{bind}"\npool = "app"\n')
            done = lbapp(engine.control, "upgrade")
        assert done.returncode == 1
        assert "address already in use" in done.stderr
        assert engine.status()["engine"]["pid"] == engine.process.pid
        assert lbapp(engine.control, "weight", "app/s1", "3").returncode == 0, "the journal is this engine's again"
        assert request(engine.port()).startswith(b"HTTP/1.1 200")
        assert engine.control.exists()
        assert engine.events().count("upgrade_failed") == 2


def test_clients_wait_while_a_service_manager_starts_a_killed_engine_again(tmp_path: Path) -> None:
    port, control, waits, faults = free_port(), tmp_path / "c.sock", list[float](), list[str]()
    with servers() as ports:
        toml = f'[engine]\nworkers = 2\nstate_dir = "{tmp_path}"\n' + pool_toml("app", ports, extra=CHECK)
        toml += f'[[listener]]\nname = "web"\nbind = "127.0.0.1:{port}"\npool = "app"\n'
        (tmp_path / "lbapp.toml").write_text(toml)
        arguments = ["-m", "lbapp", "run", "-c", str(tmp_path / "lbapp.toml"), "--socket", str(control)]
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                began = time.monotonic()
                try:
                    answer = request(port)
                    if not answer.startswith(b"HTTP/1.1 200"):
                        faults.append(answer[:60].decode())
                except OSError as error:
                    faults.append(repr(error))
                waits.append(time.monotonic() - began)

        with ServiceManager(tmp_path, arguments) as manager:
            wait_for(lambda: any("READY=1" in each for each in manager.said))
            assert sorted(name.partition(".")[2].partition(".")[0] for name in manager.stored) == ["0", "1", "control"]
            assert lbapp(control, "weight", "app/s1", "9").returncode == 0
            asking = [threading.Thread(target=ask) for _ in range(4)]
            for thread in asking:
                thread.start()
            for number in range(5):
                manager.kill()
                manager.start()
                wait_for(lambda wanted=number + 2: sum("READY=1" in each for each in manager.said) == wanted)  # type: ignore[misc]
                with ControlClient(control) as client:
                    (pool,) = client.status()["pools"]
                assert [each["weight"] for each in pool["servers"]] == [9, 100, 100]
            stop.set()
            for thread in asking:
                thread.join(30)
        assert faults == []


def test_socket_of_the_service_manager_is_used_for_its_address_and_another_is_closed(tmp_path: Path) -> None:
    control = tmp_path / "c.sock"
    with (
        servers() as ports,
        socket.create_server(("127.0.0.1", 0)) as wanted,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        port = wanted.getsockname()[1]
        toml = f'[engine]\nworkers = 2\nstate_dir = "{tmp_path}"\n' + pool_toml("app", ports, extra=CHECK)
        toml += f'[[listener]]\nname = "web"\nbind = "127.0.0.1:{port}"\npool = "app"\n'
        (tmp_path / "lbapp.toml").write_text(toml)
        manager = ServiceManager(
            tmp_path, ["-m", "lbapp", "run", "-c", str(tmp_path / "lbapp.toml"), "--socket", str(control)]
        )
        manager.stored = {"web.socket": os.dup(wanted.fileno()), "": os.dup(other.fileno())}
        with manager:
            wait_for(lambda: any("READY=1" in each for each in manager.said))
            assert request(port).startswith(b"HTTP/1.1 200")
            with ControlClient(control) as client:
                events = client.events(limit=100)
            assert [each["kind"] for each in events].count("socket_not_used") == 1


def test_next_engine_goes_on_when_the_one_before_is_killed_while_it_starts(tmp_path: Path) -> None:
    with servers() as ports, running_engine(tmp_path, listener_toml("app") + pool_toml("app", ports)) as engine:
        port = engine.port()
        with subprocess.Popen(
            [sys.executable, "-m", "lbapp", "--socket", str(engine.control), "upgrade"], stderr=subprocess.DEVNULL
        ) as asking:
            # Its workers serve, and it is about to say so: their events stand in the log that both write to.
            wait_for(lambda: engine.log.read_text().count("worker_started") >= 3)
            engine.process.kill()
            asking.wait(60)
        wait_for(lambda: _answers(engine))
        wait_for(lambda: engine.status()["engine"]["pid"] != engine.process.pid)
        assert request(port).startswith(b"HTTP/1.1 200")
        pid = engine.status()["engine"]["pid"]
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not _answers(engine))
