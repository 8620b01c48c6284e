"""The PROXY protocol through a real worker: who is believed, what is counted, what servers are told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address, ip_network

import pytest

from lbapp.engine.wire.proxy_protocol import InetEnd, ProxyHeader, UnixEnd, build_v1, build_v2, parse_proxy_header
from lbapp.model.entities import AlgorithmName, Bind, Listener, Pool, Protocol
from lbapp.model.limits import Limits
from lbapp.model.outcomes import Outcome
from lbapp.model.transport import ListenerTransport, PoolTransport, ProxyVersion
from tests.engine.worker.harness import (
    RunningWorker,
    TcpServer,
    answering,
    read_exactly,
    read_head,
    running_worker,
    server,
)
from tests.system.harness import wait_for

pytestmark = pytest.mark.system

HEADER = ProxyHeader(False, InetEnd(ip_address("192.0.2.7"), 1234), InetEnd(ip_address("198.51.100.1"), 443))
HEADER6 = ProxyHeader(False, InetEnd(ip_address("2001:db8::7"), 1234), InetEnd(ip_address("2001:db8::1"), 443))
GET = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
KEPT = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
TRUSTING = ListenerTransport(proxy_protocol=True, proxy_protocol_from=(ip_network("127.0.0.0/8"),))


def web(transport: ListenerTransport = TRUSTING, protocol: Protocol = Protocol.HTTP) -> tuple[Listener, ...]:
    return (Listener("web", (Bind("127.0.0.1", 0),), protocol, pool="app", transport=transport),)


def is_closed(client: socket.socket) -> bool:
    """Wait for the end, which is a reset where something that was sent has not been read."""
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


@contextmanager
def seen_by_a_server(
    listeners: tuple[Listener, ...], pool: PoolTransport | None = None, limits: Limits | None = None
) -> Iterator[tuple[RunningWorker, list[bytes]]]:
    seen: list[bytes] = []
    backend = TcpServer(answering(b"ok", seen))
    try:
        app = Pool("app", (server("s1", backend.port),), transport=pool or PoolTransport())
        with running_worker(listeners, (app,), limits) as worker:
            yield worker, seen
    finally:
        backend.close()


@pytest.mark.parametrize(
    ("header", "address"),
    [
        (build_v1(HEADER), b"192.0.2.7"),
        (build_v2(HEADER), b"192.0.2.7"),
        (build_v2(HEADER, has_checksum=True), b"192.0.2.7"),
        (build_v1(HEADER6), b"2001:db8::7"),
        (build_v2(HEADER6), b"2001:db8::7"),
        (b"PROXY TCP6 ::ffff:192.0.2.9 ::1 1 2\r\n", b"192.0.2.9"),
        (build_v2(ProxyHeader(False, UnixEnd(b"/x"), UnixEnd(b"/y"))), b"unix:"),
        (b"PROXY UNKNOWN\r\n", b"127.0.0.1"),
        (build_v2(ProxyHeader()), b"127.0.0.1"),
        (build_v2(ProxyHeader(is_local=True)), b"127.0.0.1"),
    ],
)
def test_server_is_told_the_address_from_the_header(header: bytes, address: bytes) -> None:
    with seen_by_a_server(web()) as (worker, seen):
        assert worker.request(header + GET).startswith(b"HTTP/1.1 200")
        assert b"X-Forwarded-For: " + address + b"\r\n" in seen[0]
        wait_for(lambda: worker.listener().outcomes[Outcome.COMPLETED] == 1)


def test_header_may_come_byte_by_byte_and_the_request_behind_it_is_whole() -> None:
    with seen_by_a_server(web()) as (worker, seen), worker.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in build_v2(HEADER) + KEPT:
            client.sendall(bytes((byte,)))
        head, rest = read_head(client)
        assert head.startswith(b"HTTP/1.1 200")
        assert read_exactly(client, 2, rest) == b"ok"
        client.sendall(KEPT)
        read_head(client)
        assert seen[0] == seen[1]
        assert b"X-Forwarded-For: 192.0.2.7\r\n" in seen[1]


def test_client_keeps_its_server_by_the_address_from_the_header() -> None:
    backends = [TcpServer(answering(name)) for name in (b"a", b"b", b"c")]
    servers = tuple(server(f"s{at}", backend.port) for at, backend in enumerate(backends))
    with running_worker(web(), (Pool("app", servers, AlgorithmName.IP_HASH),)) as worker:

        def served_by(address: str) -> bytes:
            header = ProxyHeader(False, InetEnd(ip_address(address), 1), InetEnd(ip_address("192.0.2.1"), 2))
            return worker.request(build_v2(header) + GET)[-1:]

        addresses = [f"203.0.113.{at}" for at in range(20)]
        first = [served_by(address) for address in addresses]
        assert len(set(first)) == 3
        assert [served_by(address) for address in addresses] == first
    for backend in backends:
        backend.close()


@pytest.mark.parametrize(
    "raw", [GET, b"\x16\x03\x01\x02\x00", b"PROXY TCP9 1 1 1 1\r\n" + GET, build_v2(HEADER)[:12] + b"\x31\x11\0\x0c"]
)
def test_connection_without_a_sound_header_is_closed_and_counted(raw: bytes) -> None:
    with seen_by_a_server(web()) as (worker, seen):
        with worker.connect() as client:
            client.sendall(raw)
            assert is_closed(client)
        wait_for(lambda: worker.listener().outcomes[Outcome.CLIENT_BAD_REQUEST] == 1)
        wait_for(lambda: worker.listener().connections == 0)
        assert not seen


def test_connection_that_ends_within_its_header_is_counted_and_one_that_never_began_is_not() -> None:
    with seen_by_a_server(web()) as (worker, _):
        for raw in (b"", build_v2(HEADER)[:20]):
            with worker.connect() as client:
                client.sendall(raw)
                client.shutdown(socket.SHUT_WR)
                assert is_closed(client)
        wait_for(lambda: worker.listener().connections == 0)
        assert worker.listener().requests == worker.listener().outcomes[Outcome.CLIENT_BAD_REQUEST] == 1


def test_header_that_takes_too_long_is_counted_as_a_timeout() -> None:
    with seen_by_a_server(web(), limits=Limits(proxy_header_timeout_s=0.3)) as (worker, _), worker.connect() as client:
        client.sendall(b"PROXY ")
        assert is_closed(client)
        wait_for(lambda: worker.listener().outcomes[Outcome.CLIENT_TIMEOUT] == 1)


def test_peer_outside_the_trusted_networks_is_closed_whatever_it_says() -> None:
    transport = ListenerTransport(
        proxy_protocol=True, proxy_protocol_from=(ip_network("10.0.0.0/8"), ip_network("::1"))
    )
    with seen_by_a_server(web(transport)) as (worker, seen):
        with worker.connect() as client:
            client.sendall(build_v2(HEADER) + GET)
            assert is_closed(client)
        wait_for(lambda: worker.listener().outcomes[Outcome.CLIENT_BAD_REQUEST] == 1)
        assert not seen


def test_header_is_no_request_where_none_is_asked_for() -> None:
    with seen_by_a_server(web(ListenerTransport())) as (worker, seen):
        assert worker.request(build_v1(HEADER) + GET).startswith(b"HTTP/1.1 4")
        assert not seen


@pytest.mark.parametrize("version", list(ProxyVersion))
def test_tcp_client_from_the_header_is_passed_on_to_the_server(version: ProxyVersion) -> None:
    seen: list[bytes] = []

    def echo(connection: socket.socket) -> None:
        data = b""
        while (parsed := parse_proxy_header(data)) is None:
            data += connection.recv(1)
        seen.append(data)
        assert parsed[0] == HEADER
        connection.sendall(connection.recv(100).upper())

    backend = TcpServer(echo)
    pool = Pool("app", (server("s1", backend.port),), transport=PoolTransport(version))
    with running_worker(web(protocol=Protocol.TCP), (pool,)) as worker, worker.connect() as client:
        client.sendall(build_v2(HEADER) + b"hello")
        assert read_exactly(client, 5) == b"HELLO"
    assert seen == [build_v1(HEADER) if version is ProxyVersion.V1 else build_v2(HEADER)]
    backend.close()


def test_http_connection_with_a_header_is_never_shared_between_clients() -> None:
    begun: list[ProxyHeader] = []
    lock = threading.Lock()

    def answer(connection: socket.socket) -> None:
        data = b""
        while (parsed := parse_proxy_header(data)) is None:
            data += connection.recv(1)
        with lock:
            begun.append(parsed[0])
        source = parsed[0].source
        assert isinstance(source, InetEnd)
        name = str(source.port).encode()
        while True:
            read_head(connection)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(name), name))

    backend = TcpServer(answer)
    pool = Pool("app", (server("s1", backend.port),), transport=PoolTransport(ProxyVersion.V2))
    with running_worker(web(ListenerTransport()), (pool,)) as worker:
        clients = [worker.connect() for _ in range(5)]
        for _ in range(3):
            for client in clients:
                client.sendall(KEPT)
                _, rest = read_head(client)
                length = len(str(client.getsockname()[1]))
                assert read_exactly(client, length, rest) == str(client.getsockname()[1]).encode()
        assert worker.server("app/s1").connections == 5
        for client in clients:
            client.close()
        wait_for(lambda: worker.server("app/s1").connections == 0)
    destinations = {header.destination for header in begun}
    assert destinations == {InetEnd(ip_address("127.0.0.1"), worker.ports["web"])}
    assert len(begun) == 5
    backend.close()


def test_kept_connection_that_its_server_closed_is_not_used_again() -> None:
    def answer_once(connection: socket.socket) -> None:
        data = b""
        while parse_proxy_header(data) is None:
            data += connection.recv(1)
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    backend = TcpServer(answer_once)
    pool = Pool("app", (server("s1", backend.port),), transport=PoolTransport(ProxyVersion.V1))
    with running_worker(web(ListenerTransport()), (pool,)) as worker, worker.connect() as client:
        for count in (1, 2, 3):
            client.sendall(KEPT)
            head, rest = read_head(client)
            assert head.startswith(b"HTTP/1.1 200")
            assert read_exactly(client, 2, rest) == b"ok"
            assert backend.accepted == count
    backend.close()


def test_oldest_kept_connection_makes_room_for_the_next_client() -> None:
    seen: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        data = b""
        while parse_proxy_header(data) is None:
            data += connection.recv(1)
        answering(b"ok", seen)(connection)

    backend = TcpServer(answer)
    pool = Pool("app", (server("s1", backend.port),), transport=PoolTransport(ProxyVersion.V2))
    with running_worker(web(ListenerTransport()), (pool,), Limits(idle_connections_max=2)) as worker:
        clients = [worker.connect() for _ in range(4)]
        for client in (*clients, clients[0]):
            client.sendall(KEPT)
            assert read_head(client)[0].startswith(b"HTTP/1.1 200")
        wait_for(lambda: worker.server("app/s1").connections == 2)
        for client in clients:
            client.close()
    assert len(seen) == backend.accepted == 5
    backend.close()
