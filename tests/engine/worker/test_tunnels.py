"""TCP connections through a real worker: relayed, half-closed, counted while they run, closed by force."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lbapp.engine.channel import CloseServer
from lbapp.engine.worker.relay import Pipes
from lbapp.model.entities import AlgorithmName, Bind, Listener, Pool, Protocol
from lbapp.model.limits import Limits
from lbapp.model.outcomes import FailureKind, Outcome
from tests.engine.worker.harness import Handler, RunningWorker, TcpServer, read_exactly, running_worker, server
from tests.system.harness import free_port, wait_for

pytestmark = pytest.mark.system

TCP = (Listener("tcp", (Bind("127.0.0.1", 0),), Protocol.TCP, pool="app"),)


def echo_then_sum(connection: socket.socket) -> None:
    """Read to the end, then say how much came: the answer to a half-closed client."""
    count = 0
    while data := connection.recv(65536):
        count += len(data)
    connection.sendall(b"%d" % count)


def holding(is_over: threading.Event) -> Handler:
    """A server that says and reads nothing."""

    def hold(_connection: socket.socket) -> None:
        is_over.wait(20)

    return hold


@contextmanager
def tcp_worker(handler: Handler, limits: Limits | None = None) -> Iterator[RunningWorker]:
    backend = TcpServer(handler)
    try:
        with running_worker(TCP, (Pool("app", (server("s1", backend.port),)),), limits) as worker:
            yield worker
    finally:
        backend.close()


def test_half_closed_client_still_gets_its_answer() -> None:
    with tcp_worker(echo_then_sum) as worker:
        with worker.connect("tcp") as client:
            client.sendall(b"x" * 300_000)
            client.shutdown(socket.SHUT_WR)
            assert client.makefile("rb").read() == b"300000"
        wait_for(lambda: worker.listener("tcp").outcomes[Outcome.COMPLETED] == 1)
        totals = worker.server("app/s1")
        assert (totals.bytes_in, totals.bytes_out, totals.in_flight, totals.connections) == (300_000, 6, 0, 0)
        assert totals.outcomes[Outcome.COMPLETED] == totals.requests == 1


def test_bytes_are_counted_while_the_connection_is_open() -> None:
    is_over = threading.Event()

    def greet(connection: socket.socket) -> None:
        connection.sendall(b"hello")
        is_over.wait(20)

    with tcp_worker(greet) as worker, worker.connect("tcp") as client:
        assert read_exactly(client, 5) == b"hello"
        wait_for(lambda: worker.server("app/s1").bytes_out == worker.listener("tcp").bytes_out == 5)
        wait_for(lambda: worker.listener("tcp").in_flight == worker.server("app/s1").in_flight == 1)
        is_over.set()


@pytest.mark.parametrize("said_bytes", [0, 5, 8_000_000])
def test_connection_closed_by_force_ends_on_both_sides_and_is_recorded(said_bytes: int) -> None:
    is_over = threading.Event()
    with tcp_worker(holding(is_over)) as worker, worker.connect("tcp") as client:
        client.settimeout(0.2)
        try:
            client.sendall(b"x" * said_bytes)
        except TimeoutError:
            pass  # the server reads nothing: the pipe and both sockets are full
        client.settimeout(20)
        wait_for(lambda: worker.server("app/s1").in_flight == 1)
        worker.send(CloseServer(worker.rows.servers["app/s1"]))
        try:
            assert client.recv(1) == b""
        except ConnectionResetError:
            pass  # what the server had not read was lost with its connection
        wait_for(lambda: worker.listener("tcp").outcomes[Outcome.ABORTED] == 1)
        assert worker.server("app/s1").in_flight == 0
        wait_for(lambda: (worker.server("app/s1").connections, worker.listener("tcp").connections) == (0, 0))
        is_over.set()


def test_silent_connection_ends_when_its_time_is_over() -> None:
    is_over = threading.Event()
    with tcp_worker(holding(is_over), Limits(tunnel_idle_timeout_s=0.3)) as worker:
        with worker.connect("tcp") as client:
            assert client.recv(1) == b""
        wait_for(lambda: worker.listener("tcp").outcomes[Outcome.ABORTED] == 1)
        is_over.set()


def test_server_that_refuses_is_passed_over_and_counted() -> None:
    backend = TcpServer(echo_then_sum)
    pool = Pool("app", (server("dead", free_port()), server("alive", backend.port)))
    with running_worker(TCP, (pool,)) as worker:
        for _ in range(4):
            with worker.connect("tcp") as client:
                client.shutdown(socket.SHUT_WR)
                assert client.makefile("rb").read() == b"0"
        dead = worker.server("app/dead")
        assert dead.failures[FailureKind.CONNECT_REFUSED] == worker.server("app/alive").retries > 0
    backend.close()


def test_algorithm_that_learns_gives_a_server_that_refuses_hardly_any_connection() -> None:
    backend = TcpServer(echo_then_sum)
    servers = (server("dead", free_port()), server("alive", backend.port))
    pool = Pool("app", servers, algorithm=AlgorithmName.LEAST_RESPONSE_TIME)
    with running_worker(TCP, (pool,)) as worker:
        for _ in range(60):
            with worker.connect("tcp") as client:
                client.shutdown(socket.SHUT_WR)
                assert client.makefile("rb").read() == b"0"
        assert worker.server("app/dead").failures[FailureKind.CONNECT_REFUSED] <= 6, (
            "half of them, if nothing were learned"
        )
    backend.close()


def test_silent_connection_costs_its_two_sockets_and_no_pipe() -> None:
    is_over = threading.Event()
    with tcp_worker(holding(is_over)) as worker:
        opened = []
        before = _descriptors(worker)
        for _ in range(20):
            client = worker.connect("tcp")
            client.sendall(b"a few bytes, and then nothing")
            opened.append(client)
        wait_for(lambda: worker.server("app/s1").bytes_in == 20 * 29)
        assert _descriptors(worker) - before <= 2 * 20 + 2  # and the one pipe in stock
        for client in opened:
            client.close()
        is_over.set()


def test_pipes_that_are_all_in_use_are_not_had_until_one_is_given_back() -> None:
    pipes = Pipes(1)
    ends = pipes.take()
    assert ends is not None
    assert pipes.take() is None
    pipes.give_back(ends, is_empty=False)
    again = pipes.take()
    assert again is not None
    os.write(again[1], b"x")
    assert os.read(again[0], 2) == b"x"  # and not what the other held
    pipes.give_back(again, is_empty=False)


def _descriptors(worker: RunningWorker) -> int:
    return len(list(Path(f"/proc/{worker.pid}/fd").iterdir()))
