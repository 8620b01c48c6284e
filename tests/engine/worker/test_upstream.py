"""Connections to servers: closed by force whatever is under way on them."""

from __future__ import annotations

import socket
import threading

import pytest

from lbapp.engine.channel import CloseServer
from lbapp.engine.questions import Answer, EndInFlight
from lbapp.model.entities import AlgorithmName, Bind, Listener, Pool
from lbapp.model.outcomes import Outcome
from tests.engine.worker.harness import Handler, TcpServer, read_head, running_worker, server
from tests.system.harness import wait_for

pytestmark = pytest.mark.system

WEB = (Listener("web", (Bind("127.0.0.1", 0),), pool="app"),)
BLOCK = b"x" * 1_000_000


def sending_without_end(head: bytes, block: bytes) -> Handler:
    def handle(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(head)
        while True:
            connection.sendall(block)

    return handle


DOWNLOADS = {
    "length": (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n", BLOCK),
    "chunked": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"%x\r\n%b\r\n" % (len(BLOCK), BLOCK)),
}


@pytest.mark.parametrize("is_read", [False, True])
@pytest.mark.parametrize("name", DOWNLOADS)
def test_download_is_closed_by_force_whether_the_client_reads_or_not(name: str, is_read: bool) -> None:
    backend = TcpServer(sending_without_end(*DOWNLOADS[name]))
    is_ended = threading.Event()
    with running_worker(WEB, (Pool("app", (server("a", backend.port),)),)) as worker, worker.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")

        def read() -> None:
            try:
                while client.recv(1 << 20):
                    pass
            except OSError:
                pass
            is_ended.set()

        client.recv(100)
        if is_read:
            threading.Thread(target=read, daemon=True).start()
        threading.Event().wait(0.3)  # until what the client does not read fills every buffer on the way
        assert worker.server("app/a").in_flight == 1
        worker.send(CloseServer(worker.rows.servers["app/a"]))
        wait_for(lambda: worker.listener().outcomes[Outcome.ABORTED] == 1, timeout_s=5)
        totals = worker.server("app/a")
        assert (totals.in_flight, totals.connections) == (0, 0)
        wait_for(lambda: worker.listener().connections == 0, timeout_s=5)
        if is_read:
            assert is_ended.wait(5)
    backend.close()


def test_what_is_ended_at_one_server_leaves_the_others_alone_and_is_counted() -> None:
    may_answer = threading.Event()

    def slow(connection: socket.socket) -> None:
        read_head(connection)
        may_answer.wait(20)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    first, second = TcpServer(slow), TcpServer(slow)
    pool = Pool("app", (server("a", first.port), server("b", second.port)), AlgorithmName.ROUND_ROBIN)
    with running_worker(WEB, (pool,)) as worker:
        clients = [worker.connect() for _ in range(4)]
        for client in clients:
            client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        wait_for(lambda: worker.server("app/a").in_flight == worker.server("app/b").in_flight == 2)
        row = worker.rows.servers["app/a"]
        assert worker.ask(EndInFlight(7, (row, 99))) == Answer(7, ended=(2, 0))
        wait_for(lambda: worker.listener().outcomes[Outcome.ABORTED] == 2)
        may_answer.set()
        answers = sorted(client.recv(1000)[:12] for client in clients)
        assert answers == [b"HTTP/1.1 200", b"HTTP/1.1 200", b"HTTP/1.1 503", b"HTTP/1.1 503"]
        assert worker.server("app/a").outcomes[Outcome.ABORTED] == 2
        assert worker.server("app/b").outcomes[Outcome.ABORTED] == 0
        for client in clients:
            client.close()
    first.close()
    second.close()
