"""Looking into a running engine: exchanges as they end, connections that are open, and closing one."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from lbapp.model.errors import RequestRefused
from tests.engine.worker.harness import Handler, TcpServer, answering, read_head, scripted
from tests.system.harness import Engine, Load, listener_toml, pool_toml, request, running_engine, wait_for

pytestmark = pytest.mark.system


def slow(connection: socket.socket) -> None:
    read_head(connection)
    connection.recv(1)  # until the client, or an operator, ends it


def failing(connection: socket.socket) -> None:
    rest = b""
    while True:
        _, rest = read_head(connection, rest)
        connection.sendall(b"HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno")


@contextmanager
def looked_into(tmp_path: Path, *, protocol: str = "http", **handlers: Handler) -> Iterator[Engine]:
    toml = ""
    servers = {pool: TcpServer(handler) for pool, handler in handlers.items()}
    for pool, server in servers.items():
        check = '[pool.health_check]\ntype = "none"\n'
        toml += listener_toml(pool, name=pool, protocol=protocol) + pool_toml(pool, {"s1": server.port}, extra=check)
    with running_engine(tmp_path, toml) as engine:
        try:
            yield engine
        finally:
            for server in servers.values():
                server.close()  # before the engine, which would wait for what they have not answered


@contextmanager
def lbapp(engine: Engine, *arguments: str) -> Iterator[list[str]]:
    """Run a command that goes on until the block ends; give the lines that it prints."""
    command = [sys.executable, "-u", "-m", "lbapp", "--socket", str(engine.control), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    lines: list[str] = []
    assert process.stdout is not None
    reader = threading.Thread(target=lines.extend, args=(process.stdout,), daemon=True)
    reader.start()
    try:
        yield lines
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)
        reader.join(20)
        process.stdout.close()


def is_seen(engine: Engine, lines: list[str], listener: str = "app") -> bool:
    """Ask, and say whether somebody who looks on sees something of that kind."""
    request(engine.port(listener))
    return bool(lines)


def run(engine: Engine, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lbapp", "--socket", str(engine.control), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def sessions(engine: Engine) -> list[dict[str, Any]]:
    with engine.client() as client:
        return list(client.sessions(100)["sessions"])  # type: ignore[arg-type]


def test_exchanges_are_seen_as_they_end_and_only_those_that_were_asked_for(tmp_path: Path) -> None:
    with looked_into(tmp_path, app=answering(b"s1"), bad=failing) as engine:
        with (
            lbapp(engine, "log", "-f", "--pool", "bad", "--status", "5xx", "--json") as failed,
            lbapp(engine, "log", "-f") as every,
        ):
            wait_for(lambda: is_seen(engine, every) and is_seen(engine, failed, "bad"))
            wait_for(lambda: any("bad/s1" in line for line in every))
        assert {json.loads(line)["server"] for line in failed} == {"bad/s1"}
        assert any("200" in line and "app/s1" in line and "GET /" in line for line in every)
        with engine.client() as client:  # nobody looks on any more, and everything goes on
            assert client.status()["listeners"]
        assert run(engine, "log", "-f", "--status", "7xx").returncode == 1


def test_what_is_too_much_to_show_is_counted_and_nobody_waits_for_it(tmp_path: Path) -> None:
    with looked_into(tmp_path, app=answering(b"s1")) as engine, Load(engine.port("app")) as load:
        with lbapp(engine, "log", "-f", "--rate", "4") as lines:
            wait_for(lambda: any("more" in line for line in lines))
        assert load.failures == []


def test_failed_exchanges_are_seen_among_more_than_can_be_shown(tmp_path: Path) -> None:
    with looked_into(tmp_path, app=answering(b"s1"), bad=failing) as engine, Load(engine.port("app")) as load:
        with lbapp(engine, "log", "-f", "--rate", "4", "--prefer", "--slow", "10m", "--json") as lines:
            wait_for(lambda: any("skipped" in line for line in lines))
            for seen in range(5):
                request(engine.port("bad"))
                wait_for(lambda seen=seen: sum("bad/s1" in line for line in lines) == seen + 1)  # type: ignore[misc]
        assert any('"app/s1"' in line for line in lines)
        assert load.failures == []
        assert run(engine, "log", "-f", "--slow", "1s").returncode == 1


def test_connections_of_one_pool_or_server_are_listed_and_closed_only_there(tmp_path: Path) -> None:
    with looked_into(tmp_path, app=slow, other=slow) as engine, ExitStack() as stack:
        for pool in ("app", "other"):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", engine.port(pool)), timeout=20))
            client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        stack.enter_context(
            socket.create_connection(("127.0.0.1", engine.port("app")), timeout=20)
        )  # busy with nothing
        wait_for(lambda: [each["state"] for each in sessions(engine)] == ["headers", "headers", "idle"])
        with engine.client() as control:
            for where in ({"pool": "other"}, {"server": "other/s1"}, {"pool": "other", "server": "other/s1"}):
                found = control.sessions(100, where)
                assert (found["connections"], found["sessions"][0]["server"]) == (1, "other/s1")
            assert control.sessions(100, {"pool": "app", "server": "other/s1"})["connections"] == 0
            wanted = found["sessions"][0]["id"]
            with pytest.raises(RequestRefused, match=f"there is no connection {wanted} at app"):
                control.close_session(wanted, {"pool": "app"})
            with pytest.raises(RequestRefused, match="there is no colour"):
                control.sessions(100, {"colour": "red"})
        assert "1 connections" in run(engine, "sessions", "--server", "other/s1").stdout
        assert run(engine, "sessions", "--server", "app/s1", "--close", str(wanted)).returncode == 1
        assert run(engine, "sessions", "--server", "other/s1", "--close", str(wanted)).returncode == 0
        wait_for(lambda: len(sessions(engine)) == 2)


def test_worker_that_takes_the_place_of_another_tells_who_looks_on_too(tmp_path: Path) -> None:
    with looked_into(tmp_path, app=answering(b"s1")) as engine, lbapp(engine, "log", "-f") as lines:
        wait_for(lambda: is_seen(engine, lines))
        before = engine.worker_pids()
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: len(engine.worker_pids()) == 2 and not set(before) & set(engine.worker_pids()))
        lines.clear()
        wait_for(lambda: is_seen(engine, lines))


def test_connections_are_listed_with_what_they_do_and_one_is_closed(tmp_path: Path) -> None:
    with looked_into(tmp_path, app=slow) as engine, ExitStack() as stack:
        clients = []
        for path in ("/a", "/b"):
            clients.append(stack.enter_context(socket.create_connection(("127.0.0.1", engine.port("app")), timeout=20)))
            clients[-1].sendall(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        stack.enter_context(socket.create_connection(("127.0.0.1", engine.port("app")), timeout=20))  # says nothing
        wait_for(lambda: [each["state"] for each in sessions(engine)] == ["headers", "headers", "idle"])
        first, second, idle = sessions(engine)
        assert {first["target"], second["target"]} == {"/a", "/b"}
        assert (first["server"], first["method"], first["listener"]) == ("app/s1", "GET", "app")
        assert first["busy_s"] > 0
        assert idle["target"] is None
        printed = run(engine, "sessions").stdout
        assert "3 connections" in printed
        assert "GET /a" in printed
        wanted = next(each["id"] for each in sessions(engine) if each["target"] == "/a")
        assert run(engine, "sessions", "--close", str(wanted)).returncode == 0
        assert clients[0].recv(1000).startswith(b"HTTP/1.1 503")
        wait_for(lambda: [each["target"] for each in sessions(engine)] == ["/b", None])
        assert run(engine, "sessions", "--close", str(wanted)).returncode == 1
        assert engine.events()[-1] == "session_closed"


def test_tunnel_is_listed_and_closed(tmp_path: Path) -> None:
    with (
        looked_into(tmp_path, protocol="tcp", app=slow) as engine,
        socket.create_connection(("127.0.0.1", engine.port("app")), timeout=20) as client,
    ):
        wait_for(lambda: [(each["state"], each["server"]) for each in sessions(engine)] == [("tunnel", "app/s1")])
        assert run(engine, "sessions", "--close", str(sessions(engine)[0]["id"])).returncode == 0
        assert client.recv(1) == b""
        wait_for(lambda: sessions(engine) == [])


def captures(engine: Engine) -> list[dict[str, Any]]:
    with engine.client() as client:
        return list(client.captures()["captures"])  # type: ignore[arg-type]


def test_malformed_request_is_kept_with_the_byte_that_was_wrong_and_without_credentials(tmp_path: Path) -> None:
    with looked_into(tmp_path, app=answering(b"s1")) as engine:
        request(engine.port("app"))
        assert captures(engine) == []
        assert run(engine, "captures").stdout == "none\n"
        sent = b"GET /a HTTP/1.1\r\nHost: h\r\nCookie: id=secret\r\nX-A: \x1b[2J\r\n\r\n"
        assert request(engine.port("app"), sent).startswith(b"HTTP/1.1 400")
        (found,) = captures(engine)
        assert (found["who"], found["client"], found["listener"]) == ("client", "127.0.0.1", "app")
        assert (found["offset"], found["offset_is"]) == (sent.index(b"\x1b"), "byte")
        assert found["server"] is None
        assert "X-A: \\x1b[2J" in found["excerpt"]
        printed = run(engine, "captures").stdout
        assert f"byte at {found['offset']}" in printed
        assert found["reason"] in printed
        assert "Cookie: *********" in printed
        for shown in (printed, found["excerpt"]):
            assert "secret" not in shown
            assert "\x1b" not in shown
        assert json.loads(run(engine, "captures", "--json").stdout)["captures"] == [found]


def test_malformed_answer_and_bodies_are_kept_with_their_server(tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nX A: b\r\nContent-Length: 0\r\n\r\n"
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX"
    with looked_into(tmp_path, head=scripted(head), body=scripted(chunked)) as engine:
        assert request(engine.port("head")).startswith(b"HTTP/1.1 502")
        request(engine.port("body"))
        post = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nsecret\r\n"
        assert request(engine.port("head"), post).startswith(b"HTTP/1.1 400")
        by_pool = {(each["who"], each["pool"]): each for each in captures(engine)}
        wrong = by_pool["server", "head"]
        assert (wrong["server"], wrong["offset"], wrong["offset_is"]) == ("head/s1", head.index(b"X A"), "line")
        assert by_pool["server", "body"]["server"] == "body/s1"
        assert by_pool["client", "head"]["reason"].startswith("the request body: ")
        for key in (("server", "body"), ("client", "head")):
            assert (by_pool[key]["offset"], by_pool[key]["excerpt"]) == (None, "")


def test_malformed_requests_without_end_cost_little_and_the_rest_is_counted(tmp_path: Path) -> None:
    with looked_into(tmp_path, app=answering(b"s1")) as engine:
        for _ in range(100):
            assert request(engine.port("app"), b"\0\r\n\r\n").startswith(b"HTTP/1.1 400")
        with engine.client() as client:
            found = client.captures()
        assert len(found["captures"]) + found["skipped"] == 100
        assert found["skipped"] > 0
        assert "more, too many to look at" in run(engine, "captures").stdout
