from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from tests.engine.supervisor.support import DEADLINE_S, Backend, engine, engine_arguments, toml

pytestmark = pytest.mark.system


def test_engine_serves_says_so_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with Backend("hello") as backend, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(DEADLINE_S)
        with engine(tmp_path, toml([backend.port], workers=2), NOTIFY_SOCKET=str(tmp_path / "notify")) as own:
            assert b"READY=1" in [manager.recv(1000) for _ in range(4)], "beside the sockets that are to be kept"
            assert own.get().text == "hello"
            (line,) = [line for line in own.log if "serving: " in line]
            assert f"web http 127.0.0.1:{own.port} -> app; 2 workers; control socket {own.socket}" in line
            with own.control() as control:
                pids = [worker["pid"] for worker in control.get("/v1/workers").json()["workers"]]
            assert own.stop() == 0
            assert manager.recv(100) == b"STOPPING=1"
            assert not own.socket.exists()
            assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
            with pytest.raises(httpx.ConnectError):
                own.get()


def test_stop_finishes_the_request_in_flight_and_the_api_shows_the_drain(tmp_path: Path) -> None:
    with Backend("slow") as backend, engine(tmp_path, toml([backend.port])) as own:
        answers: list[str] = []
        asking = threading.Thread(target=lambda: answers.append(own.get("/slow").text))
        asking.start()
        own.wait_for(lambda: backend.requests == 1)
        with own.control() as control:
            assert control.post("/v1/stop", json={"timeout_s": 8}).json() == {"accepted": True}
            own.wait_for(lambda: control.get("/v1/status").json()["engine"]["phase"] == "draining")
        backend.gate.set()
        assert own.process.wait(DEADLINE_S) == 0
        asking.join()
        assert answers == ["slow"]


def test_second_signal_does_not_wait_for_what_is_in_flight(tmp_path: Path) -> None:
    with Backend("slow") as backend, engine(tmp_path, toml([backend.port])) as own:
        failures: list[Exception] = []

        def ask() -> None:
            try:
                own.get("/slow")
            except httpx.HTTPError as error:
                failures.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        own.wait_for(lambda: backend.requests == 1)
        own.process.send_signal(signal.SIGINT)
        own.wait_for(lambda: any("node_draining" in line for line in own.log))
        own.process.send_signal(signal.SIGINT)
        assert own.process.wait(DEADLINE_S) == 0
        asking.join()
        assert len(failures) == 1


ERROR_ON_SIGUSR1 = """
import signal, anyio
from lbapp.engine.supervisor.overload import OverloadWatch
async def run(self):
    with anyio.open_signal_receiver(signal.SIGUSR1) as signals:
        async for _ in signals:
            raise LookupError("nobody foresaw this")
OverloadWatch.run = run
"""


def test_error_of_its_own_is_said_and_the_workers_finish_what_is_in_flight(tmp_path: Path) -> None:
    with Backend("slow") as backend, engine(tmp_path, toml([backend.port]), ERROR_ON_SIGUSR1) as own:
        answers: list[str] = []
        asking = threading.Thread(target=lambda: answers.append(own.get("/slow").text))
        asking.start()
        own.wait_for(lambda: backend.requests == 1)
        with own.control() as control:
            (worker,) = control.get("/v1/workers").json()["workers"]
        own.process.send_signal(signal.SIGUSR1)
        assert own.process.wait(DEADLINE_S) == 1
        assert Path(f"/proc/{worker['pid']}").exists()
        backend.gate.set()
        asking.join()
        assert answers == ["slow"]
        own.wait_for(lambda: not is_running(worker["pid"]))
    log = "".join(own.log)
    assert "CRITICAL an error in lbapp itself ends the engine; its workers finish what they have" in log
    assert "LookupError: nobody foresaw this" in log
    assert "the supervisor is gone; draining" in log


def is_running(pid: int) -> bool:
    """Say whether there is such a process that has not ended: nobody may be there to take note of its end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_client_that_comes_during_the_drain_is_refused_at_once(tmp_path: Path) -> None:
    with Backend("slow") as backend, engine(tmp_path, toml([backend.port], workers=2)) as own:
        answers: list[str] = []
        asking = threading.Thread(target=lambda: answers.append(own.get("/slow").text))
        asking.start()
        own.wait_for(lambda: backend.requests == 1)
        own.process.send_signal(signal.SIGTERM)

        def is_refused() -> bool:
            try:
                socket.create_connection(("127.0.0.1", own.port), timeout=5).close()
            except ConnectionRefusedError:
                return True
            return False

        own.wait_for(is_refused, "the refusal")
        assert own.process.poll() is None
        backend.gate.set()
        asking.join()
        assert answers == ["slow"]
        assert own.process.wait(DEADLINE_S) == 0


def test_engine_under_nohup_outlives_the_terminal(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Backend() as backend, engine(tmp_path, toml([backend.port]), is_anew=True) as own:
            own.process.send_signal(signal.SIGHUP)
            own.wait_for(lambda: any("SIGHUP: the file is what serves already" in line for line in own.log))
            assert own.get().status_code == 200
            assert own.stop() == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_engine_on_a_terminal_leaves_with_it(tmp_path: Path) -> None:
    master, slave = os.openpty()
    with Backend() as backend:
        (tmp_path / "lbapp.toml").write_text(
            toml([backend.port]).replace("[engine]", f'[engine]\nstate_dir = "{tmp_path}"')
        )
        command = [
            sys.executable,
            "-m",
            "lbapp",
            "--socket",
            str(tmp_path / "c.sock"),
            "run",
            "-c",
            str(tmp_path / "lbapp.toml"),
        ]
        process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        shown = b""
        while b"serving: " not in shown:
            shown += os.read(master, 65536)
        os.close(master)
        process.send_signal(signal.SIGHUP)  # the kernel would, if it were the controlling terminal
        assert process.wait(DEADLINE_S) == 0


def test_workers_take_no_modules_from_the_folder_the_engine_is_started_in(tmp_path: Path) -> None:
    (tmp_path / "h11.py").write_text("raise RuntimeError('not the h11 that lbapp means')")
    command = [str(Path(sys.executable).parent / "lbapp"), "run", "-c", str(tmp_path / "lbapp.toml")]
    with Backend("hello") as backend:
        (tmp_path / "lbapp.toml").write_text(toml([backend.port]))
        environment = os.environ | {"LBAPP_SOCKET": str(tmp_path / "control.sock")}
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=environment)
        assert process.stderr is not None
        with process.stderr:
            line = next((line for line in process.stderr if "serving: " in line or "Error" in line), "")
            process.send_signal(signal.SIGTERM)
            process.stderr.read()
        assert process.wait(DEADLINE_S) == 0
    assert "serving: " in line


def test_overdue_drain_ends_the_connections_of_a_server_by_force(tmp_path: Path) -> None:
    with Backend("slow") as backend, engine(tmp_path, toml([backend.port])) as own, own.control() as control:
        answers: list[int] = []
        asking = threading.Thread(target=lambda: answers.append(own.get("/slow").status_code))
        asking.start()
        own.wait_for(lambda: backend.requests == 1)
        control.patch("/v1/pools/app/servers/s1", json={"state": "drain", "drain_timeout_s": 0.2, "force": True})
        asking.join(DEADLINE_S)
        assert answers == [503]
        own.wait_for(lambda: any("server_drained" in line for line in own.log))
        assert any("drain_timed_out" in line for line in own.log)


def test_watches_end_with_the_engine(tmp_path: Path) -> None:
    with Backend() as backend, engine(tmp_path, toml([backend.port])) as own:
        with own.control() as control, control.stream("GET", "/v1/watch") as answer:
            lines = answer.iter_lines()
            next(lines)
            own.process.send_signal(signal.SIGTERM)
            assert '"phase":"draining"' in list(lines)[-1]
        assert own.process.wait(DEADLINE_S) == 0


def ended(folder: Path, text: str) -> tuple[int, str]:
    command = [sys.executable, *engine_arguments(folder, text)]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=25, check=False)
    return done.returncode, done.stderr


def test_port_in_use_is_status_1_and_nothing_is_left(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        status, said = ended(tmp_path, toml([1], bind=f"127.0.0.1:{port}"))
    assert status == 1
    assert said.startswith(f"cannot listen on 127.0.0.1:{port} (listener web): address already in use")
    assert said.count("\n") == 1
    assert not (tmp_path / "control" / "lbapp.sock").exists()


def test_second_engine_on_the_same_control_socket_is_status_1(tmp_path: Path) -> None:
    with Backend() as backend, engine(tmp_path, toml([backend.port])) as own:
        status, said = ended(tmp_path, toml([backend.port]))
        assert (status, said.count("\n")) == (1, 1)
        assert "another engine answers there" in said
        with own.control() as control:
            assert control.get("/v1/status").status_code == 200


def test_invalid_configuration_is_status_2_with_every_problem(tmp_path: Path) -> None:
    status, said = ended(tmp_path, toml([1]).replace("round_robin", "sideways").replace('pool = "app"', 'pool = "b"'))
    assert status == 2
    assert "lbapp.toml:" in said
    assert "Traceback" not in said
