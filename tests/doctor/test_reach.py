"""Whether others answer, asked of real ones."""

from __future__ import annotations

import socket
from pathlib import Path

from lbapp.config.load import parse_configuration
from lbapp.doctor.reach import ask_servers, ask_store, unresolved
from lbapp.model.entities import Server
from tests.cluster.harness import needs_etcd, running_stores
from tests.dns_server import dns_server
from tests.engine.worker.harness import TcpServer, scripted
from tests.system.harness import free_port


def test_name_that_there_is_not_is_told() -> None:
    assert unresolved("localhost") == ""
    assert unresolved("a" * 70 + ".invalid")


def test_name_servers_of_the_file_are_asked_in_place_of_the_system() -> None:
    with dns_server() as server:
        server.say("only.here", "A", 60, "192.0.2.1")
        asked = (("127.0.0.1", server.port),)
        assert unresolved("only.here", asked) == ""
        assert "does not exist" in unresolved("nowhere.here", asked)
    assert unresolved("only.here")


@needs_etcd
def test_store_that_is_well_says_so_in_time_and_one_that_is_gone_is_told(tmp_path: Path) -> None:
    with running_stores(tmp_path) as (store,):
        answer = ask_store(store.url, None)
        assert answer.why_not == ""
        assert 0 < answer.after_s < 2
        store.kill()
        assert "refused" in ask_store(store.url, None).why_not


def test_store_without_a_majority_is_not_well() -> None:
    body = b'{"health":"false","reason":"RAFT NO LEADER"}'
    answer = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (
        len(body),
        body,
    )
    server = TcpServer(scripted(answer))
    try:
        assert (
            ask_store(f"http://127.0.0.1:{server.port}", None).why_not == "it says that it is not well (RAFT NO LEADER)"
        )
    finally:
        server.close()


def test_what_is_no_store_is_told() -> None:
    server = TcpServer(scripted(b"HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx"))
    other = TcpServer(scripted(b"220 mail\r\n"))
    try:
        assert ask_store(f"http://127.0.0.1:{server.port}", None).why_not == "status 404"
        assert ask_store(f"http://127.0.0.1:{other.port}", None).why_not
        assert ask_store(f"https://127.0.0.1:{server.port}", None).why_not
        assert ask_store(f"https://127.0.0.1:{server.port}", "/nowhere/ca.pem").why_not == "no such file or directory"
    finally:
        server.close()
        other.close()


def servers_of(*addresses: str) -> list[Server]:
    lines = "".join(f'[[pool.server]]\nname = "s{at}"\naddress = "{each}"\n' for at, each in enumerate(addresses))
    text = f'[[listener]]\nname = "l"\nbind = "127.0.0.1:0"\npool = "p"\n[[pool]]\nname = "p"\n{lines}'
    return list(parse_configuration(text, "f").servers)


def test_servers_by_address_name_and_path_are_connected_to_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with (
        dns_server() as names,
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX) as local,
    ):
        local.bind(str(path))
        local.listen()
        names.say("only.here", "A", 60, "127.0.0.1")
        port, closed = server.getsockname()[1], free_port()
        addresses = (
            f"127.0.0.1:{port}",
            f"127.0.0.1:{closed}",
            f"only.here:{port}",
            f"unix:{path}",
            f"nowhere.here:{port}",
        )
        asked = list(ask_servers(servers_of(*addresses), (("127.0.0.1", names.port),), 5.0))
    assert [server.name for server, _ in asked] == ["s0", "s1", "s2", "s3", "s4"]
    assert [not answer.why_not for _, answer in asked] == [True, False, True, True, False]
    assert asked[1][1].why_not == "connection refused"
