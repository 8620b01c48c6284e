"""`lbapp is-ready`."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.cli.harness import run, run_process
from tests.cluster.announce.doubles import EngineDouble


def test_a_ready_node_is_status_0_and_another_says_why(tmp_path: Path) -> None:
    with EngineDouble(tmp_path / "c").running() as engine:
        done = run("--socket", str(tmp_path / "c"), "is-ready")
        assert (done.exit_code, done.stdout) == (0, "ready\n")
        engine.reasons = ["no worker serves", "listener web accepts nobody"]
        done = run("is-ready", "--socket", str(tmp_path / "c"))
        assert (done.exit_code, done.stdout) == (1, "not ready: no worker serves; listener web accepts nobody\n")
        done = run("is-ready", "--json", "--socket", str(tmp_path / "c"))
        assert (done.exit_code, json.loads(done.stdout)["ready"]) == (1, False)


def test_where_no_engine_answers_it_is_status_3(tmp_path: Path) -> None:
    done = run("--socket", str(tmp_path / "c"), "is-ready")
    assert done.exit_code == 3
    assert done.stderr.startswith(f"lbapp: no engine answers on {tmp_path / 'c'}. Start one")


@pytest.mark.parametrize(
    "said", ["", "nonsense", "HTTP/1.1 200 OK\r\n\r\nnonsense", "HTTP/1.1 200 OK\r\n\r\n[]", "X\r\n\r\n{}"]
)
def test_whatever_is_no_answer_is_not_ready(tmp_path: Path, said: str) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "c"))
        server.listen()

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(said.encode())

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        done = run("--socket", str(tmp_path / "c"), "is-ready")
        thread.join(10)
    assert done.exit_code in (1, 3)


def test_a_silent_engine_is_not_waited_for(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "c"))
        server.listen()
        assert run("--socket", str(tmp_path / "c"), "is-ready", "--timeout", "0.05").exit_code == 3


def test_a_check_every_second_starts_without_what_it_does_not_need(tmp_path: Path) -> None:
    code = "import sys; from lbapp.cli.is_ready import ask; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"httpx", "pydantic", "rich", "textual", "anyio"} & set(loaded)
    assert run_process("--socket", str(tmp_path / "none"), "is-ready").returncode == 3
