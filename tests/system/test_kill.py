"""What is in flight at one server, ended by an operator: nothing else notices, and the server goes on."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.engine.worker.harness import TcpServer, read_head
from tests.system.harness import NO_CHECK, Engine, lbapp, listener_toml, pool_toml, running_engine, wait_for

pytestmark = pytest.mark.system
CLIENTS = 6


class Named:
    """A server that answers each request with its name when `may_answer` is set; /now at once."""

    def __init__(self, name: bytes) -> None:
        self.may_answer = threading.Event()

        def handle(connection: socket.socket) -> None:
            while True:
                head, _ = read_head(connection)
                if not head.startswith(b"GET /now "):
                    self.may_answer.wait(60)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(name), name))

        self._server = TcpServer(handle)
        self.port = self._server.port

    def close(self) -> None:
        self.may_answer.set()
        self._server.close()


def ask(engine: Engine, path: str = "/") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", engine.port()), timeout=20)
    connection.sendall(b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n" % path.encode())
    return connection


def answer(connection: socket.socket) -> tuple[bytes, bytes]:
    """Return the status and the end of an answer."""
    head, body = read_head(connection)
    return head[9:12], body


def in_flight(engine: Engine) -> list[int]:
    return [engine.server(f"app/{name}")["in_flight"] for name in ("s1", "s2")]


def test_only_what_is_in_flight_at_that_server_ends_and_new_requests_still_reach_it(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    with ExitStack() as stack:
        first, second = Named(b"s1"), Named(b"s2")
        for each in (first, second):
            stack.callback(each.close)
        toml = listener_toml("app") + pool_toml("app", {"s1": first.port, "s2": second.port}, extra=NO_CHECK)
        toml += f'[access_log]\nto = "file:{log}"\n'
        engine = stack.enter_context(running_engine(tmp_path, toml))
        clients = [stack.enter_context(ask(engine)) for _ in range(CLIENTS)]
        wait_for(lambda: sum(in_flight(engine)) == CLIENTS)
        at_first, at_second = in_flight(engine)
        assert at_first
        assert at_second
        with engine.client() as client:
            done = client.kill({"servers": ["app/s1"], "reason": "it hangs"})
        assert done == {"servers": [{"server": "app/s1", "closed": at_first}], "workers_silent": 0}
        wait_for(lambda: in_flight(engine) == [0, at_second])
        assert engine.server("app/s1")["outcomes"]["aborted"] == at_first
        assert (engine.server("app/s1")["admin"], engine.server("app/s1")["is_eligible"]) == ("ready", True)
        second.may_answer.set()
        answers = sorted(answer(each) for each in clients)
        assert answers[:at_second] == [(b"200", b"s2")] * at_second
        assert [status for status, _ in answers[at_second:]] == [b"503"] * at_first
        assert all(b"ended by the operator" in body for _, body in answers[at_second:])
        found = {stack.enter_context(ask(engine, "/now")) for _ in range(2 * CLIENTS)}
        assert {answer(each) for each in found} == {(b"200", b"s1"), (b"200", b"s2")}
        with engine.client() as client:
            (event,) = [each for each in client.events(limit=100) if each["kind"] == "connections_killed"]
        assert (event["subject"], event["message"].endswith("ended by force: it hangs")) == ("app/s1", True)
        assert event["actor"]
        assert event["actor"]["pid"]
        wait_for(lambda: log.read_text().count('"ended_by":"operator"') == at_first)
        ended = [line for line in map(json.loads, log.read_text().splitlines()) if line["ended_by"] == "operator"]
        assert {(line["server"], line["phase"]) for line in ended} == {("app/s1", "headers")}


def test_tunnels_and_downloads_end_and_a_drain_goes_on(tmp_path: Path) -> None:
    def endless(connection: socket.socket) -> None:
        while True:
            connection.sendall(bytes(100_000))

    raw = TcpServer(endless)
    toml = listener_toml("raw", name="raw", protocol="tcp") + pool_toml("raw", {"r": raw.port}, extra=NO_CHECK)
    with running_engine(tmp_path, toml) as engine, ExitStack() as stack:
        clients = [
            stack.enter_context(socket.create_connection(("127.0.0.1", engine.port("raw")), timeout=20))
            for _ in range(3)
        ]
        wait_for(lambda: engine.server("raw/r")["in_flight"] == 3)
        assert lbapp(engine, "drain", "raw/r", "--timeout", "1h", "--force").returncode == 0
        done = lbapp(engine, "kill", "raw/*", "--json")
        assert json.loads(done.stdout)["servers"] == [{"server": "raw/r", "closed": 3}]
        wait_for(lambda: engine.server("raw/r")["in_flight"] == 0)
        wait_for(lambda: "server_drained" in engine.events())
        assert "drain_timed_out" not in engine.events()
        assert engine.server("raw/r")["admin"] == "drain"
        for client in clients:
            with_rest = client.makefile("rb")
            try:
                while with_rest.read(1 << 20):
                    pass
            except ConnectionResetError:
                pass  # what was not read is lost with the connection
            with_rest.close()
    raw.close()


def test_what_a_server_still_has_at_the_address_that_it_had_before_a_reload_ends_too(tmp_path: Path) -> None:
    with ExitStack() as stack:
        first, second = Named(b"s1"), Named(b"s2")
        for each in (first, second):
            stack.callback(each.close)
        toml = listener_toml("app") + pool_toml("app", {"s1": first.port}, extra=NO_CHECK)
        engine = stack.enter_context(running_engine(tmp_path, toml))
        client = stack.enter_context(ask(engine))
        wait_for(lambda: engine.server("app/s1")["in_flight"] == 1)
        configuration = tmp_path / "lbapp.toml"
        configuration.write_text(configuration.read_text().replace(f":{first.port}", f":{second.port}"))
        assert lbapp(engine, "reload").returncode == 0
        assert answer(stack.enter_context(ask(engine, "/now"))) == (b"200", b"s2")
        assert lbapp(engine, "kill", "app/s1").stdout == "app/s1: 1 in flight ended\n"
        assert answer(client)[0] == b"503"
