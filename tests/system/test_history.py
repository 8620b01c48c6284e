"""What a running engine keeps of the past, whatever becomes of it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lbapp.control.calls import Call
from tests.system.harness import (
    NO_CHECK,
    Engine,
    lbapp,
    listener_toml,
    pool_toml,
    request,
    running_engine,
    servers,
    wait_for,
)

pytestmark = pytest.mark.system


def points(engine: Engine, *arguments: str) -> list[dict[str, Any]]:
    done = lbapp(engine, "history", *arguments, "--step", "1s", "--json")
    return list(json.loads(done.stdout)["points"]) if done.returncode == 0 else []


def requests_of(engine: Engine, *arguments: str) -> int:
    return sum(point["requests"] for point in points(engine, *arguments))


def offline(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `lbapp` where no engine is."""
    command = [sys.executable, "-m", "lbapp", "--socket", "/nonexistent/lbapp.sock", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def toml_of(ports: dict[str, int]) -> str:
    return listener_toml("app") + pool_toml("app", ports, extra=NO_CHECK)


def test_past_is_there_after_kill_9_and_restart_and_without_an_engine(tmp_path: Path) -> None:
    with servers("s1", "s2") as ports:
        with running_engine(tmp_path, toml_of(ports)) as engine:
            for _ in range(10):
                request(engine.port())
            wait_for(lambda: requests_of(engine, "app") == 10)
            assert requests_of(engine, "app/s1") + requests_of(engine, "app/s2") == 10
            assert requests_of(engine, "--listener", "web") == requests_of(engine, "--last", "10m") == 10
            busy = next(each for each in points(engine, "app") if each["requests"])
            assert busy["p50"] > 0
            assert (busy["ready"], busy["servers"]) == (2, 2)
            query = {"pool": "app", "last": "600", "step": "1", "until": f"{busy['at'] + 0.001:.3f}"}
            with engine.client() as client:
                assert client.ask(Call("GET", "/v1/history", query))["points"][-1]["at"] == busy["at"]
            engine.process.send_signal(signal.SIGKILL)
            engine.process.wait(20)
        found = offline("history", "app", "--from", str(tmp_path), "--json")
        assert sum(point["requests"] for point in json.loads(found.stdout)["points"]) == 10, found.stderr
        with running_engine(tmp_path, toml_of(ports)) as engine:
            request(engine.port())
            wait_for(lambda: requests_of(engine, "app") == 11)  # those of the engine before, too
            assert lbapp(engine, "drain", "app/s1", "--timeout", "5m").returncode == 0
            wait_for(lambda: points(engine, "app/s1")[-1]["admin"] == "drain")
            then = lbapp(engine, "status", "--at", f"-{time.time() - busy['at']:.1f}s".replace(".0s", "s"))
            assert then.returncode == 0, then.stderr
            assert re.search(r"app/s1 +READY +UNKNOWN +100", then.stdout), then.stdout
            assert all(len(line) <= 80 for line in then.stdout.splitlines()), then.stdout
            assert "history_set_aside" not in engine.events()
        # The minute under way is recorded as the engine ends, with its percentiles.
        file = next(path for path in tmp_path.glob("history-*"))
        printed = offline("history", "app/s1", "--from", str(file))
        assert re.search(r"DRAIN +UNKNOWN +100$", printed.stdout), printed.stdout + printed.stderr
        now = offline("status", "--at", "-1s", "--from", str(tmp_path), "--json")
        assert json.loads(now.stdout)["pools"][0]["servers"][0]["admin"] == "drain", now.stderr
        assert offline("status", "--from", str(tmp_path)).returncode == 2
        assert offline("history", "app", "--from", str(tmp_path / "lbapp.toml")).returncode == 1


def test_history_without_a_name_is_that_of_the_configurations_as_before(tmp_path: Path) -> None:
    with servers("s1") as ports, running_engine(tmp_path, toml_of(ports)) as engine:
        listed = json.loads(lbapp(engine, "history", "--json").stdout)
        assert listed == json.loads(lbapp(engine, "configurations", "--json").stdout)
        assert listed[0]["is_serving"]
        assert lbapp(engine, "history", "nothing").returncode == 1
        refused = lbapp(engine, "status", "--at", "-3h")
        assert refused.returncode == 1
        assert "nothing is recorded of that time" in refused.stderr


def test_file_of_somebody_else_is_set_aside_and_the_engine_serves(tmp_path: Path) -> None:
    with servers("s1") as ports:
        with running_engine(tmp_path, toml_of(ports)) as engine:
            wait_for(lambda: points(engine, "app"))
        (file,) = tmp_path.glob("history-*")
        file.write_bytes(b"something else" * 1000)
        with running_engine(tmp_path, toml_of(ports)) as engine:
            assert request(engine.port()).startswith(b"HTTP/1.1 200")
            wait_for(lambda: requests_of(engine, "app") == 1)
            assert "history_set_aside" in engine.events()


def test_upgrade_and_reload_leave_no_gap_and_nothing_counted_twice(tmp_path: Path) -> None:
    with servers("s1", "s2") as ports, running_engine(tmp_path, toml_of({"s1": ports["s1"]})) as engine:
        for _ in range(4):
            request(engine.port())
        wait_for(lambda: requests_of(engine, "app") == 4)
        configuration = tmp_path / "lbapp.toml"
        configuration.write_text(
            configuration.read_text() + f'[[pool.server]]\nname = "s2"\naddress = "127.0.0.1:{ports["s2"]}"\n'
        )
        assert lbapp(engine, "reload").returncode == 0
        for _ in range(4):
            request(engine.port())
        wait_for(lambda: requests_of(engine, "app") == 8)
        assert requests_of(engine, "app/s1") == 8 - requests_of(engine, "app/s2") < 8
        before = len(points(engine, "app"))
        done = json.loads(lbapp(engine, "upgrade", "--json").stdout)
        try:
            wait_for(lambda: len(points(engine, "app")) > before + 1)
            assert requests_of(engine, "app") == 8
            assert "history_not_written" not in engine.events()
        finally:
            assert lbapp(engine, "stop", "--timeout", "1s").returncode == 0
            wait_for(lambda: not Path(f"/proc/{done['pid']}").exists())
