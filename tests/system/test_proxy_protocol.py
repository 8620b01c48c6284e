"""The PROXY protocol with HAProxy, nginx and curl on the other side, through a whole engine."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bench.process import free_port
from tests.engine.worker.harness import TcpServer, answering, read_head
from tests.system.harness import Engine, listener_toml, pool_toml, running_engine, wait_for

pytestmark = pytest.mark.system

TRUSTED = 'proxy_protocol = true\nproxy_protocol_from = ["127.0.0.0/8"]\n'
NO_CHECK = 'health_check = { type = "none" }\n'
HAPROXY = """global
  log stderr format raw daemon
defaults
  mode http
  log global
  timeout connect 5s
  timeout client 20s
  timeout server 20s
  timeout check 10s
"""
NGINX = """daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ }}
http {{
  access_log off; client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{
    listen 127.0.0.1:{port} proxy_protocol;
    location / {{ return 200 "$proxy_protocol_addr $proxy_protocol_server_port"; }}
  }}
}}
"""


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def process(command: list[str], port: int, log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        running = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        wait_for(lambda: running.poll() is not None or is_open(port))
        assert running.poll() is None, log.read_text()
        yield
    finally:
        running.terminate()
        running.wait(10)


def program(name: str) -> str:
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    assert found is not None, f"scripts/test installs {name}"
    return found


@contextmanager
def haproxy(folder: Path, frontend: str, server: str) -> Iterator[int]:
    port = free_port()
    configuration = folder / "haproxy.cfg"
    sections = f"frontend f\n  bind {frontend.format(port=port)}\n  default_backend b\nbackend b\n  server s {server}\n"
    configuration.write_text(HAPROXY + sections)
    with process([program("haproxy"), "-db", "-f", str(configuration)], port, folder / "haproxy.log"):
        yield port


def fetch(port: int, source: str = "127.0.0.1") -> bytes:
    with socket.create_connection(("127.0.0.1", port), 20, (source, 0)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        answer = b""
        while data := client.recv(65536):
            answer += data
        return answer


@contextmanager
def engine_for(
    folder: Path, backend: int, *, listener: str = "", pool: str = NO_CHECK, protocol: str = "http"
) -> Iterator[Engine]:
    text = listener_toml("app", protocol=protocol) + listener + pool_toml("app", {"s1": backend}, extra=pool)
    with running_engine(folder, text) as engine:
        yield engine


@pytest.mark.parametrize("word", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id,ssl"])
def test_haproxy_tells_us_its_clients(tmp_path: Path, word: str) -> None:
    seen: list[bytes] = []
    backend = TcpServer(answering(b"ok", seen))
    with (
        engine_for(tmp_path, backend.port, listener=TRUSTED) as engine,
        haproxy(tmp_path, "127.0.0.1:{port}", f"127.0.0.1:{engine.port()} {word}") as port,
    ):
        for source in ("127.0.0.3", "127.0.0.4"):
            assert fetch(port, source).endswith(b"ok")
        assert [b"X-Forwarded-For: 127.0.0.3\r\n" in seen[0], b"X-Forwarded-For: 127.0.0.4\r\n" in seen[1]] == [
            True,
            True,
        ]
    backend.close()


def test_health_checks_of_haproxy_are_local_and_it_finds_us_up(tmp_path: Path) -> None:
    seen: list[bytes] = []
    backend = TcpServer(answering(b"ok", seen))
    with engine_for(tmp_path, backend.port, listener=TRUSTED) as engine:
        server = f"127.0.0.1:{engine.port()} send-proxy-v2 check inter 100 rise 2 fall 1\n  option httpchk GET /health"
        with haproxy(tmp_path, "127.0.0.1:{port}", server) as port:
            wait_for(lambda: len(seen) >= 5)
            assert fetch(port).endswith(b"ok")
            assert "DOWN" not in (tmp_path / "haproxy.log").read_text()
    backend.close()


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("protocol", ["http", "tcp"])
def test_haproxy_believes_what_we_tell_it_of_ours(tmp_path: Path, version: str, protocol: str) -> None:
    seen: list[bytes] = []
    backend = TcpServer(answering(b"ok", seen))
    check = '[pool.health_check]\ntype = "http"\ninterval = "100ms"\nfall = 1\n'
    with haproxy(
        tmp_path,
        "127.0.0.1:{port} accept-proxy\n  option forwardfor header x-told",
        f"127.0.0.1:{backend.port}",
    ) as port:
        pool = f'proxy_protocol = "{version}"\n{check}'
        with engine_for(tmp_path, port, pool=pool, protocol=protocol) as engine:
            wait_for(lambda: engine.server("app/s1")["health"] == "up")
            for source in ("127.0.0.5", "127.0.0.6"):
                assert fetch(engine.port(), source).endswith(b"ok")
            told = [head for head in seen if b"health-check" not in head]
            assert b"x-told: 127.0.0.5\r\n" in told[0]
            assert b"x-told: 127.0.0.6\r\n" in told[1]
            assert engine.server("app/s1")["health"] == "up"
    backend.close()


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_nginx_believes_what_we_tell_it_of_ours(tmp_path: Path, version: str) -> None:
    port = free_port()
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(NGINX.format(folder=tmp_path, port=port))
    with (
        process([program("nginx"), "-c", str(configuration), "-p", str(tmp_path)], port, tmp_path / "nginx.log"),
        engine_for(tmp_path, port, pool=f'proxy_protocol = "{version}"\n{NO_CHECK}') as engine,
    ):
        assert fetch(engine.port(), "127.0.0.7").endswith(b"127.0.0.7 %d" % engine.port())


def test_curl_with_a_header_is_served_and_without_one_is_closed_and_counted(tmp_path: Path) -> None:
    seen: list[bytes] = []
    backend = TcpServer(answering(b"ok", seen))
    with engine_for(tmp_path, backend.port, listener=TRUSTED) as engine:
        curl = ["curl", "-sS", "--max-time", "10", "--interface", "127.0.0.9", f"http://127.0.0.1:{engine.port()}/"]
        assert subprocess.run([*curl, "--haproxy-protocol"], capture_output=True, check=True).stdout == b"ok"
        assert b"X-Forwarded-For: 127.0.0.9\r\n" in seen[0]
        assert subprocess.run(curl, capture_output=True, check=False).returncode in (52, 56)
        wait_for(lambda: "does not begin with a PROXY header" in engine.log.read_text())
        wait_for(lambda: engine.status()["listeners"][0]["outcomes"].get("client_bad_request") == 1)
        assert len(seen) == 1
    backend.close()


def test_header_goes_through_two_engines(tmp_path: Path) -> None:
    seen: list[bytes] = []
    backend = TcpServer(answering(b"ok", seen))
    for name in ("inner", "outer"):
        (tmp_path / name).mkdir()
    with (
        engine_for(tmp_path / "inner", backend.port, listener=TRUSTED) as inner,
        engine_for(
            tmp_path / "outer", inner.port(), pool=f'proxy_protocol = "v2"\n{NO_CHECK}', protocol="tcp"
        ) as outer,
        socket.create_connection(("127.0.0.1", outer.port()), 20, ("127.0.0.11", 0)) as client,
    ):
        client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert read_head(client)[0].startswith(b"HTTP/1.1 200")
        assert b"X-Forwarded-For: 127.0.0.11\r\n" in seen[0]
    backend.close()
