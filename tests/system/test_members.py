"""Servers that are added to pools and taken out of them in a whole engine that runs."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.engine.worker.harness import TcpServer, answering
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

pytestmark = pytest.mark.system


def served(engine: Engine) -> list[str]:
    return [each["id"] for pool in engine.status()["pools"] for each in pool["servers"]]


def test_servers_come_and_go_under_load_and_hold_until_the_file_is_another(tmp_path: Path) -> None:
    servers = {name: TcpServer(answering(name.encode())) for name in ("s1", "s2", "s3")}
    address = f"127.0.0.1:{servers['s3'].port}"
    toml = listener_toml("app") + pool_toml("app", {name: servers[name].port for name in ("s1", "s2")}, extra=NO_CHECK)
    with running_engine(tmp_path, toml) as engine:
        text = (tmp_path / "lbapp.toml").read_text()
        with Load(engine.port()) as load:
            done = lbapp(engine, "add", "app/s3", address, "--weight", "200", "--reason", "more of them")
            assert done.returncode == 0
            assert "server app/s3 added: at" in done.stdout
            wait_for(lambda: load.answers.get("s3", 0) > 20)
            assert lbapp(engine, "remove", "app/s1").returncode == 0
            wait_for(lambda: "server_gone" in engine.events())
            before = load.answers["s1"]
            answered = load.answered
            wait_for(lambda: load.answered > answered + 60)
            assert load.answers["s1"] == before
        assert load.failures == []
        assert served(engine) == ["app/s2", "app/s3"]
        assert (tmp_path / "lbapp.toml").read_text() == text, "the file is the operator's"
        told = lbapp(engine, "diff").stdout
        assert "app/s1" in told
        assert address in told
    with running_engine(tmp_path, toml) as engine:
        assert served(engine) == ["app/s2", "app/s3"], "it holds after a restart"
        assert engine.server("app/s3")["weight"] == 200
        assert lbapp(engine, "drain", "app/s2", "--wait", "--remove").returncode == 0
        assert served(engine) == ["app/s3"]
        assert lbapp(engine, "rollback").returncode == 0
        assert served(engine) == ["app/s2", "app/s3"]
        (tmp_path / "lbapp.toml").write_text(text + "# touched\n")
        assert lbapp(engine, "reload").returncode == 0
        assert served(engine) == ["app/s1", "app/s2"], "another file wins"
    for server in servers.values():
        server.close()


def test_servers_that_came_and_went_are_saved_into_the_file_and_all_else_stays(tmp_path: Path) -> None:
    servers = {name: TcpServer(answering(name.encode())) for name in ("s1", "s2")}
    toml = (
        "# by hand\n" + listener_toml("app") + pool_toml("app", {n: s.port for n, s in servers.items()}, extra=NO_CHECK)
    )
    with running_engine(tmp_path, toml) as engine:
        path = tmp_path / "lbapp.toml"
        assert lbapp(engine, "add", "app/s3", "127.0.0.1:1", "--backup", "--connections-max", "9").returncode == 0
        assert lbapp(engine, "remove", "app/s1").returncode == 0
        done = lbapp(engine, "save")
        assert done.returncode == 0, done.stderr
        assert f"app/s3 added to {path}" in done.stdout
        assert f"app/s1 taken out of {path}" in done.stdout
        assert "# by hand" in path.read_text()
        assert lbapp(engine, "reload").returncode == 0
        assert served(engine) == ["app/s2", "app/s3"]
        assert (engine.server("app/s3")["is_backup"], engine.server("app/s3")["connections_max"]) == (True, 9)
        assert lbapp(engine, "save").stdout == "nothing to write\n"
    for server in servers.values():
        server.close()


def test_what_cannot_be_added_or_removed_is_refused_with_a_sentence(tmp_path: Path) -> None:
    one, two = TcpServer(answering(b"1")), TcpServer(answering(b"2"))
    toml = listener_toml("app") + pool_toml("app", {"s1": one.port, "s2": two.port}, extra=NO_CHECK)
    toml += pool_toml("single", {"s1": one.port}, extra=NO_CHECK)
    with running_engine(tmp_path, toml) as engine:
        for arguments, sentence in (
            (("add", "app/s1", "127.0.0.1:1"), "pool app has a server s1 already"),
            (("add", "nobody/s1", "127.0.0.1:1"), "there is no pool nobody"),
            (("add", "app/s 3", "127.0.0.1:1"), "name"),
            (("add", "app/s3", "nonsense:port"), "address"),
            (("remove", "app/s9"), "no server is named app/s9"),
            (("remove", "single/s1", "--force"), "single/s1 is the only server of its pool"),
        ):
            done = lbapp(engine, *arguments)
            assert done.returncode == 1, done
            assert sentence in done.stderr
        assert lbapp(engine, "maint", "app/s1").returncode == 0
        assert "would have no server for new clients" in lbapp(engine, "remove", "app/s2").stderr
        assert served(engine) == ["app/s1", "app/s2", "single/s1"]
        assert request(engine.port()).endswith(b"2")
    one.close()
    two.close()


def test_removed_server_keeps_its_tunnel_until_the_drains_timeout(tmp_path: Path) -> None:
    def echo(connection: socket.socket) -> None:
        while data := connection.recv(100):
            connection.sendall(data)

    one, two = TcpServer(echo), TcpServer(echo)
    more = '[pool.drain]\ntimeout = "1s"\n' + NO_CHECK
    toml = listener_toml("app", protocol="tcp") + pool_toml("app", {"s1": one.port, "s2": two.port}, extra=more)
    with running_engine(tmp_path, toml) as engine:
        with socket.create_connection(("127.0.0.1", engine.port()), timeout=20) as tunnel:
            tunnel.sendall(b"a")
            assert tunnel.recv(10) == b"a"
            wait_for(lambda: sum(engine.server(name)["in_flight"] for name in ("app/s1", "app/s2")) == 1)
            held = "app/s1" if engine.server("app/s1")["in_flight"] else "app/s2"
            assert lbapp(engine, "remove", held).returncode == 0
            tunnel.sendall(b"b")
            assert tunnel.recv(10) == b"b"
            assert tunnel.recv(10) == b"", "until the second is over"
        wait_for(lambda: "server_gone" in engine.events())
    one.close()
    two.close()
