"""Persistence as an operator meets it: a whole engine, restarted, listed, cleared, damaged."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lbapp.engine.memory import FILE_NAME
from lbapp.engine.supervisor.persistence import KEYS_NAME
from tests.engine.worker.harness import TcpServer, answering
from tests.system.harness import Engine, lbapp_says, listener_toml, pool_toml, running_engine, wait_for

pytestmark = pytest.mark.system
NAMES = ("s1", "s2", "s3")


@pytest.fixture
def ports() -> Iterator[dict[str, int]]:
    servers = {name: TcpServer(answering(name.encode())) for name in NAMES}
    yield {name: each.port for name, each in servers.items()}
    for each in servers.values():
        each.close()


def toml(ports: dict[str, int], persistence: str) -> str:
    extra = f'[pool.health_check]\ntype = "none"\n[pool.persistence]\n{persistence}\n'
    return listener_toml("app") + pool_toml("app", ports, extra=extra)


def get(engine: Engine, *arguments: str) -> str:
    command = ["curl", "-s", "-i", f"http://127.0.0.1:{engine.port()}/", *arguments]
    return subprocess.run(command, capture_output=True, check=True, text=True, timeout=20).stdout


def verdicts(engine: Engine) -> dict[str, int]:
    persistence = engine.status()["pools"][0]["persistence"]
    assert persistence is not None
    return persistence["verdicts"]


def test_a_cookie_of_one_start_is_good_after_the_next_and_the_key_is_for_the_engine_alone(
    tmp_path: Path, ports: dict[str, int]
) -> None:
    jar = tmp_path / "jar"
    with running_engine(tmp_path, toml(ports, 'type = "cookie"')) as engine:
        name = get(engine, "-c", str(jar))[-2:]
    assert (tmp_path / KEYS_NAME).stat().st_mode & 0o777 == 0o600
    with running_engine(tmp_path, toml(ports, 'type = "cookie"')) as engine:
        for _ in range(6):
            assert get(engine, "-b", str(jar))[-2:] == name
        wait_for(lambda: verdicts(engine)["valid"] == 6)
        metrics = subprocess.run(
            ["curl", "-s", "--unix-socket", str(engine.control), "http://lbapp/metrics"],
            capture_output=True, check=True, text=True, timeout=20,
        ).stdout  # fmt: skip
        assert re.search(r'lbapp_pool_persistence_total\{pool="app",verdict="valid"\} 6', metrics)


def test_an_engine_with_the_same_keys_knows_the_cookies_of_another(tmp_path: Path, ports: dict[str, int]) -> None:
    keys, jar = tmp_path / "keys", tmp_path / "jar"
    keys.write_text("2026-11 0123456789abcdef\n")
    keys.chmod(0o600)
    text = toml(ports, f'type = "cookie"\nkeys_file = "{keys}"')
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with running_engine(tmp_path / "a", text) as one, running_engine(tmp_path / "b", text) as other:
        name = get(one, "-c", str(jar))[-2:]
        assert {get(other, "-b", str(jar))[-2:] for _ in range(6)} == {name}


def test_clients_are_remembered_over_restarts_listed_and_cleared(tmp_path: Path, ports: dict[str, int]) -> None:
    text = toml(ports, 'type = "header"\nheader = "x-user"')
    users = [f"x-user: u{number}" for number in range(12)]
    with running_engine(tmp_path, text) as engine:
        names = {user: get(engine, "-H", user)[-2:] for user in users}
        wait_for(lambda: json.loads(lbapp_says(engine, "persistence", "list", "--json"))["total"] == len(users))
    # Fewer servers by the file, so that the hash would move some: those remembered stay.
    fewer = {name: port for name, port in ports.items() if name != "s3"}
    with running_engine(tmp_path, toml(fewer, 'type = "header"\nheader = "x-user"')) as engine:
        assert all(get(engine, "-H", user)[-2:] == names[user] for user in users if names[user] != "s3")
        listed = lbapp_says(engine, "persistence", "list", "app", "--key", "u0")
        assert "app/" in listed
        assert "u0" not in listed
        assert lbapp_says(engine, "persistence", "clear", "app", "--key", "u0") == "1 no longer remembered\n"
        assert lbapp_says(engine, "persistence", "clear", "app") == f"{len(users) - 1} no longer remembered\n"
        assert json.loads(lbapp_says(engine, "persistence", "list", "--json"))["clients"] == []
        assert "persistence_cleared" in engine.events()


def test_the_workers_of_a_node_remember_together(tmp_path: Path, ports: dict[str, int]) -> None:
    with running_engine(tmp_path, toml(ports, 'type = "ip"')) as engine:
        first = get(engine)[-2:]
        wait_for(lambda: json.loads(lbapp_says(engine, "persistence", "list", "--json"))["total"])
        lbapp_says(engine, "drain", f"app/{first}")
        assert {get(engine)[-2:] for _ in range(20)} == {first}
        lbapp_says(engine, "maint", f"app/{first}")
        second = get(engine)[-2:]
        assert second != first
        wait_for(lambda: f"app/{second}" in lbapp_says(engine, "persistence", "list"))
        lbapp_says(engine, "ready", f"app/{first}")
        assert {get(engine)[-2:] for _ in range(20)} == {second}


def test_a_drain_past_its_timeout_keeps_nobody(tmp_path: Path, ports: dict[str, int]) -> None:
    text = toml(ports, 'type = "ip"') + listener_toml("app", name="tcp", protocol="tcp")
    with running_engine(tmp_path, text) as engine:
        first = get(engine)[-2:]
        with socket.create_connection(("127.0.0.1", engine.port("tcp")), timeout=20):
            wait_for(lambda: engine.server(f"app/{first}")["in_flight"] == 1)
            wait_for(lambda: json.loads(lbapp_says(engine, "persistence", "list", "--json"))["total"])
            lbapp_says(engine, "drain", f"app/{first}", "--timeout", "4s")
            assert get(engine)[-2:] == first
            wait_for(lambda: "drain_timed_out" in engine.events())
            wait_for(lambda: get(engine)[-2:] != first)


def test_a_damaged_table_is_moved_aside_and_said(tmp_path: Path, ports: dict[str, int]) -> None:
    table = tmp_path / FILE_NAME
    with running_engine(tmp_path, toml(ports, 'type = "ip"')) as engine:
        get(engine)
        wait_for(lambda: json.loads(lbapp_says(engine, "persistence", "list", "--json"))["total"])
    whole = table.read_bytes()
    table.write_bytes(whole[:8192] + b"\xa5" * (len(whole) - 8192))
    with running_engine(tmp_path, toml(ports, 'type = "ip"')) as engine:
        assert get(engine)[-2:] in NAMES
        assert "persistence_moved_aside" in engine.events()
        wait_for(lambda: json.loads(lbapp_says(engine, "persistence", "list", "--json"))["total"])
    assert list(tmp_path.glob(f"{FILE_NAME}.damaged-*"))


def test_a_table_that_cannot_be_used_is_said_and_stops_no_traffic(tmp_path: Path, ports: dict[str, int]) -> None:
    (tmp_path / f"{FILE_NAME}-lock").mkdir()  # in the way
    with running_engine(tmp_path, toml(ports, 'type = "ip"')) as engine:
        assert len({get(engine)[-2:] for _ in range(5)}) == 1
        wait_for(lambda: "persistence_failed" in engine.events())
        refused = subprocess.run(
            [sys.executable, "-m", "lbapp", "--socket", str(engine.control), "persistence", "list"],
            capture_output=True, text=True, check=False, timeout=20,
        )  # fmt: skip
        assert refused.returncode == 1
        assert "the table of clients cannot be used" in refused.stderr
