"""Upgrades and CONNECT through a real worker: what becomes a tunnel, what never does, and what is left clean behind it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lbapp.model.entities import Bind, Listener, Pool
from lbapp.model.outcomes import FailureKind, Outcome
from lbapp.model.transport import ListenerTransport
from tests.engine.worker.harness import (
    Handler,
    RunningWorker,
    TcpServer,
    read_exactly,
    read_head,
    running_worker,
    server,
)
from tests.system.harness import wait_for

pytestmark = pytest.mark.system

ALL = ListenerTransport(upgrades=None)
NONE = ListenerTransport(upgrades=frozenset())
CONNECT = ListenerTransport(connect=True)
CONNECT_RAW = b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n"


def asking(protocols: bytes, body: bytes = b"") -> bytes:
    length = b"Content-Length: %d\r\n" % len(body) if body else b""
    start = b"POST" if body else b"GET"
    return (
        start
        + b" / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: "
        + protocols
        + b"\r\n"
        + length
        + b"\r\n"
        + body
    )


def switching(seen: list[bytes], to: bytes | None = None) -> Handler:
    """A server that switches to the first protocol that it is asked for, or to another, and echoes; else says plain."""

    def handle(connection: socket.socket) -> None:
        rest = b""
        while True:
            head, rest = read_head(connection, rest)
            seen.append(head)
            offered = [line[9:] for line in head.split(b"\r\n") if line.startswith(b"Upgrade: ")]
            if not offered and to is None:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain")
                continue
            protocol = to or offered[0].partition(b",")[0]
            connection.sendall(b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: " + protocol + b"\r\n\r\n")
            if rest:
                connection.sendall(rest)
            while data := connection.recv(1000):
                connection.sendall(data)
            return

    return handle


def connecting(answer: bytes, seen: list[bytes]) -> Handler:
    """A forward proxy that answers each CONNECT with `answer`, then echoes."""

    def handle(connection: socket.socket) -> None:
        head, rest = read_head(connection)
        seen.append(head)
        connection.sendall(answer)
        while data := rest or connection.recv(1000):
            rest = b""
            seen.append(data)
            connection.sendall(data)

    return handle


@contextmanager
def before(handler: Handler, transport: ListenerTransport) -> Iterator[RunningWorker]:
    backend = TcpServer(handler)
    listeners = (Listener("web", (Bind("127.0.0.1", 0),), pool="app", transport=transport),)
    try:
        with running_worker(listeners, (Pool("app", (server("s1", backend.port),)),)) as worker:
            yield worker
    finally:
        backend.close()


@pytest.mark.parametrize(
    ("transport", "protocols", "offered"),
    [
        (ListenerTransport(), b"websocket", b"websocket"),
        (ListenerTransport(), b"foo/1, WebSocket", b"WebSocket"),
        (ALL, b"foo/1, bar", b"foo/1, bar"),
        (ListenerTransport(), b"foo", None),
        (NONE, b"websocket", None),
        (ALL, b"h2c", None),
        (ListenerTransport(upgrades=frozenset(("h2c",))), b"h2c", None),
    ],
)
def test_only_protocols_that_are_allowed_reach_the_server(
    transport: ListenerTransport, protocols: bytes, offered: bytes | None
) -> None:
    seen: list[bytes] = []
    with before(switching(seen), transport) as worker, worker.connect() as client:
        client.sendall(asking(protocols))
        head, rest = read_head(client)
        if offered is None:
            assert head.startswith(b"HTTP/1.1 200")
            assert read_exactly(client, 5, rest) == b"plain"
            assert b"pgrade" not in seen[0]
            client.sendall(asking(protocols))  # the connection goes on as it was
            assert read_head(client)[0].startswith(b"HTTP/1.1 200")
        else:
            assert head.startswith(b"HTTP/1.1 101")
            assert b"Upgrade: " + offered + b"\r\n" in seen[0]
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert read_exactly(client, 18) == b"GET / HTTP/1.1\r\n\r\n"
            wait_for(lambda: worker.server("app/s1").in_flight == worker.listener().in_flight == 1)


@pytest.mark.parametrize(
    ("raw", "to"),
    [
        (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", b"websocket"),
        (asking(b"websocket"), b"foo"),
        (asking(b"websocket"), b"h2c"),
        (asking(b"foo"), b"foo"),
    ],
)
def test_101_to_what_was_not_offered_is_a_502_and_poisons_nothing(raw: bytes, to: bytes) -> None:
    seen: list[bytes] = []
    with before(switching(seen, to), ListenerTransport()) as worker, worker.connect() as client:
        for count in (1, 2):
            client.sendall(raw)
            head, rest = read_head(client)
            assert head.startswith(b"HTTP/1.1 502")
            length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
            read_exactly(client, length, rest)
            assert worker.server("app/s1").failures[FailureKind.RESPONSE_BROKEN] == count
        assert len(seen) == 2
        wait_for(lambda: worker.server("app/s1").connections == 0)


def test_101_before_the_request_is_complete_is_a_502() -> None:
    seen: list[bytes] = []
    with before(switching(seen), ListenerTransport()) as worker, worker.connect() as client:
        client.sendall(asking(b"websocket", b"x" * 100)[:-50])
        assert read_head(client)[0].startswith(b"HTTP/1.1 502")


def test_own_idle_timeout_of_a_listener_ends_its_tunnels() -> None:
    seen: list[bytes] = []
    transport = ListenerTransport(tunnel_idle_timeout_s=0.3)
    with before(switching(seen), transport) as worker, worker.connect() as client:
        client.sendall(asking(b"websocket"))
        read_head(client)
        assert client.recv(1) == b""
        wait_for(lambda: worker.server("app/s1").in_flight == worker.server("app/s1").connections == 0)


def test_connect_is_refused_unless_it_is_allowed() -> None:
    seen: list[bytes] = []
    with before(connecting(b"", seen), ListenerTransport()) as worker:
        assert worker.request(CONNECT_RAW).startswith(b"HTTP/1.1 405")
        assert not seen
        wait_for(lambda: worker.listener().outcomes[Outcome.CLIENT_BAD_REQUEST] == 1)


@pytest.mark.parametrize("fields", [b"", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_connect_becomes_a_tunnel_after_2xx_whatever_length_it_names(fields: bytes) -> None:
    seen: list[bytes] = []
    with (
        before(connecting(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n", seen), CONNECT) as worker,
        worker.connect() as client,
    ):
        client.sendall(CONNECT_RAW + b"early")
        head, rest = read_head(client)
        assert head.startswith(b"HTTP/1.1 200")
        assert b"Length" not in head
        assert b"Encoding" not in head
        assert read_exactly(client, 5, rest) == b"early"
        assert seen[0].startswith(b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n")
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert read_exactly(client, 18) == b"GET / HTTP/1.1\r\n\r\n"
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
        wait_for(lambda: worker.server("app/s1").in_flight == worker.server("app/s1").connections == 0)


@pytest.mark.parametrize("status", [b"403 Forbidden", b"302 Found", b"502 Bad Gateway"])
def test_refused_connect_ends_the_connection_and_nothing_sent_ahead_is_read_as_a_request(status: bytes) -> None:
    seen: list[bytes] = []
    answer = b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\nno"
    with before(connecting(answer, seen), CONNECT) as worker:
        got = worker.request(CONNECT_RAW + b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n")
        assert got.startswith(b"HTTP/1.1 " + status)
        assert got.endswith(b"\r\n\r\nno")
        assert got.count(b"HTTP/1.1") == len(seen) == 1
        wait_for(lambda: worker.server("app/s1").connections == 0)
