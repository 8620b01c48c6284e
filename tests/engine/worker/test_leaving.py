"""Idle clients of a worker that asks them to leave: one whose request has come is answered first."""

from __future__ import annotations

import os
import select
import signal
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from lbapp.engine.channel import SendAway
from lbapp.model.entities import Bind, Listener, Pool
from lbapp.model.limits import OVERDUE_PER_TURN_MAX
from tests.engine.worker.harness import RunningWorker, TcpServer, answering, read_head, running_worker, server
from tests.system.harness import wait_for

pytestmark = pytest.mark.system

WEB = (Listener("web", (Bind("127.0.0.1", 0),), pool="app"),)
GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
CLIENTS = 800


def ask(client: socket.socket) -> bytes:
    client.sendall(GET)
    return read_head(client)[0]


def is_stopped(worker: RunningWorker) -> bool:
    return Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def stop_among(worker: RunningWorker, clients: list[socket.socket]) -> list[socket.socket]:
    """Stop the worker as soon as it has closed one of the clients; return those that are open still."""
    poller = select.epoll()
    for client in clients:
        poller.register(client, select.EPOLLIN)
    assert poller.poll(20, 1)
    os.kill(worker.pid, signal.SIGSTOP)
    wait_for(lambda: is_stopped(worker))
    closed = {number for number, _ in poller.poll(0, CLIENTS)}
    poller.close()
    return [client for client in clients if client.fileno() not in closed]


def test_client_that_asks_while_others_are_closed_is_answered() -> None:
    backend = TcpServer(answering(b"x"))
    pools = (Pool("app", (server("s", backend.port),)),)
    with running_worker(WEB, pools) as worker:
        for _ in range(10):  # until the worker is stopped in the midst of it
            with ExitStack() as stack:
                clients = [stack.enter_context(worker.connect()) for _ in range(CLIENTS)]
                for client in clients:
                    assert b" 200 " in ask(client)
                worker.send(SendAway(is_on=True))
                left = stop_among(worker, clients)
                for client in left:
                    client.sendall(GET)
                os.kill(worker.pid, signal.SIGCONT)
                lost = 0
                for client in left:
                    try:
                        head = read_head(client)[0].lower()
                    except OSError:
                        lost += 1
                    else:
                        assert b"connection: close" in head
                worker.send(SendAway(is_on=False))
            assert lost <= OVERDUE_PER_TURN_MAX, "those that were about to be closed"
            if len(left) > 2 * OVERDUE_PER_TURN_MAX:
                break
        else:
            raise AssertionError("the worker was never stopped in the midst of it")
    backend.close()
