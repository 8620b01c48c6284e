"""Drains in a whole engine: hard ones, those of a whole pool, what they show, and that they outlive the engine."""

from __future__ import annotations

import signal
import socket
import threading
from pathlib import Path

import pytest

from lbapp.control.messages import DrainStatus
from tests.engine.worker.harness import TcpServer, answering, read_head
from tests.system.harness import (
    NO_CHECK,
    Engine,
    Load,
    lbapp,
    listener_toml,
    pool_toml,
    request,
    running_engine,
    wait_for,
)
from tests.system.test_agents import COOKIE, cookie_of, names

pytestmark = pytest.mark.system


def drain_of(engine: Engine, server: str) -> DrainStatus:
    drain = engine.server(server)["drain"]
    assert drain is not None
    return drain


def test_hard_drain_leaves_nobody_there_and_outlives_the_engine(tmp_path: Path) -> None:
    one, two = TcpServer(answering(b"s1")), TcpServer(answering(b"s2"))
    toml = listener_toml("app") + pool_toml("app", {"s1": one.port, "s2": two.port}, extra=COOKIE + NO_CHECK)
    with running_engine(tmp_path, toml) as engine:
        remembered = cookie_of(engine, "s1")
        assert lbapp(engine, "drain", "app/s1", "--timeout", "1h").returncode == 0
        assert names(engine, 4, remembered) == {"s1"}, "who had it may come back"
        assert names(engine, 4) == {"s2"}
        done = lbapp(engine, "drain", "app/s1", "--hard", "--timeout", "1h")
        assert "state drain -> hard drain" in done.stdout
        assert names(engine, 4, remembered) == {"s2"}, "and now may not"
        assert drain_of(engine, "app/s1")["hard"]
        engine.process.send_signal(signal.SIGKILL)
        engine.process.wait(20)
    with running_engine(tmp_path, toml) as engine:
        drain = drain_of(engine, "app/s1")
        assert drain["hard"]
        assert 3000 < drain["remaining_s"] < 3600
        assert names(engine, 4, cookie_of(engine, "s2")) == {"s2"}
        assert "state hard drain -> drain" in lbapp(engine, "undo").stdout.replace("hard_drain", "hard drain")
        assert not drain_of(engine, "app/s1")["hard"]
    one.close()
    two.close()


def test_drain_tells_what_is_open_how_old_it_is_and_when_it_will_be_done(tmp_path: Path) -> None:
    may_answer = [threading.Event() for _ in range(4)]
    arrived: list[int] = []

    def slow(connection: socket.socket) -> None:
        read_head(connection)
        arrived.append(1)
        may_answer[len(arrived) - 1].wait(30)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

    server = TcpServer(slow)
    toml = listener_toml("app") + pool_toml("app", {"s1": server.port}, extra=NO_CHECK)
    with running_engine(tmp_path, toml) as engine:
        asking = [threading.Thread(target=request, args=(engine.port(),)) for _ in range(4)]
        for number, thread in enumerate(asking):
            thread.start()
            wait_for(lambda wanted=number + 1: len(arrived) == wanted)  # type: ignore[misc]
        assert lbapp(engine, "drain", "app", "--force", "--timeout", "1h").returncode == 0
        wait_for(lambda: (drain_of(engine, "app/s1")["oldest_s"] or 0) > 1.0)
        drain = drain_of(engine, "app/s1")
        assert (drain["in_flight"], drain["tunnels"], drain["finish_s"], drain["remembered"]) == (4, 0, None, None)
        for each in may_answer[:2]:
            each.set()
        wait_for(lambda: drain_of(engine, "app/s1")["in_flight"] == 2)
        wait_for(lambda: drain_of(engine, "app/s1")["finish_s"])
        for each in may_answer:
            each.set()
        for thread in asking:
            thread.join(20)
        wait_for(lambda: drain_of(engine, "app/s1")["phase"] == "drained")
        assert drain_of(engine, "app/s1")["finish_s"] == 0.0
    server.close()


def test_tunnels_and_remembered_clients_are_counted(tmp_path: Path) -> None:
    def hold(connection: socket.socket) -> None:
        while connection.recv(100):
            pass

    server = TcpServer(hold)
    persistence = '[pool.persistence]\ntype = "ip"\n'
    toml = listener_toml("app", protocol="tcp") + pool_toml("app", {"s1": server.port}, extra=persistence + NO_CHECK)
    with running_engine(tmp_path, toml) as engine:
        with socket.create_connection(("127.0.0.1", engine.port()), timeout=20) as client:
            client.sendall(b"x")
            wait_for(lambda: engine.server("app/s1")["in_flight"] == 1)
            assert lbapp(engine, "drain", "app/s1", "--force").returncode == 0
            wait_for(lambda: drain_of(engine, "app/s1")["tunnels"] == 1)
            wait_for(lambda: drain_of(engine, "app/s1")["remembered"] == 1)
            assert (drain_of(engine, "app/s1")["oldest_s"] or 0) > 0
        wait_for(lambda: drain_of(engine, "app/s1")["phase"] == "drained")
        assert lbapp(engine, "drain", "app/s1", "--force", "--wait").returncode == 0
    server.close()


def test_pool_is_drained_as_one_and_taken_back_as_one(tmp_path: Path) -> None:
    servers = {f"s{number}": TcpServer(answering(b"x")) for number in (1, 2, 3)}
    ports = {name: server.port for name, server in servers.items()}
    toml = listener_toml("app") + pool_toml("app", ports, extra=NO_CHECK)
    toml += pool_toml("other", ports, extra=NO_CHECK)
    with running_engine(tmp_path, toml) as engine:
        done = lbapp(engine, "drain", "app")
        assert done.returncode == 1
        assert "pool app would have no server for new clients" in done.stderr
        assert lbapp(engine, "drain", "app", "--force", "--wait").returncode == 0
        admins = {each["id"]: each["admin"] for pool in engine.status()["pools"] for each in pool["servers"]}
        assert admins == {f"app/{name}": "drain" for name in ports} | {f"other/{name}": "ready" for name in ports}
        assert lbapp(engine, "undo").returncode == 0
        assert {each["admin"] for pool in engine.status()["pools"] for each in pool["servers"]} == {"ready"}
        assert "Did you mean app?" in lbapp(engine, "drain", "ap").stderr
    for server in servers.values():
        server.close()


def test_a_hundred_drains_and_returns_under_load_fail_no_request(tmp_path: Path) -> None:
    servers = {name: TcpServer(answering(name.encode())) for name in ("s1", "s2", "s3")}
    ports = {name: server.port for name, server in servers.items()}
    toml = listener_toml("app") + pool_toml("app", ports, extra=NO_CHECK)
    with running_engine(tmp_path, toml) as engine, engine.client() as client, Load(engine.port()) as load:
        for number in range(100):
            name = f"s{number % 3 + 1}"
            client.patch_server("app", name, {"state": "drain", "hard": number % 2 == 0})
            client.patch_server("app", name, {"state": "ready"})
        assert load.answered > 200
        assert load.failures == []
    for server in servers.values():
        server.close()


def test_node_asks_its_clients_to_leave_serves_those_that_come_and_outlives_the_engine(tmp_path: Path) -> None:
    server = TcpServer(answering(b"x"))
    toml = listener_toml("app") + pool_toml("app", {"s1": server.port}, extra=NO_CHECK)
    ask = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"

    def connect(engine: Engine) -> socket.socket:
        return socket.create_connection(("127.0.0.1", engine.port()), timeout=20)

    with running_engine(tmp_path, toml) as engine:
        with connect(engine) as idle, connect(engine) as kept:
            kept.sendall(ask)
            head, rest = read_head(kept)
            assert b"connection: close" not in head.lower()
            assert (rest or kept.recv(1)) == b"x"
            assert "node: state ready -> drain" in lbapp(engine, "drain", "--node", "--timeout", "1h").stdout

            def is_asked_to_leave() -> bool:
                kept.sendall(ask)
                head, rest = read_head(kept)
                assert (rest or kept.recv(1)) == b"x"
                return b"connection: close" in head.lower()

            wait_for(is_asked_to_leave)  # the worker hears of it a moment after the operator
            assert idle.recv(100) == b"", "who is idle is let go"
        wait_for(lambda: "node_drained" in engine.events())
        answer = request(engine.port(), ask)
        assert answer.endswith(b"x")
        assert b"connection: close" in answer.lower(), "who comes is served once"
        assert lbapp(engine, "drain", "--node", "--wait").returncode == 0
        engine.process.send_signal(signal.SIGKILL)
        engine.process.wait(20)
    with running_engine(tmp_path, toml) as engine:
        drain = engine.status()["engine"]["drain"]
        assert drain is not None
        assert b"connection: close" in request(engine.port(), ask).lower()
        assert lbapp(engine, "undo").returncode == 0
        assert engine.status()["engine"]["drain"] is None
        assert lbapp(engine, "drain", "--node").returncode == 0
        assert lbapp(engine, "ready", "--node").returncode == 0
        assert engine.status()["engine"]["drain"] is None
        with connect(engine) as kept:
            for _ in range(2):
                kept.sendall(ask)
                head, rest = read_head(kept)
                assert b"connection: close" not in head.lower()
                assert (rest or kept.recv(1)) == b"x"
        assert lbapp(engine, "drain").returncode == 2
        assert lbapp(engine, "drain", "app", "--node").returncode == 2
    server.close()


def test_clients_that_stay_are_closed_by_force_when_the_nodes_time_is_over(tmp_path: Path) -> None:
    def hold(connection: socket.socket) -> None:
        while connection.recv(100):
            pass

    server = TcpServer(hold)
    toml = listener_toml("app", protocol="tcp") + pool_toml("app", {"s1": server.port}, extra=NO_CHECK)
    with running_engine(tmp_path, toml) as engine:
        with socket.create_connection(("127.0.0.1", engine.port()), timeout=20) as client:
            client.sendall(b"x")
            wait_for(lambda: engine.server("app/s1")["in_flight"] == 1)
            assert lbapp(engine, "drain", "--node", "--timeout", "500ms").returncode == 0
            assert client.recv(100) == b""
        wait_for(lambda: "node_drained" in engine.events())
        assert "drain_timed_out" in engine.events()
    server.close()
