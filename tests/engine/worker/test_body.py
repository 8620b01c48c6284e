"""Request bodies through a real worker, where client or server does not do its part."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import pytest

from lbapp.model.entities import Bind, Listener, Pool
from lbapp.model.limits import Limits
from lbapp.model.outcomes import Outcome
from tests.engine.worker.harness import TcpServer, read_head, running_worker, server
from tests.system.harness import wait_for

pytestmark = pytest.mark.system

WEB = (Listener("web", (Bind("127.0.0.1", 0),), pool="app"),)
LENGTH = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 30000000\r\n\r\n"
CHUNKED = b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def wait(is_over: threading.Event) -> None:
    is_over.wait(20)


def send_what_it_takes(client: socket.socket, data: bytes) -> Callable[[], None]:
    """Send in a thread of its own; return what waits for its end."""

    def send() -> None:
        try:
            client.sendall(data)
        except OSError:
            return

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return lambda: thread.join(20)


@pytest.mark.parametrize(
    ("raw", "outcome"),
    [
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nsome", Outcome.CLIENT_GONE),
        (LENGTH + b"some", Outcome.CLIENT_GONE),
        (CHUNKED + b"4\r\nsome\r\n", Outcome.CLIENT_GONE),
    ],
    ids=["short", "long", "chunked"],
)
def test_client_that_leaves_in_its_body_at_once_leaves_nothing_in_flight(raw: bytes, outcome: Outcome) -> None:
    is_over = threading.Event()
    backend = TcpServer(lambda _: wait(is_over))
    with running_worker(WEB, (Pool("app", (server("a", backend.port),)),)) as worker:
        for _ in range(10):
            with worker.connect() as client:
                client.sendall(raw)
        wait_for(lambda: worker.listener().outcomes[outcome] == 10, timeout_s=5)
        assert worker.server("app/a").in_flight == 0
        wait_for(lambda: worker.listener().connections == 0)
        is_over.set()
    backend.close()


@pytest.mark.parametrize(
    "raw",
    [LENGTH + b"x" * 30_000_000, CHUNKED + (b"100000\r\n" + b"x" * 1_048_576 + b"\r\n") * 30],
    ids=["length", "chunked"],
)
def test_server_that_takes_no_body_is_a_504_and_not_the_clients_fault(raw: bytes) -> None:
    is_over = threading.Event()
    backend = TcpServer(lambda _: wait(is_over))
    limits = Limits(server_idle_timeout_s=0.5, response_timeout_s=0.5)
    with running_worker(WEB, (Pool("app", (server("a", backend.port),)),), limits) as worker:
        with worker.connect() as client:
            client.settimeout(8)
            wait_for_end = send_what_it_takes(client, raw)
            head, _ = read_head(client)
            assert head.startswith(b"HTTP/1.1 504")
            wait_for(lambda: worker.server("app/a").outcomes[Outcome.RESPONSE_TIMEOUT] == 1)
            assert worker.server("app/a").in_flight == 0
        wait_for_end()
        wait_for(lambda: worker.listener().connections == 0)
        is_over.set()
    backend.close()


def test_request_sent_anew_on_a_new_connection_keeps_its_deadlines() -> None:
    is_over = threading.Event()
    heads: list[bytes] = []

    def handle(connection: socket.socket) -> None:
        rest = b""
        while True:
            head, rest = read_head(connection, rest)
            heads.append(head)
            if len(heads) == 1:
                connection.sendall(OK)
            elif len(heads) == 2:
                return
            else:
                is_over.wait(20)

    backend = TcpServer(handle)
    with running_worker(WEB, (Pool("app", (server("a", backend.port),)),), Limits(response_timeout_s=0.5)) as worker:
        with worker.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            read_head(client)
        with worker.connect() as client:
            client.settimeout(8)
            client.sendall(CHUNKED)
            wait_for(lambda: len(heads) == 3)
            client.sendall(b"0\r\n\r\n")
            head, _ = read_head(client)
            assert head.startswith(b"HTTP/1.1 504")
        is_over.set()
    backend.close()


def test_answers_before_the_end_of_a_fast_upload_leave_no_connection_open() -> None:
    def refusing(connection: socket.socket) -> None:
        read_head(connection)
        for _ in range(40):
            connection.recv(65536)
        connection.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    backend = TcpServer(refusing)
    with running_worker(WEB, (Pool("app", (server("a", backend.port),)),)) as worker:
        for _ in range(20):
            with worker.connect() as client:
                wait_for_end = send_what_it_takes(client, LENGTH + b"x" * 30_000_000)
                read_head(client)
                client.shutdown(socket.SHUT_RDWR)
                wait_for_end()
        wait_for(lambda: worker.listener().connections == worker.server("app/a").in_flight == 0, timeout_s=8)
    backend.close()
