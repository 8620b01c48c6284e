"""Limits, queues and failover in a whole engine with two workers."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.engine.worker.harness import TcpServer, answering, read_head
from tests.system.harness import Engine, Load, listener_toml, pool_toml, running_engine, wait_for

pytestmark = pytest.mark.system

CHECK = '[pool.health_check]\ntype = "tcp"\ninterval = "500ms"\nrise = 1\nfall = 1\n'


class Busy:
    """A server that takes a moment for each answer, and knows how many it had at a time."""

    def __init__(self) -> None:
        self.at_once = self.at_once_max = self.served = 0
        self._lock = threading.Lock()

    def handle(self, connection: socket.socket) -> None:
        rest = b""
        while True:
            _, rest = read_head(connection, rest)
            with self._lock:
                self.at_once += 1
                self.at_once_max = max(self.at_once, self.at_once_max)
            time.sleep(0.002)
            with self._lock:
                self.at_once -= 1
                self.served += 1
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\ns")


def pool(engine: Engine, name: str = "app") -> dict[str, object]:
    return dict(next(each for each in engine.status()["pools"] if each["name"] == name))


def test_workers_together_keep_the_limit_and_lose_nothing(tmp_path: Path) -> None:
    busy = Busy()
    with ExitStack() as stack:
        backend = TcpServer(busy.handle)
        stack.callback(backend.close)
        toml = pool_toml("app", {"s1": backend.port}, extra='[pool.health_check]\ntype = "none"\n')
        engine = stack.enter_context(running_engine(tmp_path, listener_toml("app") + toml + "connections_max = 3\n"))
        with Load(engine.port(), clients=24) as load:
            wait_for(lambda: load.answered > 2000)
            status = pool(engine)
            assert status["queue"] is not None
        assert not load.failures
        assert busy.at_once_max == 3
        assert set(load.answers) == {"s"}
        found = wait_for(lambda: pool(engine) if pool(engine)["in_flight"] == 0 else None)
        assert found["queue"]["queued"] == 0  # type: ignore[index]
        assert found["queue"]["queued_total"] > 100  # type: ignore[index]
        assert "pool_queue_began" in engine.events()


def test_workers_take_turns_at_what_becomes_free(tmp_path: Path) -> None:
    """Both workers' clients get their share, though one alone could keep the server busy."""
    busy = Busy()
    with ExitStack() as stack:
        backend = TcpServer(busy.handle)
        stack.callback(backend.close)
        toml = pool_toml("app", {"s1": backend.port}, extra='[pool.health_check]\ntype = "none"\n')
        engine = stack.enter_context(running_engine(tmp_path, listener_toml("app") + toml + "connections_max = 1\n"))
        port, done = engine.port(), Counter[int]()

        def ask(number: int) -> None:
            with socket.create_connection(("127.0.0.1", port), 20) as client:
                rest = b""
                while not over.is_set():
                    client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    head, rest = read_head(client, b"")
                    assert b" 200 " in head
                    while len(rest) < 1:
                        rest += client.recv(10)
                    done[number] += 1

        over = threading.Event()
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        wait_for(lambda: done.total() > 1200, 60)
        over.set()
        for thread in threads:
            thread.join(20)
        assert len(done) == 12
        assert max(done.values()) < 3 * min(done.values())


def test_pool_that_loses_its_servers_is_served_by_backups_and_then_by_another_pool(tmp_path: Path) -> None:
    with ExitStack() as stack:
        servers = {name: TcpServer(answering(name.encode())) for name in ("a", "b", "c")}
        for each in servers.values():
            stack.callback(each.close) if each is servers["c"] else None
        app = pool_toml("app", {"a": servers["a"].port, "b": servers["b"].port}, extra=f'failover = "spare"\n{CHECK}')
        toml = (
            listener_toml("app") + app + "backup = true\n" + pool_toml("spare", {"c": servers["c"].port}, extra=CHECK)
        )
        engine = stack.enter_context(running_engine(tmp_path, toml))
        wait_for(lambda: all(server["health"] == "up" for server in pool(engine)["servers"]))  # type: ignore[attr-defined]
        with Load(engine.port(), clients=4) as load:
            wait_for(lambda: load.answers.get("a", 0) > 50)
            assert set(load.answers) == {"a"}
            servers["a"].close()
            wait_for(lambda: load.answers.get("b", 0) > 50)
            wait_for(lambda: "pool_on_backups" in engine.events())
            servers["b"].close()
            wait_for(lambda: load.answers.get("c", 0) > 50)
            wait_for(lambda: "pool_failed_over" in engine.events())
            found = pool(engine)
            assert (found["served_by"], found["is_on_backups"]) == ("spare", False)
