"""What a worker writes down of each exchange, however it went."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lbapp.engine.channel import ReopenLog
from lbapp.engine.scoreboard.layout import incomplete
from lbapp.engine.scoreboard.totals import log_lines_dropped
from lbapp.engine.worker.trail import _SERVERS_KNOWN_MAX, Trail
from lbapp.model.access_log import AccessLog, LogFormat, LogTarget
from lbapp.model.entities import Bind, Listener, Pool, Protocol, Route
from lbapp.model.limits import Limits
from lbapp.model.outcomes import Ender, Phase
from lbapp.model.persistence import Persistence, PersistenceKey, PersistenceType
from tests.engine.worker.harness import (
    Handler,
    RunningWorker,
    TcpServer,
    answering,
    read_head,
    running_worker,
    scripted,
    server,
)
from tests.system.harness import free_port, wait_for

pytestmark = pytest.mark.system

WEB = Listener("web", (Bind("127.0.0.1", 0),), pool="app")
GET = b"GET /a?b=c HTTP/1.1\r\nHost: example.com\r\nUser-Agent: t\r\n\r\n"
LAST = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
COOKIE = Persistence(PersistenceType.COOKIE, keys=(PersistenceKey("k", b"0123456789abcdef"),))
QUICK_LIMITS = Limits(response_timeout_s=0.3, request_head_timeout_s=0.3)


class Logged:
    """A worker that writes a log, and what stands in it."""

    def __init__(self, worker: RunningWorker, path: Path) -> None:
        self.worker = worker
        self.path = path

    def lines(self, count: int) -> list[dict[str, Any]]:
        wait_for(lambda: self.path.exists() and self.path.read_bytes().count(b"\n") >= count)
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def one(self) -> dict[str, Any]:
        (line,) = self.lines(1)
        return line


@contextmanager
def logging(
    tmp_path: Path, *handlers: Handler, listener: Listener = WEB, pool: Pool | None = None, **settings: Any
) -> Iterator[Logged]:
    path = tmp_path / "access.log"
    servers = [TcpServer(handler) for handler in handlers]
    members = tuple(server(f"s{number}", each.port) for number, each in enumerate(servers, 1))
    made = pool or Pool("app", members or (server("s1", free_port()),))
    log = AccessLog(LogTarget.FILE, str(path), **settings)
    try:
        with running_worker((listener,), (made,), QUICK_LIMITS, access_log=log) as worker:
            yield Logged(worker, path)
    finally:
        for each in servers:
            each.close()


def test_common_exchange_leaves_the_same_line_by_the_quick_way_and_by_the_long_one(tmp_path: Path) -> None:
    found = []
    for name, headers in (("quick", ()), ("long", ("x-missing",))):
        (tmp_path / name).mkdir()
        with logging(tmp_path / name, answering(b"s1"), headers=headers) as logged:
            with logged.worker.connect() as client:
                for _ in range(3):
                    client.sendall(GET)
                    read_head(client)
                port = client.getsockname()[1]
            lines = logged.lines(3)
        for line in lines:
            assert line.pop("port") == port
            assert line.pop("time").endswith("Z")
            assert 0 < line.pop("first_byte_us") <= line.pop("total_us")
        assert lines[0].pop("connect_us") > 0, "the first has made its connection"
        assert [line.pop("connect_us") for line in lines[1:]] == [0, 0]
        found.append(lines)
    assert found[0] == found[1]
    assert found[0][2] == {
        "client": "127.0.0.1", "listener": "web", "method": "GET", "host": "example.com", "target": "/a?b=c", "version": "1.1",
        "status": 200, "pool": "app", "server": "app/s1", "bytes_in": len(GET), "bytes_out": 40, "queue_us": 0, "attempts": 1,
        "persistence": None, "outcome": "completed", "ended_by": None, "phase": None,
    }  # fmt: skip


def test_headers_that_were_asked_for_are_in_the_line(tmp_path: Path) -> None:
    with logging(tmp_path, answering(b"s1"), headers=("user-agent", "x-missing")) as logged:
        logged.worker.request(LAST)
        assert logged.one()["headers"] == {"user-agent": "t"}


def test_combined_has_the_request_and_the_browser(tmp_path: Path) -> None:
    with logging(tmp_path, answering(b"s1"), format=LogFormat.COMBINED) as logged:
        logged.worker.request(LAST)
        wait_for(lambda: logged.path.exists() and logged.path.read_text().count("\n") == 1)
        line = logged.path.read_text()
    assert line.startswith("127.0.0.1 - - [")
    assert line.endswith('] "GET /a?b=c HTTP/1.1" 200 59 "-" "t"\n')


def ended(logged: Logged) -> tuple[Any, ...]:
    """Return how the one exchange ended; the counters have to say the same."""
    line, counted = logged.one(), logged.worker.listener().incomplete
    assert sum(counted) == counted[incomplete(Ender(line["ended_by"]), Phase(line["phase"]))] == 1
    return line["status"], line["outcome"], line["ended_by"], line["phase"], line["server"], line["attempts"]


def test_server_that_refuses(tmp_path: Path) -> None:
    with logging(tmp_path) as logged:
        logged.worker.request(LAST)
        assert ended(logged)[:4] == (502, "connect_failed", "server", "connect")


def test_server_that_says_nothing(tmp_path: Path) -> None:
    with logging(tmp_path, lambda connection: connection.recv(1 << 16) and connection.recv(1)) as logged:  # type: ignore[arg-type]
        logged.worker.request(LAST)
        assert ended(logged) == (504, "response_timeout", "server", "headers", "app/s1", 1)


def test_server_that_ends_in_the_middle_of_its_answer(tmp_path: Path) -> None:
    with logging(tmp_path, scripted(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")) as logged:
        logged.worker.request(LAST)
        assert ended(logged) == (200, "server_closed", "server", "body", "app/s1", 1)


def test_client_that_leaves_before_its_answer(tmp_path: Path) -> None:
    with logging(tmp_path, lambda connection: connection.recv(1 << 16) and connection.recv(1)) as logged:  # type: ignore[arg-type]
        with logged.worker.connect() as client:
            client.sendall(GET)
            wait_for(lambda: logged.worker.server("app/s1").in_flight == 1)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        assert ended(logged)[1:] == ("client_gone", "client", "headers", "app/s1", 1)


def test_request_that_is_none(tmp_path: Path) -> None:
    with logging(tmp_path, answering(b"s1")) as logged:
        logged.worker.request(b"\x1b[2J\r\n\r\n")
        assert ended(logged) == (400, "client_bad_request", "client", "request", None, 0)
        assert "\x1b" not in logged.path.read_text()


def test_head_that_does_not_come_in_time(tmp_path: Path) -> None:
    with logging(tmp_path, answering(b"s1")) as logged:
        logged.worker.request(b"GET / HT")
        assert ended(logged) == (408, "client_timeout", "client", "request", None, 0)


def test_answer_of_our_own_shows_what_was_asked_for(tmp_path: Path) -> None:
    listener = Listener("web", (Bind("127.0.0.1", 0),), routes=(Route("app", path="/only"),))
    with logging(tmp_path, answering(b"s1"), listener=listener) as logged:
        logged.worker.request(LAST)
        assert ended(logged) == (404, "no_route", "lbapp", "request", None, 0)
        assert logged.one()["target"] == "/a?b=c"


def test_persistence_says_what_it_found_and_what_it_gave(tmp_path: Path) -> None:
    with TcpServerFor(answering(b"s1")) as port:
        pool = Pool("app", (server("s1", port),), persistence=COOKIE)
        with logging(tmp_path, pool=pool) as logged:
            logged.worker.request(LAST)
            assert logged.one()["persistence"] == ["none", "inserted"]


@contextmanager
def TcpServerFor(handler: Handler) -> Iterator[int]:  # noqa: N802
    made = TcpServer(handler)
    yield made.port
    made.close()


def test_tcp_connection_is_one_line_with_its_bytes(tmp_path: Path) -> None:
    def echo(connection: socket.socket) -> None:
        while data := connection.recv(4096):
            connection.sendall(data + data)

    listener = Listener("web", (Bind("127.0.0.1", 0),), protocol=Protocol.TCP, pool="app")
    with logging(tmp_path, echo, listener=listener) as logged:
        with logged.worker.connect() as client:
            client.sendall(b"12345")
            assert client.recv(100)
        line = logged.one()
        assert (line["method"], line["server"], line["outcome"], line["attempts"]) == (None, "app/s1", "completed", 1)
        assert (line["bytes_in"], line["bytes_out"]) == (5, 10)
        assert line["connect_us"] >= 0
        assert line["total_us"] > 0


def test_tcp_connection_says_what_was_found_of_its_client_and_what_it_was_given(tmp_path: Path) -> None:
    def greet(connection: socket.socket) -> None:
        connection.sendall(b"hello")

    backend, path = TcpServer(greet), tmp_path / "access.log"
    listener = Listener("web", (), protocol=Protocol.TCP, pool="app")
    pool = Pool("app", (server("s1", backend.port),), persistence=Persistence(PersistenceType.IP))
    log = AccessLog(LogTarget.FILE, str(path))
    try:
        with running_worker((listener,), (pool,), QUICK_LIMITS, str(tmp_path), access_log=log) as worker:
            for number in (1, 2):
                assert worker.request(b"") == b"hello"
                lines = Logged(worker, path).lines(number)
    finally:
        backend.close()
    assert [line["persistence"] for line in lines] == [["none", "inserted"], ["valid"]]


def test_tcp_connection_that_reached_no_server(tmp_path: Path) -> None:
    listener = Listener("web", (Bind("127.0.0.1", 0),), protocol=Protocol.TCP, pool="app")
    with logging(tmp_path, listener=listener) as logged:
        logged.worker.request(b"")
        assert ended(logged)[1:4] == ("connect_failed", "server", "connect")


def test_listener_that_is_not_to_be_logged_leaves_nothing(tmp_path: Path) -> None:
    listener = Listener("web", (Bind("127.0.0.1", 0),), pool="app", is_logged=False)
    with logging(tmp_path, answering(b"s1"), listener=listener) as logged:
        logged.worker.request(LAST)
        wait_for(lambda: logged.worker.listener().requests == 1)
        logged.worker.process.terminate()
    assert not logged.path.exists()


def test_file_is_opened_anew_when_told(tmp_path: Path) -> None:
    with logging(tmp_path, answering(b"s1")) as logged:
        logged.worker.request(LAST)
        logged.lines(1)
        logged.path.rename(tmp_path / "old")
        logged.worker.send(ReopenLog())
        wait_for(lambda: logged.worker.request(LAST) and logged.path.exists())
        assert logged.lines(1)


def test_lines_that_cannot_be_written_are_counted_and_delay_nobody(tmp_path: Path) -> None:
    (tmp_path / "access.log").symlink_to("/dev/full")
    with logging(tmp_path, answering(b"s1")) as logged:
        for _ in range(5):
            assert logged.worker.request(LAST).startswith(b"HTTP/1.1 200")
        wait_for(lambda: log_lines_dropped(logged.worker.segment) == 5)


def test_pipe_that_nobody_reads_delays_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "access.log")
    with logging(tmp_path, answering(b"s1")) as logged:
        for _ in range(5):
            assert logged.worker.request(LAST).startswith(b"HTTP/1.1 200")


def test_servers_that_come_and_go_for_ever_leave_no_more_names_than_a_worker_keeps() -> None:
    trail = Trail(AccessLog(LogTarget.OFF), {})
    for number in range(2 * _SERVERS_KNOWN_MAX):
        assert f'"app/s{number}"' in trail._name(f"app/s{number}")
    assert 0 < len(trail._servers) <= _SERVERS_KNOWN_MAX
