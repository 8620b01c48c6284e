"""Servers on Unix sockets, through a real worker."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from lbapp.model.entities import Bind, Listener, Pool, Protocol, Server
from lbapp.model.outcomes import FailureKind
from tests.engine.worker.harness import TcpServer, answering, running_worker, server

pytestmark = pytest.mark.system

WEB = (Listener("web", (Bind("127.0.0.1", 0),), pool="app"),)
GET = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


class UnixServer(TcpServer):
    """The same on a Unix socket."""

    def __init__(self, path: Path, seen: list[bytes]) -> None:
        self._handler = answering(b"unix", seen)
        self.accepted = 0
        self._open = set()
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen(64)
        threading.Thread(target=self._run, daemon=True).start()


def at(path: Path, name: str = "s1") -> Server:
    return Server("app", name, str(path), 0)


def test_requests_reach_a_server_on_a_unix_socket_and_its_connections_are_kept(tmp_path: Path) -> None:
    seen: list[bytes] = []
    backend = UnixServer(tmp_path / "s.sock", seen)
    with running_worker(WEB, (Pool("app", (at(tmp_path / "s.sock"),)),)) as worker:
        for _ in range(5):
            assert worker.request(GET).endswith(b"\r\n\r\nunix")
        assert worker.request(b"GET / HTTP/1.0\r\n\r\n").endswith(b"unix")
        assert b"\r\nHost: localhost\r\n" in seen[-1]
        assert backend.accepted == 1
    backend.close()


def test_socket_that_is_not_there_is_a_refused_connect_and_the_next_server_is_tried(tmp_path: Path) -> None:
    backend = TcpServer(answering(b"tcp"))
    stale = tmp_path / "stale.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(stale))
    servers = (at(tmp_path / "none.sock", "none"), at(stale, "stale"), server("tcp", backend.port))
    with running_worker(WEB, (Pool("app", servers[:1] + servers[2:]), Pool("other", servers[1:2]))) as worker:
        for _ in range(4):
            assert worker.request(GET).endswith(b"tcp")
        assert worker.server("app/none").failures[FailureKind.CONNECT_REFUSED] > 0
    backend.close()


def test_tcp_clients_are_relayed_to_a_unix_socket(tmp_path: Path) -> None:
    backend = UnixServer(tmp_path / "s.sock", [])
    tcp = (Listener("web", (Bind("127.0.0.1", 0),), Protocol.TCP, pool="app"),)
    with running_worker(tcp, (Pool("app", (at(tmp_path / "s.sock"),)),)) as worker, worker.connect() as client:
        client.sendall(GET)
        assert client.recv(1000).endswith(b"unix")
    backend.close()
