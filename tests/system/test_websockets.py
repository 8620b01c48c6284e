"""WebSocket clients and servers of the `websockets` package, through a whole engine."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import Server, ServerConnection, serve

from tests.system.harness import Engine, pool_toml, running_engine, wait_for

pytestmark = pytest.mark.system


def echo(connection: ServerConnection) -> None:
    """Send everything back; close with a code of one's own when told."""
    for message in connection:
        if message == "close":
            connection.close(4321, "as you wish")
            return
        if message == "vanish":
            connection.socket.close()
            return
        connection.send(message)


@contextmanager
def websocket_server() -> Iterator[int]:
    server: Server = serve(echo, "127.0.0.1", 0, max_size=None)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.socket.getsockname()[1]
    finally:
        server.shutdown()
        thread.join()


@contextmanager
def engine_before(folder: Path, port: int, keys: str = "", drain: str = "5m") -> Iterator[Engine]:
    listener = f'[[listener]]\nname = "web"\nbind = "127.0.0.1:0"\npool = "ws"\n{keys}\n'
    extra = f'health_check = {{ type = "none" }}\ndrain = {{ timeout = "{drain}" }}\n'
    with running_engine(folder, listener + pool_toml("ws", {"s1": port}, extra=extra)) as engine:
        yield engine


def client_of(engine: Engine) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{engine.port()}/chat", max_size=None, proxy=None)


def test_messages_of_every_kind_and_size_come_back_whole(tmp_path: Path) -> None:
    with websocket_server() as port, engine_before(tmp_path, port) as engine, client_of(engine) as client:
        for message in ("hello", "", "\N{SNOWMAN}" * 1000, b"", bytes(range(256)), os.urandom(5_000_000)):
            client.send(message)
            assert client.recv(30) == message
        client.send(["in", " ", "parts"])
        assert client.recv(30) == "in parts"
        assert client.ping(b"are you there").wait(10)
        wait_for(lambda: engine.server("ws/s1")["in_flight"] == 1)
        client.close()
        wait_for(lambda: engine.server("ws/s1")["in_flight"] == 0)


def test_close_codes_pass_both_ways(tmp_path: Path) -> None:
    with websocket_server() as port, engine_before(tmp_path, port) as engine:
        with client_of(engine) as client:
            client.send("close")
            with pytest.raises(ConnectionClosedError):
                client.recv(10)
            assert (client.close_code, client.close_reason) == (4321, "as you wish")
        with client_of(engine) as client:
            client.close(1000, "done")
            with pytest.raises(ConnectionClosedOK):
                client.recv(10)
            assert client.close_code == 1000


def test_server_that_vanishes_ends_the_clients_connection(tmp_path: Path) -> None:
    with websocket_server() as port, engine_before(tmp_path, port) as engine, client_of(engine) as client:
        client.send("vanish")
        with pytest.raises(ConnectionClosedError):
            client.recv(10)
        assert client.close_code == 1006


def test_many_clients_talk_at_once(tmp_path: Path) -> None:
    with websocket_server() as port, engine_before(tmp_path, port) as engine, ExitStack() as owned:
        clients = [owned.enter_context(client_of(engine)) for _ in range(30)]
        for turn in range(5):
            for at, client in enumerate(clients):
                client.send(f"{turn}/{at}")
            for at, client in enumerate(clients):
                assert client.recv(10) == f"{turn}/{at}"
        wait_for(lambda: engine.server("ws/s1")["in_flight"] == 30)
    assert all(client.close_code == 1000 for client in clients)


def test_drain_leaves_a_conversation_alone_until_its_time_is_over(tmp_path: Path) -> None:
    with websocket_server() as port, engine_before(tmp_path, port, drain="4s") as engine, client_of(engine) as client:
        with engine.client() as control:
            control.patch_server("ws", "s1", {"state": "drain", "force": True})
        client.send("still here")
        assert client.recv(10) == "still here"
        with pytest.raises(ConnectionClosedError):
            client.recv(20)
        wait_for(lambda: engine.server("ws/s1")["in_flight"] == 0)


def test_silence_ends_a_conversation_after_the_listeners_own_timeout(tmp_path: Path) -> None:
    with websocket_server() as port, engine_before(tmp_path, port, 'tunnel_idle_timeout = "500ms"') as engine:
        silent = connect(f"ws://127.0.0.1:{engine.port()}/", ping_interval=None, proxy=None)
        with silent as client, pytest.raises(ConnectionClosedError):
            client.recv(20)


def test_listener_without_upgrades_offers_none(tmp_path: Path) -> None:
    with websocket_server() as port, engine_before(tmp_path, port, 'upgrade = "none"') as engine:
        with pytest.raises(InvalidStatus) as refused, client_of(engine):
            pass
        assert refused.value.response.status_code == 426  # the server's own answer to a plain request
