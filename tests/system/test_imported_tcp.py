"""Imported tcp listeners serve as they did: by the name in a TLS hello, with a PROXY header, and for whom they let in."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engine.worker.harness import TcpServer
from tests.system.harness import free_port, running_engine, wait_for
from tests.system.test_imported import TIMES, imported, needs_haproxy, needs_nginx, running
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


def plainly(name: str) -> Callable[[socket.socket], None]:
    """A server that says its name before it is asked."""
    return lambda connection: connection.sendall(name.encode())


def streaming() -> str:
    """Return what nginx has to load for streams, empty where they are built in; skip the test where it has none."""
    built = subprocess.run(["nginx", "-V"], capture_output=True, text=True, check=True).stderr
    folder = next((word.partition("=")[2] for word in built.split() if word.startswith("--modules-path=")), "")
    module = Path(folder) / "ngx_stream_module.so"
    if "--with-stream=dynamic" not in built and "--with-stream" in built.split():
        return ""
    if not module.exists():
        pytest.skip("nginx has no streams: on Debian, libnginx-mod-stream")
    return f"load_module {module};"


@contextlib.contextmanager
def naming_servers(authority: Authority, folder: Path) -> Iterator[dict[str, int]]:
    """Run TLS servers that say their names, a, b and c; return their ports."""
    with contextlib.ExitStack() as stack:
        ports = {}
        for name in ("a", "b", "c"):
            context = authority.server_context(authority.issue(f"{name}.example"), folder, name)
            ports[name] = stack.enter_context(contextlib.closing(TcpServer(naming(name, context)))).port
        yield ports


def behaviour_of_both(
    file: Path,
    theirs: list[int],
    behaviour: Callable[[list[int]], list[str | bytes]],
    is_settled: Callable[[list[int]], bool],
) -> list[str | bytes]:
    """Return how their proxy behaves by a file, at its ports, and see that lbapp does the same, once it has settled."""
    ours = [free_port() for _ in theirs]
    with running(file, theirs):
        wanted = behaviour(theirs)
    with running_engine(file.parent, imported(file, theirs, ours), workers=1):
        wait_for(lambda: is_settled(ours))
        assert behaviour(ours) == wanted
    return wanted


@needs_haproxy
def test_tcp_listeners_of_a_haproxy_cfg_do_what_they_did(tmp_path: Path) -> None:
    theirs = [free_port() for _ in range(3)]
    with naming_servers(Authority(), tmp_path) as at, contextlib.closing(TcpServer(first_words)) as plain:
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
        text += "".join(f"backend {name}\n server s 127.0.0.1:{port}\n" for name, port in at.items())
        (tmp_path / "haproxy.cfg").write_text(text)

        def behaviour(ports: list[int]) -> list[str | bytes]:
            by_name = [
                told_in_tls(ports[0], name) for name in ("a.example", "A.example", "x.b.example", "b.example", "z")
            ]
            return [*by_name, told(ports[1]), told(ports[2])]

        wanted = behaviour_of_both(tmp_path / "haproxy.cfg", theirs, behaviour, lambda _: True)
    assert wanted == ["a", "a", "b", "c", "c", b"PROXY TCP4 127.0.0.1 127.0.0.1", b""]


@needs_nginx
def test_streams_of_an_nginx_conf_do_what_they_did(tmp_path: Path) -> None:
    authority = Authority()
    files = authority.issue("front.example").write(tmp_path, "front")
    theirs = [free_port() for _ in range(6)]
    with (
        naming_servers(authority, tmp_path) as named,
        contextlib.closing(TcpServer(first_words)) as proxied,
        contextlib.closing(TcpServer(plainly("plain"))) as plain,
    ):
        at = [f"listen 127.0.0.1:{port}" for port in theirs]
        upstreams = "".join(f"upstream {name} {{ server 127.0.0.1:{port}; }}\n" for name, port in named.items())
        (tmp_path / "nginx.conf").write_text(f"""{streaming()}
user root; pid {tmp_path}/pid; events {{ worker_connections 64; }}
stream {{
 {upstreams}
 upstream first-is-closed {{ server 127.0.0.1:{free_port()}; server 127.0.0.1:{plain.port} backup; }}
 map $ssl_preread_server_name $by_name {{
  hostnames; default c; ~^(x|y)\\.d\\.example$ a; *.b.example b; in.b.example a; .e.example a; a.example a;
 }}
 server {{ {at[0]}; ssl_preread on; proxy_pass $by_name; }}
 server {{ {at[1]}; proxy_protocol on; proxy_pass 127.0.0.1:{proxied.port}; }}
 server {{ {at[2]} ssl; ssl_certificate {files.file}; ssl_certificate_key {files.key}; proxy_pass 127.0.0.1:{plain.port}; }}
 server {{ {at[3]}; deny 127.0.0.0/8; proxy_pass 127.0.0.1:{plain.port}; }}
 server {{ {at[4]}; allow 127.0.0.1; deny all; proxy_pass 127.0.0.1:{plain.port}; }}
 server {{ {at[5]}; proxy_connect_timeout 2s; proxy_pass first-is-closed; }}
}}
""")
        names = [
            "a.example",
            "A.example",
            "z.b.example",
            "in.b.example",
            "b.example",
            "e.example",
            "q.e.example",
            "x.d.example",
            "w",
        ]

        def behaviour(ports: list[int]) -> list[str | bytes]:
            by_name = [told_in_tls(ports[0], name) for name in names]
            return [*by_name, told(ports[1]), told_in_tls(ports[2], "front.example"), *map(told, ports[3:])]

        def is_settled(ports: list[int]) -> bool:
            # A backup of lbapp's gets clients once probes have found the others down, nginx's at the first that refuses.
            return told(ports[5]) == b"plain"

        wanted = behaviour_of_both(tmp_path / "nginx.conf", theirs, behaviour, is_settled)
    by_name = ["a", "a", "b", "a", "c", "a", "a", "a", "c"]
    assert wanted == [*by_name, b"PROXY TCP4 127.0.0.1 127.0.0.1", "plain", b"", b"plain", b"plain"]
