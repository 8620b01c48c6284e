"""Imported tcp listeners serve as HAProxy's do: by the name in a TLS hello, with a PROXY header, and for whom they let in."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

from click.testing import CliRunner

from lbapp.cli.context import Settings
from lbapp.cli.importing import importing
from tests.engine.worker.harness import TcpServer
from tests.system.harness import free_port, running_engine
from tests.system.test_imported import TIMES, needs_haproxy, running
from tests.tls_material import Authority


def naming(name: str, context: ssl.SSLContext) -> Callable[[socket.socket], None]:
    """A TLS server that says its name."""

    def handle(connection: socket.socket) -> None:
        with contextlib.suppress(ssl.SSLError), context.wrap_socket(connection, server_side=True) as speaking:
            speaking.sendall(name.encode())
            speaking.recv(1)

    return handle


def told_in_tls(port: int, name: str) -> str:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), 10) as connection,
        context.wrap_socket(connection, server_hostname=name) as speaking,
    ):
        return speaking.recv(100).decode()


def first_words(connection: socket.socket) -> None:
    """A server that sends back the line it gets, but for the ports in it."""
    line = b""
    while not line.endswith(b"\n"):
        line += connection.recv(100)
    connection.sendall(b" ".join(line.split()[:4]))


def told(port: int) -> bytes:
    """Return what a server says; nothing where the connection is ended, be it while it is made."""
    found = b""
    with (
        contextlib.suppress(ConnectionResetError),
        socket.create_connection(("127.0.0.1", port), 10) as connection,
    ):
        while more := connection.recv(100):
            found += more
    return found


@needs_haproxy
def test_tcp_listeners_of_a_haproxy_cfg_do_what_they_did(tmp_path: Path) -> None:
    authority = Authority()
    names = {
        name: authority.server_context(authority.issue(f"{name}.example"), tmp_path, name) for name in ("a", "b", "c")
    }
    servers = {name: TcpServer(naming(name, context)) for name, context in names.items()}
    plain = TcpServer(first_words)
    theirs, ours = ([free_port() for _ in range(3)] for _ in range(2))
    text = f"""defaults
 mode tcp
 {TIMES}
frontend by-name
 bind 127.0.0.1:{theirs[0]}
 tcp-request inspect-delay 5s
 tcp-request content accept if {{ req.ssl_hello_type 1 }}
 use_backend a if {{ req.ssl_sni -i a.example }}
 use_backend b if {{ req.ssl_hello_type 1 }} {{ req.ssl_sni -m end .b.example }}
 default_backend c
listen proxied
 bind 127.0.0.1:{theirs[1]}
 server p 127.0.0.1:{plain.port} send-proxy
listen closed
 bind 127.0.0.1:{theirs[2]}
 tcp-request connection reject unless {{ src 192.0.2.0/24 }}
 server p 127.0.0.1:{plain.port} send-proxy
"""
    text += "".join(f"backend {name}\n server s 127.0.0.1:{server.port}\n" for name, server in servers.items())
    (tmp_path / "haproxy.cfg").write_text(text)

    def behaviour(ports: list[int]) -> list[str | bytes]:
        by_name = [told_in_tls(ports[0], name) for name in ("a.example", "A.example", "x.b.example", "b.example", "z")]
        return [*by_name, told(ports[1]), told(ports[2])]

    try:
        with running(["haproxy", "-db", "-f", str(tmp_path / "haproxy.cfg")], theirs, tmp_path / "their.log"):
            wanted = behaviour(theirs)
        done = CliRunner().invoke(importing, [str(tmp_path / "haproxy.cfg")], obj=Settings())
        assert done.exit_code == 0, done.stderr
        toml = done.stdout
        for old, new in zip(theirs, ours, strict=True):
            toml = toml.replace(f":{old}", f":{new}")
        with running_engine(tmp_path, toml, workers=1):
            assert behaviour(ours) == wanted
    finally:
        for server in (*servers.values(), plain):
            server.close()
    assert wanted == ["a", "a", "b", "c", "c", b"PROXY TCP4 127.0.0.1 127.0.0.1", b""]
