"""What servers say of themselves, in a whole engine: by their agents, by a 404, and by nothing yet."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lbapp.control.messages import AgentStatus
from tests.engine.worker.harness import Handler, TcpServer, answering, read_head
from tests.system.harness import Engine, free_port, lbapp_says, request, running_engine, wait_for

pytestmark = pytest.mark.system

LISTENER = '[[listener]]\nname = "web"\nbind = "127.0.0.1:0"\npool = "app"\n'
COOKIE = '[pool.persistence]\ntype = "cookie"\ncookie = "LB"\n'


class Agent:
    """An agent that says what it is told to say."""

    def __init__(self) -> None:
        self.line = b"ready\n"
        self.asked = 0

    def __call__(self, connection: socket.socket) -> None:
        self.asked += 1
        connection.sendall(self.line)


@contextmanager
def serving(*handlers: Handler) -> Iterator[list[int]]:
    """Run servers; return their ports."""
    servers = [TcpServer(handler) for handler in handlers]
    try:
        yield [server.port for server in servers]
    finally:
        for server in servers:
            server.close()


def pool(ports: dict[str, int], more: str) -> str:
    servers = "".join(
        f'[[pool.server]]\nname = "{name}"\naddress = "127.0.0.1:{port}"\n' for name, port in ports.items()
    )
    return f'{LISTENER}[[pool]]\nname = "app"\nalgorithm = "round_robin"\n{more}{servers}'


def names(engine: Engine, count: int = 12, cookie: str = "") -> set[str]:
    """Return which servers answer so many requests, each on a connection of its own."""
    raw = f"GET / HTTP/1.1\r\nHost: h\r\n{cookie}Connection: close\r\n\r\n".encode()
    answers = [request(engine.port(), raw) for _ in range(count)]
    return {
        answer.rpartition(b"\r\n\r\n")[2].decode() if b" 200 " in answer[:20] else answer[9:12].decode()
        for answer in answers
    }


def agent_of(engine: Engine, name: str) -> AgentStatus:
    agent = engine.server(f"app/{name}")["agent"]
    assert agent is not None
    return agent


def cookie_of(engine: Engine, name: str) -> str:
    """Ask until a server has answered a new client; return the field that brings it back there."""
    for _ in range(30):
        answer = request(engine.port())
        if answer.endswith(name.encode()):
            line = next(line for line in answer.split(b"\r\n") if line.lower().startswith(b"set-cookie: "))
            return f"Cookie: {line[12:].partition(b';')[0].decode()}\r\n"
    raise AssertionError(f"{name} has answered nobody")


def test_agent_says_how_much_whom_and_nobody_and_its_words_end(tmp_path: Path) -> None:
    agent = Agent()
    with serving(answering(b"s1"), answering(b"s2"), agent) as (one, two, port):
        more = f'{COOKIE}[pool.health_check]\ntype = "none"\n[pool.health_check.agent]\nport = {port}\ninterval = "200ms"\n'
        with running_engine(tmp_path, pool({"s1": one, "s2": two}, more)) as engine:
            # Both servers are on one machine here, and so have one agent.
            def said(word: str) -> None:
                agent.line = word.encode() + b"\n"
                wait_for(lambda: all(agent_of(engine, name)["line"] == word for name in ("s1", "s2")))

            wait_for(lambda: agent.asked >= 2)
            remembered = cookie_of(engine, "s1")
            said("drain")
            assert names(engine, 4) == {"503"}
            assert names(engine, 4, remembered) == {"s1"}, "who had it is served"
            said("maint # new disks")
            assert names(engine, 4, remembered) == {"503"}, "and now nobody is"
            assert engine.server("app/s1")["no_new_clients"] == "its agent says maint"
            assert engine.server("app/s1")["is_for_nobody"]
            said("up")
            assert names(engine, 4, remembered) == {"503"}, "up is said of health only"
            said("ready 50%")
            assert names(engine) == {"s1", "s2"}
            assert (agent_of(engine, "s1")["percent"], agent_of(engine, "s1")["error"]) == (50, "")
            said("nonsense")
            assert "says what is not known: nonsense" in agent_of(engine, "s1")["error"]
            assert lbapp_says(engine, "status").count("50% of its weight by its agent") == 2
            asked = [kind for kind in engine.events() if kind.startswith(("server_asks", "server_takes"))]
            assert sorted(asked) == [
                *["server_asks_for_no_new_clients"] * 2, *["server_asks_for_nobody"] * 2, *["server_takes_new_clients"] * 2,
            ]  # fmt: skip


def test_agent_is_asked_at_once_when_its_server_leaves_maintenance(tmp_path: Path) -> None:
    agent = Agent()
    with serving(answering(b"s1"), agent) as (one, port):
        more = f'[pool.health_check]\ntype = "none"\n[pool.health_check.agent]\nport = {port}\ninterval = "1h"\n'
        with running_engine(tmp_path, pool({"s1": one}, more)) as engine:
            wait_for(lambda: agent.asked >= 1, 30)
            before = agent.asked
            for verb in ("maint", "ready"):
                lbapp_says(engine, verb, "app/s1", "--force")
            wait_for(lambda: agent.asked > before)


def test_words_of_an_agent_outlive_a_reload_and_a_server_that_it_brings_is_asked_for_at_once(tmp_path: Path) -> None:
    agent = Agent()
    agent.line = b"50%\n"
    with serving(answering(b"s1"), answering(b"s2"), agent) as (one, two, port):
        more = f'[pool.health_check]\ntype = "none"\n[pool.health_check.agent]\nport = {port}\ninterval = "1h"\n'
        with running_engine(tmp_path, pool({"s1": one}, more)) as engine:
            wait_for(lambda: agent_of(engine, "s1")["line"])
            agent.line = b"maxconn:7\n"
            lbapp_says(engine, "add", "app/s2", f"127.0.0.1:{two}")
            wait_for(lambda: agent_of(engine, "s2")["line"])
            found = [agent_of(engine, name) for name in ("s1", "s2")]
            assert [(each["percent"], each["connections_max"]) for each in found] == [(50, 7), (100, 7)]
            assert agent.asked == 2, "one question is for both"


def test_server_that_is_to_be_checked_first_gets_nobody_before(tmp_path: Path) -> None:
    port = free_port()
    more = '[pool.health_check]\ntype = "tcp"\ninterval = "200ms"\nrise = 2\nstart = "checked"\n'
    with serving(answering(b"s1")) as (one,), running_engine(tmp_path, pool({"s1": one, "s2": port}, more)) as engine:
        wait_for(lambda: engine.server("app/s1")["health"] == "up")
        assert names(engine) == {"s1"}, "s2 was never found up"
        server = TcpServer(answering(b"s2"), port=port)
        wait_for(lambda: engine.server("app/s2")["health"] == "up")
        assert names(engine) == {"s1", "s2"}
        server.close()


def test_server_that_says_404_keeps_the_clients_it_has(tmp_path: Path) -> None:
    status = [b"200 OK"]

    def with_check(name: bytes) -> Handler:
        def handle(connection: socket.socket) -> None:
            rest = b""
            while True:
                head, rest = read_head(connection, rest)
                is_check = head.startswith(b"GET /ready")
                line = status[0] if is_check and name == b"s1" else b"200 OK"
                connection.sendall(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (line, len(name), name))

        return handle

    more = f'{COOKIE}[pool.health_check]\ntype = "http"\npath = "/ready"\ninterval = "200ms"\nnot_found = "no_new_clients"\n'
    with (
        serving(with_check(b"s1"), with_check(b"s2")) as (one, two),
        running_engine(tmp_path, pool({"s1": one, "s2": two}, more)) as engine,
    ):
        wait_for(lambda: engine.server("app/s1")["health"] == "up")
        remembered = cookie_of(engine, "s1")
        status[0] = b"404 Not Found"
        wait_for(lambda: engine.server("app/s1")["no_new_clients"])
        assert names(engine) == {"s2"}
        assert names(engine, 4, remembered) == {"s1"}
        status[0] = b"200 OK"
        wait_for(lambda: not engine.server("app/s1")["no_new_clients"])
        assert names(engine) == {"s1", "s2"}
