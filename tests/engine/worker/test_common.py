"""The exchange that waits for nothing but its answer, and every way in which it turns out to be another one."""

from __future__ import annotations

import os
import signal
import socket
import threading

import pytest

from lbapp.engine.scoreboard import layout as at
from lbapp.engine.scoreboard.totals import ServerTotals
from lbapp.model.entities import Bind, Listener, Pool
from lbapp.model.limits import RECEIVE_BYTES, Limits
from lbapp.model.outcomes import FailureKind, Outcome
from lbapp.model.states import AdminState
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

WEB = (Listener("web", (Bind("127.0.0.1", 0),), pool="app"),)
GET = b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n"
FIRST = b"HTTP/1.1 200 OK\r\nServer: s\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nfirst"


def first_then(*parts: bytes, seen: list[bytes] | None = None) -> Handler:
    """Answer the first request of a connection; answer the second with `parts`, each when the one before was read."""

    def handle(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head, rest = read_head(connection)
        if seen is not None:
            seen.append(head)
        connection.sendall(FIRST)
        head, rest = read_head(connection, rest)
        if seen is not None:
            seen.append(head)
        for part in parts:
            connection.sendall(part)
            threading.Event().wait(0.02)  # so that the parts come in several reads
        connection.recv(1)

    return handle


@pytest.fixture
def limits() -> Limits:
    return Limits(response_timeout_s=0.5)


def second_answer(worker: RunningWorker, second: bytes = GET % 2, body_bytes: int = 0) -> tuple[bytes, bytes]:
    """Send two requests on one connection; return head and body of the second answer."""
    with worker.connect() as client:
        client.sendall(GET % 1)
        head, rest = read_head(client)
        assert head.startswith(b"HTTP/1.1 200 OK")
        read_exactly(client, 5, rest)
        client.sendall(second)
        head, rest = read_head(client)
        return head, read_exactly(client, body_bytes, rest)


def after(worker: RunningWorker, requests: int) -> ServerTotals:
    """Return what was counted for the server, once so many exchanges are."""
    wait_for(lambda: worker.server("app/a").requests == requests)
    return worker.server("app/a")


@pytest.mark.parametrize(
    ("parts", "status", "body"),
    [
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond",), b"200 OK", b"second"),
        ((b"HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\n\r\nsecond",), b"404 Not Found", b"second"),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsec", b"ond"), b"200 OK", b"second"),
        ((b"HTTP/1.1 200 OK\r\nContent-", b"Length: 6\r\n\r\nsecond"), b"200 OK", b"second"),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 06\r\n\r\nsecond",), b"200 OK", b"second"),
        ((b"HTTP/1.1 100 Continue\r\n\r\n",), b"100 Continue", b""),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsecond",), b"200 OK", b"second"),
        ((b"HTTP/1.1 204 No Content\r\n\r\n",), b"204 No Content", b""),
        (
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nsecond\r\n0\r\n\r\n",),
            b"200 OK",
            b"6\r\nsecond",
        ),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nsecond",), b"200 OK", b"sec"),
        ((b"HTTP/1.1 200 OK\r\nX: a\x01b\r\nContent-Length: 6\r\n\r\nsecond",), b"502 Bad Gateway", b""),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nContent-Length: 7\r\n\r\nsecond",), b"502 Bad Gateway", b""),
    ],
)
def test_answer_reaches_the_client_however_it_comes(parts: tuple[bytes, ...], status: bytes, body: bytes) -> None:
    backend = TcpServer(first_then(*parts))
    with running_worker(WEB, (Pool("app", (server("a", backend.port),)),)) as worker:
        head, got = second_answer(worker, body_bytes=len(body))
        assert head.startswith(b"HTTP/1.1 " + status + b"\r\n")
        assert got.startswith(body)
    backend.close()


def test_answer_goes_on_with_its_fields_and_its_connection_is_used_again() -> None:
    seen: list[bytes] = []
    backend = TcpServer(first_then(FIRST.replace(b"first", b"again"), seen=seen))
    with running_worker(WEB, (Pool("app", (server("a", backend.port),)),)) as worker:
        head, body = second_answer(worker, body_bytes=5)
        assert body == b"again"
        assert head.startswith(b"HTTP/1.1 200 OK\r\nServer: s\r\nContent-Length: 5\r\n")
        assert backend.accepted == 1
        assert [line.split()[1] for line in seen] == [b"/1", b"/2"]
        totals = after(worker, 2)
        assert totals.responses == (0, 2, 0, 0, 0)
        assert totals.outcomes[Outcome.COMPLETED] == worker.listener().requests == 2
        assert totals.bytes_out == worker.listener().bytes_out > 2 * len(FIRST) - 64
        assert totals.in_flight == 0
    backend.close()


def test_answer_that_came_whole_before_it_was_read_does_not_stall() -> None:
    """More than one read of it lies in the socket when the first one is made, and nothing more will come to tell."""
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (100_000, b"x" * 100_000)
    has_answered = threading.Event()

    def handle(connection: socket.socket) -> None:
        _, rest = read_head(connection)
        # A large answer first, so that the kernel makes room for more than one read.
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 8000000\r\n\r\n" + b"y" * 8_000_000)
        read_head(connection, rest)
        os.kill(worker.pid, signal.SIGSTOP)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
        has_answered.set()
        connection.recv(1)

    backend = TcpServer(handle)
    with running_worker(WEB, (Pool("app", (server("a", backend.port),)),)) as worker, worker.connect() as client:
        client.sendall(GET % 1)
        read_exactly(client, 8_000_000, read_head(client)[1])
        client.sendall(GET % 2)
        assert has_answered.wait(20)
        os.kill(worker.pid, signal.SIGCONT)
        _, rest = read_head(client)
        while not rest.endswith(b"\r\n0\r\n\r\n"):
            rest += client.recv(65536)
        assert rest.count(b"x") == 100_000
    backend.close()


def test_connection_that_ends_without_an_answer_is_replaced_for_a_get() -> None:
    seen: list[bytes] = []

    def handle(connection: socket.socket) -> None:
        for _ in range(2):
            head, _ = read_head(connection)
            seen.append(head)
            if head.startswith(b"GET /2") and len(seen) == 2:
                return
            connection.sendall(FIRST)

    backend = TcpServer(handle)
    with running_worker(WEB, (Pool("app", (server("a", backend.port),)),)) as worker:
        head, body = second_answer(worker, body_bytes=5)
        assert head.startswith(b"HTTP/1.1 200")
        assert body == b"first"
        totals = after(worker, 2)
        assert (totals.retries, totals.failures[FailureKind.UPSTREAM_CLOSED]) == (1, 1)
        assert totals.in_flight == 0
    backend.close()


def test_server_that_says_nothing_is_a_504_and_is_not_in_flight_any_more(limits: Limits) -> None:
    backend = TcpServer(first_then())
    with running_worker(WEB, (Pool("app", (server("a", backend.port),)),), limits) as worker:
        head, _ = second_answer(worker)
        assert head.startswith(b"HTTP/1.1 504")
        totals = after(worker, 2)
        assert totals.failures[FailureKind.RESPONSE_TIMEOUT] == 1
        assert (totals.in_flight, totals.outcomes[Outcome.RESPONSE_TIMEOUT]) == (0, 1)
    backend.close()


def test_client_that_leaves_while_it_waits_is_counted_as_gone() -> None:
    seen: list[bytes] = []
    backend = TcpServer(first_then(seen=seen))
    with running_worker(WEB, (Pool("app", (server("a", backend.port),)),)) as worker:
        with worker.connect() as client:
            client.sendall(GET % 1)
            read_head(client)
            client.sendall(GET % 2)
            wait_for(lambda: len(seen) == 2)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # closing resets
        wait_for(lambda: worker.listener().outcomes[Outcome.CLIENT_GONE] == 1)
        assert worker.server("app/a").in_flight == 0
    backend.close()


def test_whole_answer_that_the_client_takes_slowly_arrives_unchanged() -> None:
    body = bytes(range(256)) * 128  # one read, but more than the socket of a client that reads nothing takes
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    def handle(connection: socket.socket) -> None:
        rest = b""
        while True:
            _, rest = read_head(connection, rest)
            connection.sendall(answer)

    backend = TcpServer(handle)
    with running_worker(WEB, (Pool("app", (server("a", backend.port),)),)) as worker:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", worker.ports["web"]))
            client.settimeout(20)
            count = 200
            client.sendall(b"".join(GET % number for number in range(count)))
            got = read_exactly(client, count * len(answer))
        assert got.count(body) == count
        totals = after(worker, count)
        assert totals.bytes_out == count * len(answer)
        assert totals.in_flight == 0
    backend.close()


def test_head_request_gets_no_body_of_an_answer_that_names_a_length() -> None:
    backend = TcpServer(first_then(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"))
    with running_worker(WEB, (Pool("app", (server("a", backend.port),)),)) as worker:
        head, rest = second_answer(worker, b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert b"Content-Length: 6\r\n" in head
        assert rest == b""
        wait_for(lambda: worker.server("app/a").outcomes[Outcome.COMPLETED] == 2)
    backend.close()


def test_client_that_asks_to_close_is_told_so_and_closed() -> None:
    backend = TcpServer(first_then(FIRST))
    with running_worker(WEB, (Pool("app", (server("a", backend.port),)),)) as worker, worker.connect() as client:
        client.sendall(GET % 1)
        read_exactly(client, 5, read_head(client)[1])
        client.sendall(b"GET /2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        head, rest = read_head(client)
        assert b"Connection: close\r\n" in head
        assert b"keep-alive" not in head
        assert read_exactly(client, 5, rest) == b"first"
        assert client.recv(1) == b""
    backend.close()


def test_server_in_maintenance_loses_its_idle_connections_without_a_request() -> None:
    backend = TcpServer(first_then(FIRST))
    with running_worker(WEB, (Pool("app", (server("a", backend.port),)),)) as worker, worker.connect() as client:
        client.sendall(GET % 1)
        read_head(client)
        wait_for(lambda: worker.server("app/a").idle == 1)
        worker.set_state("app/a", at.STATE_ADMIN, AdminState.MAINT)
        wait_for(lambda: worker.server("app/a").connections == 0)
        wait_for(lambda: worker.server("app/a").idle == 0)
    backend.close()


def test_address_that_the_kernel_cannot_take_is_a_502() -> None:
    with running_worker(WEB, (Pool("app", (server("a", 80, host="fe80::1%nope0"),)),)) as worker:
        answer = worker.request(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 502")
        assert worker.server("app/a").failures[FailureKind.CONNECT_UNREACHABLE] == 1


def answering_while_it_stands_still(pid: list[int], answer: bytes) -> Handler:
    """Answer the second request so that the worker wakes up when all of the answer has come."""

    def handle(connection: socket.socket) -> None:
        _, rest = read_head(connection)
        connection.sendall(WIDENING)
        read_head(connection, rest)
        os.kill(pid[0], signal.SIGSTOP)
        connection.sendall(answer)
        threading.Event().wait(0.2)  # until the kernel has taken it over
        os.kill(pid[0], signal.SIGCONT)
        connection.recv(1)

    return handle


# As large an answer makes the kernel give the connection room for more than one read.
WIDENING = b"HTTP/1.1 200 OK\r\nContent-Length: 8000000\r\n\r\n" + bytes(8_000_000)
ONE_READ = b"HTTP/1.1 200 OK\r\nContent-Length: 65494\r\n\r\n" + b"y" * 65_494
assert len(ONE_READ) == RECEIVE_BYTES


@pytest.mark.parametrize(
    ("answer", "body_bytes"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"y" * 100_000, 100_000),
        (ONE_READ, 65_494),
        (ONE_READ + FIRST, 65_494),  # a second answer that nobody asked for must not meet the next request
    ],
    ids=["length", "one read", "one read and a second answer"],
)
def test_answer_of_a_whole_read_or_more_that_has_all_come_is_read_to_its_end(answer: bytes, body_bytes: int) -> None:
    """Nothing more comes, so no edge either: what was left in the socket has to be remembered."""
    pid: list[int] = []
    backend = TcpServer(answering_while_it_stands_still(pid, answer))
    with running_worker(WEB, (Pool("app", (server("a", backend.port),)),)) as worker, worker.connect() as client:
        pid.append(worker.pid)
        client.settimeout(5)
        client.sendall(GET % 1)
        read_exactly(client, 8_000_000, read_head(client)[1])
        client.sendall(GET % 2)
        read_exactly(client, body_bytes, read_head(client)[1])
        assert after(worker, 2).outcomes[Outcome.COMPLETED] == 2
        client.sendall(GET % 3)
        assert b"Content-Length: 8000000" in read_head(client)[0]
    backend.close()
