"""Traffic through a real engine: shares, health, drain, crashes, bulk."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from tests.engine.worker.harness import TcpServer, answering, read_exactly, read_head
from tests.system.harness import (
    NO_CHECK,
    Engine,
    Load,
    free_port,
    listener_toml,
    pool_toml,
    request,
    running_engine,
    wait_for,
)

pytestmark = pytest.mark.system
GIGABYTE = 1_000_000_000


def test_requests_spread_by_weight_and_follow_a_live_reweight(tmp_path: Path) -> None:
    one, two = TcpServer(answering(b"one")), TcpServer(answering(b"two"))
    toml = listener_toml("app") + pool_toml("app", {"one": one.port, "two": two.port}, algorithm="weighted_round_robin")
    with running_engine(tmp_path, toml) as engine:
        port = engine.port()

        def counted(requests: int) -> dict[bytes, int]:
            counts: dict[bytes, int] = {b"one": 0, b"two": 0}
            for _ in range(requests):
                counts[request(port).rpartition(b"\r\n\r\n")[2]] += 1
            return counts

        with engine.client() as client:
            client.patch_server("app", "one", {"weight": 30})
            client.patch_server("app", "two", {"weight": 10})
            counts = counted(200)
            assert abs(counts[b"one"] - 150) <= 6
            client.patch_server("app", "one", {"weight": 0})
            assert counted(40) == {b"one": 0, b"two": 40}
    one.close()
    two.close()


def test_dead_server_is_removed_without_a_failed_request_and_returns(tmp_path: Path) -> None:
    ports = {"one": free_port(), "two": free_port()}

    def start(name: str) -> TcpServer:
        return TcpServer(answering(name.encode()), port=ports[name])

    one, two = start("one"), start("two")
    toml = listener_toml("app") + pool_toml("app", ports)
    with running_engine(tmp_path, toml) as engine:
        wait_for(lambda: engine.server("app/one")["health"] == "up")
        with Load(engine.port()) as load:
            wait_for(lambda: load.answers.get("one", 0) > 20)
            one.close()
            wait_for(lambda: engine.server("app/one")["health"] == "down")
            down = engine.server("app/one")
            one = start("one")
            wait_for(lambda: engine.server("app/one")["health"] == "up")
            before = load.answers["one"]
            wait_for(lambda: load.answers["one"] > before + 10)
        # A request that the dying server had taken may be lost with it; connecting never fails for a client.
        assert len(load.failures) <= load.clients
        assert down["health_reason"] == "connection refused"
        assert {"server_went_down", "server_came_up"} <= set(engine.events())
    one.close()
    two.close()


def test_no_eligible_server_is_a_503(tmp_path: Path) -> None:
    toml = listener_toml("app") + pool_toml("app", {"gone": free_port()})
    with running_engine(tmp_path, toml) as engine:
        wait_for(lambda: engine.server("app/gone")["health"] == "down")
        assert request(engine.port()).startswith(b"HTTP/1.1 503")


def test_drain_lets_the_slow_request_finish_and_is_then_over(tmp_path: Path) -> None:
    is_to_answer = threading.Event()

    def slow(connection: socket.socket) -> None:
        head, _ = read_head(connection)
        if b"/slow" in head:
            is_to_answer.wait(30)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none")

    one, two = TcpServer(slow), TcpServer(answering(b"two"))
    toml = listener_toml("app") + pool_toml("app", {"one": one.port, "two": two.port}, algorithm="least_connections")
    with running_engine(tmp_path, toml) as engine, engine.client() as client:
        port = engine.port()
        client.patch_server("app", "two", {"weight": 0})
        held: list[bytes] = []
        raw = b"GET /slow HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
        thread = threading.Thread(target=lambda: held.append(request(port, raw)))
        thread.start()
        wait_for(lambda: engine.server("app/one")["in_flight"] == 1)
        client.patch_server("app", "two", {"weight": 100})
        change = client.patch_server("app", "one", {"state": "drain"})
        drain = change["server"]["drain"]
        assert drain is not None
        assert drain["phase"] == "draining"
        assert 0 < drain["remaining_s"] <= 300
        assert all(request(port).endswith(b"two") for _ in range(10))
        is_to_answer.set()
        thread.join(20)
        assert held[0].endswith(b"one")
        wait_for(lambda: _drain_phase(engine) == "drained")
        wait_for(lambda: "server_drained" in engine.events())
    one.close()
    two.close()


def test_drain_closes_by_force_at_its_timeout(tmp_path: Path) -> None:
    def endless(connection: socket.socket) -> None:
        while data := connection.recv(100):
            connection.sendall(data)

    backend = TcpServer(endless)
    toml = listener_toml("raw", name="raw", protocol="tcp") + pool_toml("raw", {"s": backend.port})
    with running_engine(tmp_path, toml) as engine, engine.client() as client:
        with socket.create_connection(("127.0.0.1", engine.port("raw")), timeout=20) as held:
            held.sendall(b"x")
            assert held.recv(1) == b"x"
            client.patch_server("raw", "s", {"state": "drain", "drain_timeout_s": 0.5, "force": True})
            assert held.recv(1) == b""
        wait_for(lambda: engine.server("raw/s")["in_flight"] == 0)
        assert "drain_timed_out" in engine.events()
    backend.close()


@dataclass
class Watched(Load):
    """The same; from which port each failure came is known, too."""

    ports: list[int] = field(default_factory=list)

    def _run(self) -> None:
        while not self._stop.is_set():
            with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
                own, answer = connection.getsockname()[1], b""
                try:
                    connection.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
                    while data := connection.recv(65536):
                        answer += data
                except OSError as error:
                    answer = repr(error).encode()
            with self._lock:
                if answer.endswith(b"\r\n\r\none"):
                    self.answers["one"] = self.answers.get("one", 0) + 1
                else:
                    self.failures.append(repr(answer))
                    self.ports.append(own)


def clients_held_by(worker: int, port: int) -> set[int]:
    """Stop a worker, and return from which ports those clients came that it has accepted."""
    os.kill(worker, signal.SIGSTOP)
    process = psutil.Process(worker)
    wait_for(lambda: process.status() == psutil.STATUS_STOPPED)
    return {each.raddr.port for each in process.net_connections("tcp") if each.raddr and each.laddr.port == port}


def test_workers_killed_twenty_times_under_load_lose_only_what_they_held_and_are_replaced(tmp_path: Path) -> None:
    def soon(connection: socket.socket) -> None:
        rest = b""
        while True:
            _, rest = read_head(connection, rest)
            threading.Event().wait(0.01)  # so that there is something in flight
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none")

    backend, count, killed, held = TcpServer(soon), 5, set[int](), Counter[int]()  # a port may be a client's again
    toml = listener_toml("app") + pool_toml("app", {"one": backend.port}, extra=NO_CHECK)
    with running_engine(tmp_path, toml, workers=count) as engine:
        port = engine.port()
        with Watched(port, clients=6) as load:
            for _ in range(4):
                wait_for(lambda: len(set(engine.worker_pids()) - killed) == count)
                requests_before = engine.server("app/one")["requests_total"]
                # Each in another slot: a worker that dies again and again is started later each time.
                for victim in engine.worker_pids():
                    answered = load.answered
                    wait_for(lambda seen=answered: load.answered > seen + 10)  # type: ignore[misc]
                    held.update(clients_held_by(victim, port))
                    os.kill(victim, signal.SIGKILL)
                    killed.add(victim)
                assert engine.server("app/one")["requests_total"] >= requests_before
            wait_for(lambda: len(set(engine.worker_pids()) - killed) == count)
            answered = load.answered
            wait_for(lambda: load.answered > answered + 50)
        assert len(killed) == 20
        assert [each for each in zip(load.ports, load.failures, strict=True) if each[0] not in held] == []
        assert len(load.failures) <= held.total()
        assert load.failures, "nobody was served when they were killed"
        assert engine.events().count("worker_died") == 20
    backend.close()


def test_tcp_relays_a_gigabyte_unchanged(tmp_path: Path) -> None:
    block = random.Random(9).randbytes(1_000_000)
    sent = hashlib.sha256()
    for _ in range(GIGABYTE // len(block)):
        sent.update(block)

    def source(connection: socket.socket) -> None:
        assert read_exactly(connection, 2) == b"go"
        for _ in range(GIGABYTE // len(block)):
            connection.sendall(block)

    backend = TcpServer(source)
    toml = listener_toml("raw", name="raw", protocol="tcp") + pool_toml("raw", {"s": backend.port})
    with running_engine(tmp_path, toml) as engine:
        received, count = hashlib.sha256(), 0
        with socket.create_connection(("127.0.0.1", engine.port("raw")), timeout=60) as client:
            client.sendall(b"go")
            client.shutdown(socket.SHUT_WR)
            buffer = bytearray(1 << 20)
            while size := client.recv_into(buffer):
                received.update(memoryview(buffer)[:size])
                count += size
        assert count == GIGABYTE
        assert received.digest() == sent.digest()
        wait_for(lambda: engine.server("raw/s")["bytes_out_total"] == GIGABYTE)
    backend.close()


def test_sigterm_finishes_what_is_in_flight_and_leaves_nothing(tmp_path: Path) -> None:
    is_to_answer = threading.Event()

    def slow(connection: socket.socket) -> None:
        read_head(connection)
        is_to_answer.wait(30)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none")

    backend = TcpServer(slow)
    toml = listener_toml("app") + pool_toml("app", {"one": backend.port})
    with running_engine(tmp_path, toml) as engine:
        port = engine.port()
        held: list[bytes] = []
        thread = threading.Thread(target=lambda: held.append(request(port)))
        thread.start()
        wait_for(lambda: engine.server("app/one")["in_flight"] == 1)
        pids = engine.worker_pids()
        engine.process.send_signal(signal.SIGTERM)
        wait_for(lambda: "node_draining" in engine.log.read_text())
        is_to_answer.set()
        thread.join(20)
        assert engine.process.wait(25) == 0
        assert held[0].endswith(b"one")
        assert not engine.control.exists()
        for pid in pids:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
        with pytest.raises(ConnectionRefusedError):
            request(port)
    backend.close()


def test_curl_and_a_real_nginx_agree_through_lbapp(tmp_path: Path) -> None:
    nginx, curl = shutil.which("nginx", path="/usr/sbin:/usr/bin"), shutil.which("curl")
    assert nginx, "nginx is missing: apt-get install nginx-light"
    assert curl, "curl is missing: apt-get install curl"
    port = free_port()
    site = tmp_path / "site"
    site.mkdir()
    content = random.Random(5).randbytes(3_000_000)
    (site / "file.bin").write_bytes(content)
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {tmp_path}/nginx.pid; error_log {tmp_path}/error.log;\n"
        "events {}\n"
        f"http {{ access_log off; client_body_temp_path {tmp_path}/b; proxy_temp_path {tmp_path}/p;\n"
        f"fastcgi_temp_path {tmp_path}/f; uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;\n"
        f"server {{ listen 127.0.0.1:{port}; root {site}; location /say {{ return 200 'hello\\n'; }} }} }}\n"
    )
    backend = subprocess.Popen([nginx, "-c", str(tmp_path / "nginx.conf"), "-p", str(tmp_path)])
    try:
        wait_for(lambda: _answers(port))
        toml = listener_toml("app") + pool_toml("app", {"nginx": port})
        with running_engine(tmp_path, toml) as engine:
            url = f"http://127.0.0.1:{engine.port()}"
            once = [curl, "-sS", "--fail", "--max-time", "20"]
            fetched = subprocess.run([*once, f"{url}/file.bin"], capture_output=True, check=True).stdout
            assert fetched == content
            said = subprocess.run([*once, f"{url}/say", f"{url}/say"], capture_output=True, check=True).stdout
            assert said == b"hello\nhello\n"
            part = subprocess.run([*once, "-r", "10-19", f"{url}/file.bin"], capture_output=True, check=True).stdout
            assert part == content[10:20]
            old = subprocess.run([*once, "--http1.0", f"{url}/say"], capture_output=True, check=True).stdout
            assert old == b"hello\n"
    finally:
        backend.terminate()
        backend.wait(10)


def _answers(port: int) -> bool:
    try:
        return request(port).startswith(b"HTTP/1.1")
    except OSError:
        return False


def _drain_phase(engine: Engine) -> str:
    drain = engine.server("app/one")["drain"]
    return drain["phase"] if drain is not None else ""


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_long_body_passes_through_constant_memory(tmp_path: Path, framing: str) -> None:
    """The server sends as fast as it can: it is held back by the client's pace, and nothing piles up in the worker."""
    block, blocks = b"x" * 1_000_000, 300

    def endless(connection: socket.socket) -> None:
        read_head(connection)
        if framing == "length":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(block) * blocks))
        else:
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(blocks):
            connection.sendall(block if framing == "length" else b"%x\r\n%b\r\n" % (len(block), block))
        if framing == "chunked":
            connection.sendall(b"0\r\n\r\n")

    server = TcpServer(endless)
    with running_engine(tmp_path, listener_toml("app") + pool_toml("app", {"s1": server.port})) as engine:
        workers = [psutil.Process(pid) for pid in engine.worker_pids()]
        before = sum(worker.memory_info().rss for worker in workers)
        with socket.create_connection(("127.0.0.1", engine.port()), timeout=20) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            count, looks = 0, [before]
            while data := client.recv(65_536):
                count += data.count(b"x")
                if count > len(looks) * 10_000_000:
                    looks.append(sum(worker.memory_info().rss for worker in workers))
        assert count == len(block) * blocks
        assert len(looks) > 20
        assert max(looks) - before < 8_000_000
    server.close()
