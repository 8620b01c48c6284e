"""How soon a whole engine notices that a server is gone, and how gently it takes one back."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from tests.engine.worker.harness import TcpServer, answering, scripted
from tests.lateness import waited_s
from tests.system.harness import (
    Engine,
    Load,
    free_port,
    lbapp,
    listener_toml,
    pool_toml,
    running_engine,
    servers,
    wait_for,
)

pytestmark = pytest.mark.system

SERVE = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@contextmanager
def server_process() -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", SERVE, str(port)])
    try:
        wait_for(lambda: is_open(port))
        yield process, port
    finally:
        process.kill()
        process.wait()


def is_open(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


class Since:
    """A moment from which it is counted how long an engine takes, but for the time in which a busy machine does not let it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._began_at, self._waited_s = time.time(), waited_s(engine.process.pid)

    def until_down(self, server: str, at_most_s: float) -> float:
        """Return after how many seconds a server was down, by the engine's own clock."""
        wait_for(lambda: self._engine.server(server)["health"] == "down", at_most_s + 25)
        late_s = waited_s(self._engine.process.pid) - self._waited_s
        return self._engine.server(server)["health_since"] - self._began_at - late_s


HTTP_CHECK = '[pool.health_check]\ntype = "http"\n'


def test_without_traffic_a_server_that_refuses_and_one_that_hangs_are_found_in_time(tmp_path: Path) -> None:
    with ExitStack() as stack:
        refuses, refuses_port = stack.enter_context(server_process())
        hangs, hangs_port = stack.enter_context(server_process())
        toml = listener_toml("app") + pool_toml("app", {"r": refuses_port, "h": hangs_port}, extra=HTTP_CHECK)
        engine = stack.enter_context(running_engine(tmp_path, toml))
        wait_for(lambda: all(engine.server(f"app/{name}")["health"] == "up" for name in "rh"))
        began = Since(engine)
        refuses.kill()
        hangs.send_signal(signal.SIGSTOP)
        assert began.until_down("app/r", 7.0) <= 7.0 + 0.5  # and half a second for the machine
        assert began.until_down("app/h", 13.0) <= 13.0 + 0.5
        assert "no answer within 2s" in engine.server("app/h")["health_reason"]


def test_with_traffic_a_server_that_refuses_is_found_at_once_and_no_client_notices(tmp_path: Path) -> None:
    with ExitStack() as stack:
        process, port = stack.enter_context(server_process())
        other, other_port = stack.enter_context(server_process())
        toml = listener_toml("app") + pool_toml("app", {"a": port, "b": other_port}, extra=HTTP_CHECK)
        engine = stack.enter_context(running_engine(tmp_path, toml))
        wait_for(lambda: all(engine.server(f"app/{name}")["health"] == "up" for name in "ab"))
        with Load(engine.port(), clients=2) as load:
            wait_for(lambda: load.answered > 100)
            began = Since(engine)
            process.kill()
            took_s = began.until_down("app/a", 2.5)
        assert took_s <= 2.5 + 0.5
        assert [each for each in load.failures if "502" not in each] == []  # what was under way at the kill
        assert len(load.failures) <= 2
        assert other.poll() is None


def test_failed_request_marks_down_at_once_where_that_is_wanted(tmp_path: Path) -> None:
    with ExitStack() as stack:
        process, port = stack.enter_context(server_process())
        _, other_port = stack.enter_context(server_process())
        keys = f'on_error = "mark_down"\n{HTTP_CHECK}'
        engine = stack.enter_context(
            running_engine(tmp_path, listener_toml("app") + pool_toml("app", {"a": port, "b": other_port}, extra=keys))
        )
        wait_for(lambda: all(engine.server(f"app/{name}")["health"] == "up" for name in "ab"))
        with Load(engine.port(), clients=2) as load:
            wait_for(lambda: load.answered > 100)
            began = Since(engine)
            process.kill()
            assert began.until_down("app/a", 1.0) <= 1.5
        assert "a client's request failed" in engine.server("app/a")["health_because"]


def test_server_that_only_fails_is_ejected_and_the_others_serve(tmp_path: Path) -> None:
    with ExitStack() as stack:
        good = {name: TcpServer(answering(name.encode())) for name in ("a", "b")}
        bad = TcpServer(scripted(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
        for each in (*good.values(), bad):
            stack.callback(each.close)
        ports = {name: each.port for name, each in good.items()} | {"bad": bad.port}
        check = '[pool.outlier]\nejection = "60s"\n[pool.health_check]\ntype = "tcp"\n'
        engine = stack.enter_context(
            running_engine(tmp_path, listener_toml("app") + pool_toml("app", ports, extra=check))
        )
        wait_for(lambda: all(engine.server(f"app/{name}")["health"] == "up" for name in ports))
        with Load(engine.port(), clients=4) as load:
            wait_for(lambda: engine.server("app/bad")["ejected"])
            failed = len(load.failures)
            wait_for(lambda: load.answered > 2000)
            assert len(load.failures) - failed <= 4  # what was under way
        assert "server_ejected" in engine.events()
        assert not engine.server("app/bad")["is_eligible"]
        assert engine.server("app/bad")["health"] == "up"


def test_checks_that_fail_all_at_once_take_no_server_away_and_it_is_shown_loudly(tmp_path: Path) -> None:
    checked = TcpServer(answering(b"sound"))
    check = f'panic_threshold = 50\n[pool.health_check]\ntype = "tcp"\nport = {checked.port}\ninterval = "200ms"\n'
    with (
        servers() as ports,
        running_engine(tmp_path, listener_toml("app") + pool_toml("app", ports, extra=check)) as engine,
    ):
        wait_for(lambda: all(engine.server(f"app/{name}")["health"] == "up" for name in ports))
        with Load(engine.port()) as load:
            port = checked.port
            checked.close()
            wait_for(lambda: all(engine.server(f"app/{name}")["health"] == "down" for name in ports))
            before = dict(load.answers)
            wait_for(lambda: all(load.answers.get(name, 0) > before.get(name, 0) + 20 for name in ports))
            (pool,) = engine.status()["pools"]
            assert pool["is_in_panic"]
            wait_for(lambda: "pool_in_panic" in engine.events())
            assert "PANIC" in lbapp(engine, "status").stdout
            with engine.client() as client:
                client.patch_server("app", "s1", {"state": "maint"})
            asked = load.answers["s1"]
            wait_for(lambda: load.answers["s2"] > before["s2"] + 200)
            assert load.answers["s1"] <= asked + load.clients, "what an operator wants holds"
            checked = TcpServer(answering(b"sound"), port=port)
            wait_for(lambda: not engine.status()["pools"][0]["is_in_panic"])
        assert load.failures == []
        checked.close()


def test_rate_of_a_server_that_comes_back_follows_the_curve(tmp_path: Path) -> None:
    """From its return on its share is that of a line from 10 % of its weight to all of it."""
    window_s = 6.0
    with ExitStack() as stack:
        servers = {name: TcpServer(answering(name.encode())) for name in ("a", "b")}
        for each in servers.values():
            stack.callback(each.close)
        keys = f'[pool.slow_start]\nwindow = "{window_s:g}s"\n[pool.health_check]\ntype = "none"\n'
        ports = {name: each.port for name, each in servers.items()}
        engine = stack.enter_context(
            running_engine(tmp_path, listener_toml("app") + pool_toml("app", ports, extra=keys))
        )
        with engine.client() as client, Load(engine.port(), clients=4) as load:
            client.patch_server("app", "a", {"state": "maint"})
            wait_for(lambda: load.answers.get("b", 0) > 200)
            client.patch_server("app", "a", {"state": "ready"})
            began_s = time.monotonic()
            samples = [(0.0, dict(load.answers))]
            while samples[-1][0] < window_s / 2:
                time.sleep(0.05)
                samples.append((time.monotonic() - began_s, dict(load.answers)))
            wait_for(lambda: engine.server("app/a")["share_percent"] == 100)
        assert not load.failures
        # Of a share s beside a whole one a gets s / (1 + s); held against how many requests there were just then.
        wanted = 0.0
        for (from_s, earlier), (to_s, later) in pairwise(samples):
            share = max(0.1, (from_s + to_s) / 2 / window_s)
            wanted += (sum(later.values()) - sum(earlier.values())) * share / (1 + share)
        got = samples[-1][1].get("a", 0) - samples[0][1].get("a", 0)
        assert abs(got / wanted - 1) <= 0.1
