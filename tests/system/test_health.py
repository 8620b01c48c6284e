"""How soon a whole engine notices that a server is gone, and how gently it takes one back."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from math import log
from pathlib import Path

import pytest

from tests.engine.worker.harness import TcpServer, answering, scripted
from tests.system.harness import Engine, Load, free_port, listener_toml, pool_toml, running_engine, wait_for

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


def seconds_until_down(engine: Engine, server: str, since_s: float, at_most_s: float) -> float:
    wait_for(lambda: engine.server(server)["health"] == "down", at_most_s + 5)
    return time.monotonic() - since_s


HTTP_CHECK = '[pool.health_check]\ntype = "http"\n'


def test_without_traffic_a_server_that_refuses_and_one_that_hangs_are_found_in_time(tmp_path: Path) -> None:
    with ExitStack() as stack:
        refuses, refuses_port = stack.enter_context(server_process())
        hangs, hangs_port = stack.enter_context(server_process())
        toml = listener_toml("app") + pool_toml("app", {"r": refuses_port, "h": hangs_port}, extra=HTTP_CHECK)
        engine = stack.enter_context(running_engine(tmp_path, toml))
        wait_for(lambda: all(engine.server(f"app/{name}")["health"] == "up" for name in "rh"))
        began_s = time.monotonic()
        refuses.kill()
        hangs.send_signal(signal.SIGSTOP)
        assert seconds_until_down(engine, "app/r", began_s, 7.0) <= 7.0 + 0.5  # and half a second for the machine
        assert seconds_until_down(engine, "app/h", began_s, 13.0) <= 13.0 + 0.5
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
            began_s = time.monotonic()
            process.kill()
            took_s = seconds_until_down(engine, "app/a", began_s, 2.5)
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
            began_s = time.monotonic()
            process.kill()
            assert seconds_until_down(engine, "app/a", began_s, 1.0) <= 1.5
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
            before = dict(load.answers)
            client.patch_server("app", "a", {"state": "ready"})
            began_s = time.monotonic()
            wait_for(lambda: time.monotonic() - began_s >= window_s / 2)
            half, half_s = dict(load.answers), time.monotonic() - began_s
            wait_for(lambda: engine.server("app/a")["share_percent"] == 100)
        got = {name: half.get(name, 0) - before.get(name, 0) for name in "ab"}
        assert not load.failures
        # Of a share s beside a whole one a gets s / (1 + s); s is 0.1, then t / window.
        start_s, end = 0.1 * window_s, half_s / window_s
        wanted = (0.1 / 1.1 * start_s + window_s * (end - 0.1 - log((1 + end) / 1.1))) / half_s
        assert abs(got["a"] / sum(got.values()) / wanted - 1) <= 0.1
