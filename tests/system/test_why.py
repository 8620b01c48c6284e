"""Why a server was chosen, asked of a running engine."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.engine.worker.harness import TcpServer, answering, read_head
from tests.system.harness import Engine, lbapp, listener_toml, pool_toml, request, running_engine, wait_for

pytestmark = pytest.mark.system
CHECK = '[pool.health_check]\ntype = "tcp"\ninterval = "200ms"\n'


def silent(connection: socket.socket) -> None:
    if read_head(connection)[0].startswith(b"GET /hold"):
        connection.recv(1)


def close_if_open(server: TcpServer) -> None:
    if server.socket.fileno() >= 0:  # else the test has closed it
        server.close()


@contextmanager
def engine_with(
    tmp_path: Path, extra: str = "", algorithm: str = "first"
) -> Iterator[tuple[Engine, dict[str, TcpServer]]]:
    """Run an engine whose pool has servers s1 (one request at a time, never answered) to s4."""
    with ExitStack() as stack:
        servers = {name: TcpServer(answering(name.encode())) for name in ("s2", "s3", "s4")}
        servers["s1"] = TcpServer(silent)
        for server in servers.values():
            stack.callback(close_if_open, server)
        ports = {name: servers[name].port for name in sorted(servers)}
        pool = pool_toml("app", ports, algorithm=algorithm, extra=extra + CHECK)
        pool = pool.replace('name = "s1"\n', 'name = "s1"\nconnections_max = 1\n')
        engine = stack.enter_context(running_engine(tmp_path, listener_toml("app") + pool))
        wait_for(lambda: {each["health"] for each in engine.status()["pools"][0]["servers"]} == {"up"})
        yield engine, servers
        servers["s1"].close()  # before the engine, which would wait for what it has not answered


def decisions(engine: Engine, **query: str) -> list[dict[str, Any]]:
    with engine.client() as client:
        return list(client.decisions(query)["decisions"])  # type: ignore[arg-type]


def decision(
    engine: Engine, raw: bytes = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", **wanted: Any
) -> Any:
    """Ask for the page until such a decision has been recorded; return it."""

    def find() -> Any:
        request(engine.port(), raw)
        found = decisions(engine, pool="app", client="127.0.0.1")
        return next((each for each in found[::-1] if all(each[name] == value for name, value in wanted.items())), None)

    return wait_for(find)


def skipped(decision: Any) -> dict[str, str]:
    return {each["server"]: each["reason"] for each in decision["skipped"]}


def test_operator_is_told_who_was_drained_down_and_full_and_who_was_chosen(tmp_path: Path) -> None:
    with engine_with(tmp_path) as (engine, servers), ExitStack() as stack:
        held = stack.enter_context(socket.create_connection(("127.0.0.1", engine.port()), timeout=20))
        held.sendall(b"GET /hold HTTP/1.1\r\nHost: h\r\n\r\n")
        wait_for(lambda: engine.status()["pools"][0]["servers"][0]["in_flight"] == 1)
        assert lbapp(engine, "drain", "app/s2").returncode == 0
        servers["s3"].close()
        wait_for(lambda: engine.status()["pools"][0]["servers"][2]["health"] == "down")
        found = decision(engine, server="app/s4", skipped_total=3)
        full = "full: 1 in flight of connections_max 1"
        assert skipped(found) == {"app/s1": full, "app/s2": "DRAIN", "app/s3": "DOWN"}
        assert (found["by"], found["algorithm"], found["attempt"]) == ("first", "first", 1)
        assert found["candidates"] == [{"server": "app/s4", "score": "1st in the file of those with room"}]

        printed = lbapp(engine, "why", "app", "--client", "127.0.0.1", "-n", "1").stdout
        assert "pool app -> app/s4 by first" in printed
        for line in (" > app/s4", f" - app/s1  {full}", " - app/s2  DRAIN", " - app/s3  DOWN"):
            assert line in printed
        assert max(len(line) for line in printed.splitlines()) <= 80

        now = lbapp(engine, "why", "app", "--for", "192.0.2.9").stdout
        assert now.startswith("now: pool app -> app/s4 by first\n")
        wait_for(lambda: engine.status()["pools"][0]["servers"][3]["requests_total"] == 1)  # the one above
        assert lbapp(engine, "why", "app", "--for", "192.0.2.9").stdout == now
        assert engine.status()["pools"][0]["servers"][3]["requests_total"] == 1

        assert lbapp(engine, "maint", "--force", "app/s4").returncode == 0
        nobody = decision(engine, raw=b"GET / HTTP/1.0\r\n\r\n", server=None)
        assert skipped(nobody)["app/s4"] == "MAINT"


def test_remembered_client_had_its_server_by_persistence(tmp_path: Path) -> None:
    persistence = '[pool.persistence]\ntype = "cookie"\n'
    with engine_with(tmp_path, persistence, "round_robin") as (engine, _):
        assert lbapp(engine, "maint", "app/s1").returncode == 0
        new = decision(engine, by="round_robin")
        assert new["persistence"] == ["none", "inserted"]
        answer = request(engine.port())
        cookie = answer.partition(b"Set-Cookie: ")[2].partition(b";")[0]
        raw = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nCookie: %b\r\n\r\n" % cookie
        known = decision(engine, raw, by="persistence")
        assert known["server"] == known["remembered"] == f"app/{answer[-2:].decode()}"
        assert known["persistence"] == ["valid"]
        told = json.loads(lbapp(engine, "why", "app", "-n", "1000", "--json").stdout)["decisions"]
        assert known in told


def test_questions_that_mean_nothing_are_refused(tmp_path: Path) -> None:
    with engine_with(tmp_path) as (engine, _):
        assert lbapp(engine, "why").stdout.startswith("no decision is recorded yet")
        for arguments, said in (
            (("ape",), "there is no pool ape"),
            (("--client", "me\x1b[31m"), "client=me?[31m is no address"),
            (("app", "--for", "me"), "client=me is no address"),
            (("app", "--key", "v"), "pool app knows no client by a value"),
        ):
            done = lbapp(engine, "why", *arguments)
            assert (done.returncode, done.stdout) == (1, "")
            assert said in done.stderr
            assert "\x1b" not in done.stderr
