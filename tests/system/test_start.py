"""Starting: whole or not at all, with one clear sentence."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lbapp.control.client import ControlClient
from tests.children import child
from tests.engine.worker.harness import TcpServer, answering
from tests.journal_stream import JournalStream
from tests.system.harness import (
    engine_command,
    free_port,
    lbapp,
    listener_toml,
    pool_toml,
    running_engine,
    wait_for,
)

pytestmark = pytest.mark.system


def start(folder: Path, toml: str) -> subprocess.CompletedProcess[str]:
    (folder / "lbapp.toml").write_text(toml)
    return subprocess.run(
        engine_command(folder / "lbapp.toml", folder / "c.sock"),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_port_in_use_is_one_sentence_and_status_1(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        toml = listener_toml("app").replace(":0", f":{port}") + pool_toml("app", {"s": free_port()})
        done = start(tmp_path, toml)
    assert done.returncode == 1
    assert f"127.0.0.1:{port}" in done.stderr
    assert "in use" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "c.sock").exists()


def test_invalid_file_names_every_problem_and_status_2(tmp_path: Path) -> None:
    toml = listener_toml("nope") + pool_toml("app", {"s": 1}).replace("round_robin", "round_robbin")
    done = start(tmp_path, toml)
    assert done.returncode == 2
    assert "lbapp.toml:8: pool[0].algorithm: 'round_robbin' is not known" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_line_of_engines_and_workers_has_its_priority_in_the_journal(tmp_path: Path) -> None:
    backend, control = TcpServer(answering()), tmp_path / "c.sock"
    check = '[pool.health_check]\ntype = "tcp"\ninterval = "100ms"\nfall = 1\n'
    toml = listener_toml("app") + pool_toml("app", {"s": backend.port}, extra=check)
    (tmp_path / "lbapp.toml").write_text(f'[engine]\nworkers = 1\nstate_dir = "{tmp_path}"\n{toml}')
    command = engine_command(tmp_path / "lbapp.toml", control)
    with JournalStream() as journal, child(command, stderr=journal.end, env=journal.environment) as first:
        wait_for(lambda: any("INFO serving: " in line for line in journal.lines()), 60)
        backend.close()
        wait_for(lambda: any("WARNING server_went_down" in line for line in journal.lines()))
        assert lbapp(control, "upgrade").returncode == 0
        assert first.wait(30) == 0
        with ControlClient(control) as client:
            os.kill(client.status()["engine"]["pid"], signal.SIGKILL)
        wait_for(lambda: any("ERROR worker" in line for line in journal.lines()))  # its supervisor is gone
        lines = journal.lines()
    levels = {"<6>": "INFO", "<4>": "WARNING", "<3>": "ERROR"}
    assert [line for line in lines if not re.match(rf"lbapp\[\d+\] {levels.get(line[:3])} ", line[3:])] == []
    assert sum("INFO serving: " in line for line in lines) == 2


def test_what_is_wrong_with_a_file_or_a_call_is_an_error_in_the_journal(tmp_path: Path) -> None:
    (tmp_path / "lbapp.toml").write_text("nonsense = 1\n[more]\n")
    with JournalStream() as journal:
        for command in (
            engine_command(tmp_path / "lbapp.toml", tmp_path / "c.sock"),
            [sys.executable, "-m", "lbapp", "check", str(tmp_path / "lbapp.toml")],
            [sys.executable, "-m", "lbapp", "--socket", str(tmp_path / "c.sock"), "status"],
        ):
            subprocess.run(command, stderr=journal.end, env=journal.environment, check=False, timeout=60)
        lines = journal.lines()
    assert sum("nonsense" in line for line in lines) == 2
    assert "no engine" in lines[-1]
    assert [line for line in lines if not line.startswith("<3>")] == []


def test_second_engine_on_the_same_socket_is_refused(tmp_path: Path) -> None:
    backend = TcpServer(answering())
    toml = listener_toml("app") + pool_toml("app", {"s": backend.port})
    with running_engine(tmp_path, toml) as engine:
        other = subprocess.run(
            engine_command(tmp_path / "lbapp.toml", engine.control),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert other.returncode == 1
        assert str(engine.control) in other.stderr
        assert engine.status()["engine"]["phase"] == "serving"
    backend.close()


def test_systemd_is_told_when_it_serves(tmp_path: Path) -> None:
    backend = TcpServer(answering())
    told: list[bytes] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(tmp_path / "notify"))
        notify.settimeout(20)
        os.environ["NOTIFY_SOCKET"] = str(tmp_path / "notify")
        try:
            with running_engine(tmp_path, listener_toml("app") + pool_toml("app", {"s": backend.port})):
                told += [
                    notify.recv(4096) for _ in range(4)
                ]  # two of the four keep sockets, one of them for each worker
            told.append(notify.recv(4096))
        finally:
            del os.environ["NOTIFY_SOCKET"]
    assert b"READY=1" in told
    assert any(b"STOPPING=1" in each for each in told[1:])
    backend.close()
