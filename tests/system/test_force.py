"""Closed by force: what an operator ends is over on both sides, and nothing of it holds up a later stop."""

from __future__ import annotations

import hashlib
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lbapp.engine.wire.chunked import ChunkedDecoder
from tests.engine.worker.harness import TcpServer, read_head
from tests.system.harness import lbapp, listener_toml, pool_toml, running_engine, wait_for

pytestmark = pytest.mark.system

# A server that accepts and never reads or answers, in a process of its own so that it can be stopped as a whole.
SILENT = "import socket,sys,time\ns=socket.create_server(('127.0.0.1',0))\nprint(s.getsockname()[1],flush=True)\n" + (
    "held=[]\nwhile True: held.append(s.accept())"
)


@pytest.mark.parametrize("is_stopped", [False, True], ids=["accepting", "frozen"])
@pytest.mark.parametrize("sent_bytes", [0, 20_000_000], ids=["silent client", "client that fills every buffer"])
def test_relay_closed_by_force_is_over_and_does_not_hold_up_the_stop(
    tmp_path: Path, sent_bytes: int, is_stopped: bool
) -> None:
    process = subprocess.Popen([sys.executable, "-c", SILENT], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    port = int(process.stdout.readline())
    toml = listener_toml("app", name="raw", protocol="tcp") + pool_toml("app", {"s": port})
    try:
        with running_engine(tmp_path, toml) as engine:
            client = socket.create_connection(("127.0.0.1", engine.port("raw")), timeout=0.5)
            try:
                client.sendall(b"x" * sent_bytes)
            except TimeoutError:
                pass  # every buffer on the way is full
            wait_for(lambda: engine.server("app/s")["in_flight"] == 1)
            if is_stopped:
                process.send_signal(signal.SIGSTOP)
            assert lbapp(engine, "drain", "app/*", "--timeout", "500ms", "--force").returncode == 0
            wait_for(lambda: "drain_timed_out" in engine.events())
            wait_for(lambda: engine.server("app/s")["in_flight"] == 0, 3)
            wait_for(lambda: engine.status()["listeners"][0]["connections"] == 0, 3)
            client.close()
            started = time.monotonic()
            assert lbapp(engine, "stop", "--timeout", "15s").returncode == 0
            assert engine.process.wait(20) == 0
            assert time.monotonic() - started < 10
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_download_to_a_client_that_reads_nothing_is_closed_at_the_drains_timeout(tmp_path: Path) -> None:
    def endless(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while True:
            connection.sendall(bytes(1_000_000))

    backend = TcpServer(endless)
    toml = listener_toml("app") + pool_toml("app", {"s": backend.port})
    with running_engine(tmp_path, toml) as engine, socket.create_connection(("127.0.0.1", engine.port())) as client:
        client.settimeout(20)
        client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        client.recv(100)
        wait_for(lambda: engine.server("app/s")["in_flight"] == 1)
        assert lbapp(engine, "drain", "app/s", "--timeout", "500ms", "--force").returncode == 0
        wait_for(lambda: "drain_timed_out" in engine.events())
        wait_for(lambda: engine.server("app/s")["in_flight"] == 0, 3)
    backend.close()


def test_chunked_upload_and_download_pass_the_engine_byte_for_byte(tmp_path: Path) -> None:
    """Both at once: the server sends each part back as it comes."""
    content = random.Random(3).randbytes(5_000_000)

    def echo(connection: socket.socket) -> None:
        _, data = read_head(connection)
        decoder = ChunkedDecoder()
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            for part in decoder.feed(data):
                connection.sendall(b"%x\r\n%b\r\n" % (len(part), part))
            if decoder.is_done:
                break
            data = connection.recv(65536)
        connection.sendall(b"0\r\n\r\n")

    backend = TcpServer(echo)
    with running_engine(tmp_path, listener_toml("app") + pool_toml("app", {"s": backend.port})) as engine:
        with socket.create_connection(("127.0.0.1", engine.port()), timeout=20) as client:

            def upload() -> None:
                client.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
                sizes, at = random.Random(4), 0
                while at < len(content):
                    part = content[at : at + sizes.randint(1, 100_000)]
                    client.sendall(b"%x\r\n%b\r\n" % (len(part), part))
                    at += len(part)
                client.sendall(b"0\r\n\r\n")

            thread = threading.Thread(target=upload, daemon=True)
            thread.start()
            _, data = read_head(client)
            decoder, got = ChunkedDecoder(), hashlib.sha256()
            while True:
                for part in decoder.feed(data):
                    got.update(part)
                if decoder.is_done:
                    break
                data = client.recv(65536)
                assert data
            thread.join(20)
        assert got.digest() == hashlib.sha256(content).digest()
        assert engine.server("app/s")["in_flight"] == 0
    backend.close()
