"""TLS in a whole engine, with the clients and servers that people have."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from tests.engine.worker.harness import TcpServer, answering
from tests.system.harness import Engine, free_port, listener_toml, pool_toml, running_engine, wait_for
from tests.tls_material import Authority, Pair

pytestmark = pytest.mark.system
AUTHORITY = Authority()
REQUEST = b"GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n"


def place(folder: Path, pair: Pair, name: str = "app") -> None:
    """Put a pair in its place as an operator does: whole files, moved."""
    files = pair.write(folder, f".{name}")
    Path(files.file).rename(folder / f"{name}.pem")
    Path(files.key).rename(folder / f"{name}.key")


def certificate_toml(folder: Path, name: str = "app") -> str:
    return f'[[listener.tls.certificate]]\nfile = "{folder}/{name}.pem"\nkey = "{folder}/{name}.key"\n'


def curl(engine: Engine, folder: Path, *options: str, name: str = "app.test") -> subprocess.CompletedProcess[bytes]:
    port = engine.port()
    command = ["curl", "-sS", "--max-time", "15", "--cacert", str(AUTHORITY.write(folder))]
    command += ["--resolve", f"{name}:{port}:127.0.0.1", *options, f"https://{name}:{port}/"]
    return subprocess.run(command, capture_output=True, check=False)


def shown_name(engine: Engine, context: ssl.SSLContext) -> str:
    """Return the first name of the certificate that a new connection is shown."""
    with (
        socket.create_connection(("127.0.0.1", engine.port()), timeout=20) as raw,
        context.wrap_socket(raw, server_hostname="app.test") as client,
    ):
        shown = client.getpeercert() or {}
        return str(shown["subjectAltName"][0][1])


def test_curl_gets_its_answer_and_the_operator_sees_the_certificate(tmp_path: Path) -> None:
    backend = TcpServer(answering(b"hello"))
    place(tmp_path, AUTHORITY.issue("app.test", days=20))
    toml = listener_toml("app") + certificate_toml(tmp_path) + pool_toml("app", {"s": backend.port})
    with running_engine(tmp_path, toml) as engine:
        done = curl(engine, tmp_path, "-v")
        assert done.stdout == b"hello", done.stderr
        assert b"server accepted http/1.1" in done.stderr
        assert curl(engine, tmp_path, "--tls-max", "1.1", "--ciphers", "ALL:@SECLEVEL=0").returncode == 35
        table = subprocess.run(
            [sys.executable, "-m", "lbapp", "--socket", str(engine.control), "status"],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        assert re.search(rf"^web +(19\.9|20\.0) +app\.test +{tmp_path}/app\.pem$", table, re.MULTILINE), table
        tls = engine.status()["listeners"][0]["tls"]
        assert tls is not None
        assert tls["certificates"][0]["names"] == ["app.test"]
        assert 19 < tls["certificates"][0]["days_left"] < 21
        wait_for(lambda: (engine.status()["listeners"][0]["tls"] or tls)["handshakes"]["no_common_version"] == 1)
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(engine.control))) as client:
            metrics = client.get("http://x/metrics").text
        assert re.search(
            r'^lbapp_certificate_days_left\{file="[^"]*app.pem",listener="web"\} 20', metrics, re.MULTILINE
        )
        assert 'lbapp_listener_tls_handshakes_total{end="done",listener="web"} 1' in metrics
    backend.close()


def test_certificate_is_replaced_under_load_without_one_failure(tmp_path: Path) -> None:
    backend = TcpServer(answering(b"s"))
    place(tmp_path, AUTHORITY.issue("old.test", "app.test"))
    toml = listener_toml("app") + certificate_toml(tmp_path) + pool_toml("app", {"s": backend.port})
    context = AUTHORITY.client_context()
    failures: list[str] = []
    served: list[int] = [0]
    stop = threading.Event()

    def ask(port: int) -> None:
        while not stop.is_set():
            try:
                with (
                    socket.create_connection(("127.0.0.1", port), timeout=20) as raw,
                    context.wrap_socket(raw, server_hostname="app.test") as client,
                ):
                    client.sendall(REQUEST)
                    answer = b""
                    while data := client.recv(65536):
                        answer += data
                    assert answer.startswith(b"HTTP/1.1 200")
                    served[0] += 1
            except (OSError, AssertionError) as error:
                failures.append(repr(error))

    with running_engine(tmp_path, toml) as engine:
        threads = [threading.Thread(target=ask, args=(engine.port(),), daemon=True) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for name in ("new.test", "newer.test"):
                place(tmp_path, AUTHORITY.issue(name, "app.test"))
                wait_for(lambda name=name: {shown_name(engine, context) for _ in range(8)} == {name})  # type: ignore[misc]
            before = served[0]
            wait_for(lambda: served[0] > before + 20)
        finally:
            stop.set()
            for thread in threads:
                thread.join(20)
        assert failures == []
        assert engine.events().count("certificate_replaced") == 2
    backend.close()


def test_worker_that_is_started_again_serves_the_last_good_pair_whatever_lies_on_disk(tmp_path: Path) -> None:
    backend = TcpServer(answering(b"s"))
    place(tmp_path, AUTHORITY.issue("good.test", "app.test"))
    toml = listener_toml("app") + certificate_toml(tmp_path) + pool_toml("app", {"s": backend.port})
    context = AUTHORITY.client_context()
    with running_engine(tmp_path, toml) as engine:
        (tmp_path / "app.key").write_bytes(b"rubbish")
        wait_for(lambda: "certificate_refused" in engine.events())
        victims = set(engine.worker_pids())
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: len(set(engine.worker_pids()) - victims) == 2)
        assert {shown_name(engine, context) for _ in range(8)} == {"good.test"}
    backend.close()


def test_engine_with_a_key_that_everybody_may_read_does_not_start(tmp_path: Path) -> None:
    place(tmp_path, AUTHORITY.issue("app.test"))
    (tmp_path / "app.key").chmod(0o644)
    configuration = tmp_path / "lbapp.toml"
    configuration.write_text(listener_toml("app") + certificate_toml(tmp_path) + '[[pool]]\nname = "app"\n')
    command = [sys.executable, "-m", "lbapp", "check", str(configuration)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "chmod 600" in done.stdout + done.stderr
    assert f"{configuration}:6: listener[0].tls.certificate[0]" in done.stdout + done.stderr


NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx-error.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{
    listen 127.0.0.1:{port} ssl; server_name backend.test;
    ssl_certificate {folder}/nginx.pem; ssl_certificate_key {folder}/nginx.key;
    ssl_client_certificate {ca}; ssl_verify_client on;
    location / {{ return 200 "$ssl_server_name $ssl_client_s_dn $http_x_forwarded_proto $connection_requests"; }}
  }}
}}
"""


def test_nginx_is_verified_probed_and_shown_our_certificate(tmp_path: Path) -> None:
    port, ca = free_port(), AUTHORITY.write(tmp_path)
    place(tmp_path, AUTHORITY.issue("app.test"))
    place(tmp_path, AUTHORITY.issue(common="lbapp-node"), "own")
    place(tmp_path, AUTHORITY.issue("backend.test"), "nginx")
    (tmp_path / "nginx.conf").write_text(NGINX.format(folder=tmp_path, port=port, ca=ca))
    nginx = subprocess.Popen(
        [shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") or "nginx", "-c", str(tmp_path / "nginx.conf")],
        stderr=subprocess.DEVNULL,
    )
    tls = f'[pool.tls]\nca_file = "{ca}"\nserver_name = "backend.test"\n'
    tls += f'[pool.tls.certificate]\nfile = "{tmp_path}/own.pem"\nkey = "{tmp_path}/own.key"\n'
    check = '[pool.health_check]\ntype = "http"\ninterval = "500ms"\n'
    toml = listener_toml("app") + certificate_toml(tmp_path) + pool_toml("app", {"s": port}, extra=check + tls)
    try:
        with running_engine(tmp_path, toml) as engine:
            wait_for(lambda: engine.server("app/s")["health"] == "up")
            assert engine.server("app/s")["health_reason"] == "HTTP 200"
            assert curl(engine, tmp_path).stdout == b"backend.test CN=lbapp-node https 1"
            # An idle connection is used again although tickets came on it after its handshake.
            counts = [int(curl(engine, tmp_path).stdout.rpartition(b" ")[2]) for _ in range(6)]
            assert max(counts) > 2
    finally:
        nginx.terminate()
        nginx.wait()


def test_wrk_finds_no_fault_over_tls(tmp_path: Path) -> None:
    backend = TcpServer(answering(b"x" * 1000))
    place(tmp_path, AUTHORITY.issue("app.test"))
    toml = listener_toml("app") + certificate_toml(tmp_path) + pool_toml("app", {"s": backend.port})
    with running_engine(tmp_path, toml) as engine:
        for header in ("Connection: keep-alive", "Connection: close"):
            command = ["wrk", "-t1", "-c8", "-d1s", "-H", header, f"https://127.0.0.1:{engine.port()}/"]
            done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
            assert "Socket errors" not in done.stdout, done.stdout
            assert "Non-2xx" not in done.stdout, done.stdout
        assert all(worker["faults_total"] == 0 for worker in engine.status()["engine"]["workers"])
    backend.close()


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Debian's chromium")
def test_browser_shows_a_page_over_tls(tmp_path: Path) -> None:
    def page(connection: socket.socket) -> None:
        connection.recv(65536)
        body = b"<!doctype html><title>t</title><p>served over <b id=x></b><script>x.textContent=location.protocol</script>"
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(
            body
        )
        connection.sendall(head + body)

    backend = TcpServer(page)
    place(tmp_path, AUTHORITY.issue("app.test"))
    toml = listener_toml("app") + certificate_toml(tmp_path) + pool_toml("app", {"s": backend.port})
    with running_engine(tmp_path, toml) as engine:
        port = engine.port()
        command = [
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--ignore-certificate-errors",
            f"--user-data-dir={tmp_path}/browser", f"--host-resolver-rules=MAP app.test 127.0.0.1:{port}",
            "--dump-dom", "https://app.test/",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=90)
        assert "https:</b>" in done.stdout, done.stderr[-2000:]
        tls = engine.status()["listeners"][0]["tls"]
        assert tls is not None
        assert tls["handshakes"]["done"] >= 1
    backend.close()


def test_tls_is_passed_on_unopened_by_name(tmp_path: Path) -> None:
    names = ("a.test", "b.test")
    backends = []
    for name in names:
        context = AUTHORITY.server_context(AUTHORITY.issue(name), tmp_path, name)

        def serve(connection: socket.socket, context: ssl.SSLContext = context, name: str = name) -> None:
            with context.wrap_socket(connection, server_side=True) as secure:
                answering(name.encode())(secure)

        backends.append(TcpServer(serve))
    routes = "".join(f'[[listener.route]]\nsni = "{name}"\npool = "{name}"\n' for name in names)
    listener = f'[[listener]]\nname = "web"\nbind = "127.0.0.1:0"\nprotocol = "tcp"\n{routes}'
    pools = "".join(pool_toml(name, {"s": each.port}) for name, each in zip(names, backends, strict=True))
    with running_engine(tmp_path, listener + pools) as engine:
        for name in names:
            assert curl(engine, tmp_path, name=name).stdout == name.encode()
        assert curl(engine, tmp_path, name="c.test").returncode != 0
        wait_for(lambda: engine.status()["listeners"][0]["outcomes"].get("no_route") == 1)
    for each in backends:
        each.close()
