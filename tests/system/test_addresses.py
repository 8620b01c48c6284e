"""Unix sockets, both families of IP, sources and keepalive, through a whole engine."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.engine.supervisor.test_sockets import has_ipv6
from tests.engine.worker.harness import TcpServer, answering, read_head
from tests.system.harness import pool_toml, running_engine, wait_for

pytestmark = pytest.mark.system

NO_CHECK = 'health_check = { type = "none" }\n'
KEEPALIVE_TIMER = "02"


def listener(bind: str, keys: str = "") -> str:
    return f'[[listener]]\nname = "web"\nbind = {bind}\npool = "app"\n{keys}\n'


def get(host: str, port: int) -> bytes:
    with socket.create_connection((host, port), 20) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        answer = b""
        while data := client.recv(65536):
            answer += data
        return answer


@contextmanager
def socat(path: Path, port: int) -> Iterator[None]:
    """Serve a Unix socket from a TCP server; the file is gone behind."""
    command = [shutil.which("socat") or "socat", f"UNIX-LISTEN:{path},fork", f"TCP:127.0.0.1:{port}"]
    running = subprocess.Popen(command)
    try:
        wait_for(path.exists)
        yield
    finally:
        running.terminate()
        running.wait(10)
        path.unlink(missing_ok=True)


def test_clients_and_servers_meet_over_unix_sockets(tmp_path: Path) -> None:
    seen: list[bytes] = []
    backend = TcpServer(answering(b"ok", seen))
    web, app = tmp_path / "web.sock", tmp_path / "app.sock"
    check = '[pool.health_check]\ntype = "http"\ninterval = "100ms"\nfall = 1\nrise = 1\n'
    pool = f'[[pool]]\nname = "app"\n{check}[[pool.server]]\nname = "s1"\naddress = "unix:{app}"\n'
    with running_engine(tmp_path, listener(f'"unix:{web}"') + pool) as engine:
        curl = ["curl", "-sS", "--max-time", "10", "--unix-socket", str(web), "http://h/"]
        wait_for(lambda: engine.server("app/s1")["health"] == "down")
        assert b"503" in subprocess.run([*curl, "-i"], capture_output=True, check=True).stdout
        with socat(app, backend.port):
            wait_for(lambda: engine.server("app/s1")["health"] == "up")
            assert subprocess.run(curl, capture_output=True, check=True).stdout == b"ok"
            assert engine.server("app/s1")["address"] == f"unix:{app}"
            assert any(b"\r\nX-Forwarded-For: unix:\r\n" in head for head in seen)
            assert any(b"host: localhost\r\n" in head.lower() and b"health-check" in head for head in seen)
        wait_for(lambda: engine.server("app/s1")["health"] == "down")
        assert stat.S_IMODE(web.stat().st_mode) == 0o660
    assert not web.exists()
    backend.close()


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become somebody else")
def test_mode_of_the_socket_decides_who_may_connect(tmp_path: Path) -> None:
    backend = TcpServer(answering(b"ok"))
    folder = Path("/tmp") / f"lbapp-test-{os.getpid()}-{threading.get_ident()}"  # one that strangers may enter
    folder.mkdir(mode=0o755)
    try:
        for mode, is_let_in in (("0660", False), ("0666", True)):
            web = folder / "web.sock"
            text = listener(f'"unix:{web}"', f'unix_mode = "{mode}"') + pool_toml(
                "app", {"s": backend.port}, extra=NO_CHECK
            )
            with running_engine(tmp_path, text) as engine:
                curl = ["curl", "-sS", "--max-time", "10", "--unix-socket", str(web), "http://h/"]
                result = subprocess.run(
                    curl, capture_output=True, check=False, user="nobody", group="nogroup", extra_groups=[]
                )
                assert (result.stdout == b"ok") == is_let_in, result
                assert ("every user of this machine may connect" in engine.log.read_text()) == is_let_in
    finally:
        folder.rmdir()
        backend.close()


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_dual_stack_listener_knows_ipv4_clients_by_their_own_address(tmp_path: Path) -> None:
    seen: list[bytes] = []
    backend = TcpServer(answering(b"ok", seen))
    text = listener('"[::]:0"', "ipv6_only = false") + pool_toml("app", {"s": backend.port}, extra=NO_CHECK)
    with running_engine(tmp_path, text) as engine:
        assert get("127.0.0.1", engine.port()).endswith(b"ok")
        assert get("::1", engine.port()).endswith(b"ok")
        assert b"X-Forwarded-For: 127.0.0.1\r\n" in seen[0]
        assert b"X-Forwarded-For: ::1\r\n" in seen[1]
    backend.close()


def test_connections_to_servers_come_from_the_pools_source(tmp_path: Path) -> None:
    peers: set[str] = set()

    def answer(connection: socket.socket) -> None:
        peers.add(connection.getpeername()[0])
        answering(b"ok")(connection)

    backend = TcpServer(answer)
    check = 'source = "127.0.0.77"\n[pool.health_check]\ninterval = "100ms"\n'
    with running_engine(
        tmp_path, listener('"127.0.0.1:0"') + pool_toml("app", {"s": backend.port}, extra=check)
    ) as engine:
        assert get("127.0.0.1", engine.port()).endswith(b"ok")
        wait_for(lambda: engine.server("app/s")["health"] == "up")
        assert peers == {"127.0.0.77"}
    backend.close()


def test_source_of_another_machine_stops_the_start_with_one_sentence(tmp_path: Path) -> None:
    text = listener('"127.0.0.1:0"') + pool_toml("app", {"s": 1}, extra=f'source = "192.0.2.1"\n{NO_CHECK}')
    with pytest.raises(AssertionError, match="cannot connect from source 192"), running_engine(tmp_path, text):
        pass


def test_keepalive_watches_clients_and_servers(tmp_path: Path) -> None:
    backend = TcpServer(answering(b"ok"))
    text = listener('"127.0.0.1:0"') + pool_toml("app", {"s": backend.port}, extra=NO_CHECK)
    with running_engine(tmp_path, text) as engine:
        port = engine.port()
        with socket.create_connection(("127.0.0.1", port), 20) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            read_head(client)
            wait_for(lambda: timers(local=port) == {KEEPALIVE_TIMER})
            wait_for(lambda: timers(remote=backend.port) == {KEEPALIVE_TIMER})
    backend.close()


def timers(local: int = 0, remote: int = 0) -> set[str]:
    """Return the kinds of timers that run on established connections with these ports (proc(5), /proc/net/tcp)."""
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        columns = line.split()
        ports = [int(columns[at].rpartition(":")[2], 16) for at in (1, 2)]
        if columns[3] == "01" and (local in (0, ports[0])) and (remote in (0, ports[1])):
            found.add(columns[5].partition(":")[0])
    return found
