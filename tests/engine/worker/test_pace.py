"""Slow clients and long exchanges at a real worker: who is cut off, who is not, and who is blamed."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from lbapp.model.entities import Bind, Listener, Pool, Protocol
from lbapp.model.limits import Limits
from lbapp.model.outcomes import Outcome
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
from tests.engine.worker.test_admission import all_of, until

pytestmark = pytest.mark.system
BINDS = (Bind("127.0.0.1", 0),)
WEB = Listener("web", BINDS, pool="app", transport=ListenerTransport(upgrades=frozenset(("websocket",))))
RAW = Listener("raw", BINDS, Protocol.TCP, pool="app")
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
# So long a time without any byte that it is never what ends a test; a stretch of 1 s would be too short to tell.
PATIENT = Limits(body_idle_timeout_s=1.0, request_body_rate_min=1000, response_rate_min=1000)
# Where all is to be well in the end: a machine that many share may stop a test for a second.
MORE_PATIENT = replace(PATIENT, body_idle_timeout_s=3.0)


@contextmanager
def serving(handler: Handler, limits: Limits, listener: Listener = WEB) -> Iterator[RunningWorker]:
    backend = TcpServer(handler)
    try:
        with running_worker((listener,), (Pool("app", (server("s1", backend.port),)),), limits) as worker:
            yield worker
    finally:
        backend.close()


def reads_body(length: int) -> Handler:
    def handle(connection: socket.socket) -> None:
        _, rest = read_head(connection)
        read_exactly(connection, length, rest)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    return handle


def dripping(connection: socket.socket, is_over: threading.Event, every_s: float = 0.1) -> threading.Thread:
    """Send a byte now and then, so that there is never a long time without one."""

    def drip() -> None:
        try:
            while not is_over.wait(every_s):
                connection.sendall(b"x")
        except OSError:
            return

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    return thread


def dripped(raw: RunningWorker, start: bytes) -> bytes:
    is_over = threading.Event()
    with raw.connect() as connection:
        connection.sendall(start)
        thread = dripping(connection, is_over)
        try:
            return all_of(connection)
        finally:
            is_over.set()
            thread.join(20)


@pytest.mark.parametrize("framing", [b"Content-Length: 1000000", b"Transfer-Encoding: chunked"])
def test_body_that_drips_is_408_and_not_the_servers_fault(framing: bytes) -> None:
    with serving(reads_body(1_000_000), PATIENT) as worker:
        chunk = b"f4240\r\n" if b"chunked" in framing else b""
        answer = dripped(worker, b"POST / HTTP/1.1\r\nHost: a\r\n" + framing + b"\r\n\r\n" + chunk)
        assert answer.startswith(b"HTTP/1.1 408 ")
        until(lambda: worker.listener().outcomes[Outcome.CLIENT_TIMEOUT] == 1)
        assert not any(worker.server("app/s1").failures)
        until(lambda: worker.server("app/s1").in_flight == 0)


def test_body_that_drips_is_served_where_no_rate_is_asked_for() -> None:
    limits = Limits(body_idle_timeout_s=3.0, request_body_rate_min=0)
    with serving(reads_body(65), limits) as worker:
        started = time.monotonic()
        answer = dripped(worker, b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 65\r\n\r\n")
        assert answer.endswith(b"ok")
        assert time.monotonic() - started > 6.0, "twice what the rate would be measured over"


def test_body_fast_enough_is_served_however_long_it_takes() -> None:
    with serving(reads_body(35_000), MORE_PATIENT) as worker, worker.connect() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 35000\r\n\r\n")
        for _ in range(35):
            time.sleep(0.2)  # 5,000 bytes a second, over more than twice what the rate is measured over
            connection.sendall(b"x" * 1000)
        assert all_of(connection).endswith(b"ok")


def test_response_that_the_client_hardly_takes_is_cut_short() -> None:
    body = 50_000_000

    def handle(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % body)
        connection.sendall(bytes(body))

    with serving(handle, PATIENT) as worker:
        connection = socket.socket()
        with connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(20)
            connection.connect(("127.0.0.1", worker.ports["web"]))
            connection.sendall(GET)
            is_over = threading.Event()

            def sip() -> None:
                while not is_over.wait(0.1):
                    connection.recv(10)

            thread = threading.Thread(target=sip, daemon=True)
            thread.start()
            try:
                until(lambda: worker.listener().connections == 0)
            finally:
                is_over.set()
                thread.join(20)
        until(lambda: worker.server("app/s1").in_flight == 0)  # it is counted down behind the connection
        assert not any(worker.server("app/s1").failures)


def test_slow_server_is_no_fault_of_the_client() -> None:
    def handle(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n")
        for _ in range(30):
            time.sleep(0.1)
            connection.sendall(b"x")

    with serving(handle, PATIENT) as worker, worker.connect() as connection:
        connection.sendall(GET)
        _, rest = read_head(connection)
        assert len(read_exactly(connection, 30, rest)) == 30


def test_server_that_stops_in_the_middle_of_a_body_is_cut_off_after_its_own_timeout() -> None:
    limits = Limits(server_idle_timeout_s=0.5, body_idle_timeout_s=60.0)

    def handle(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\nx")
        connection.recv(1)

    with serving(handle, limits) as worker, worker.connect() as connection:
        connection.sendall(GET)
        assert all_of(connection).endswith(b"x")
        until(lambda: worker.listener().outcomes[Outcome.RESPONSE_TIMEOUT] == 1)


# -- whole exchanges -----------------------------------------------------------------------------------------------------

SHORT = Limits(exchange_timeout_s=0.5)


def test_exchange_that_takes_too_long_is_504_and_its_connection_goes() -> None:
    def handle(connection: socket.socket) -> None:
        read_head(connection)
        connection.recv(1)

    with serving(handle, SHORT) as worker, worker.connect() as connection:
        connection.sendall(GET)
        answer = read_head(connection)[0]
        assert answer.startswith(b"HTTP/1.1 504 ")
        until(lambda: worker.listener().outcomes[Outcome.EXCHANGE_TIMEOUT] == 1)
        assert worker.server("app/s1").in_flight == 0


def test_response_under_way_when_the_time_is_up_is_cut_short() -> None:
    def handle(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"1\r\nx\r\n")
            time.sleep(0.1)

    with serving(handle, SHORT) as worker, worker.connect() as connection:
        connection.sendall(GET)
        answer = all_of(connection)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert not answer.endswith(b"0\r\n\r\n"), "nobody may take it for whole"
        until(lambda: worker.listener().outcomes[Outcome.EXCHANGE_TIMEOUT] == 1)


def test_time_between_exchanges_of_one_connection_does_not_count() -> None:
    def handle(connection: socket.socket) -> None:
        rest = b""
        while True:
            _, rest = read_head(connection, rest)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with serving(handle, Limits(exchange_timeout_s=1.5)) as worker, worker.connect() as connection:
        for _ in range(4):
            connection.sendall(GET)
            assert b" 200 " in read_head(connection)[0]
            time.sleep(0.6)


def echo_after_upgrade(connection: socket.socket) -> None:
    read_head(connection)
    connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    echo(connection)


def echo(connection: socket.socket) -> None:
    while data := connection.recv(65536):
        connection.sendall(data)


@pytest.mark.parametrize(("listener", "handler"), [(RAW, echo), (WEB, echo_after_upgrade)])
def test_tunnels_are_left_alone(listener: Listener, handler: Callable[[socket.socket], None]) -> None:
    limits = Limits(exchange_timeout_s=0.5, body_idle_timeout_s=0.5, request_body_rate_min=1000, response_rate_min=1000)
    with serving(handler, limits, listener) as worker, worker.connect(listener.name) as connection:
        if listener is WEB:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            assert b" 101 " in read_head(connection)[0]
        for _ in range(3):
            connection.sendall(b"x")
            assert connection.recv(1) == b"x"
            time.sleep(0.7)
