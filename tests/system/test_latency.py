"""Percentiles of a running engine, held against what its access log says of the same requests."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest

from lbapp.control.latency import LatencyOf, LatencyReport
from lbapp.model.errors import RequestRefused
from tests.engine.worker.harness import TcpServer, read_head
from tests.system.harness import Engine, lbapp, listener_toml, pool_toml, request, running_engine, wait_for

pytestmark = pytest.mark.system

BUCKET = 1 / 16  # the width of a bucket: a percentile is the middle of one, so it is off by half of that at most
NOISE_MS = 0.5  # between counting an exchange and writing its line down


def dawdling() -> Callable[[socket.socket], None]:
    """A server that takes from 1 to 60 ms to answer, as long as it takes for every answer to differ."""
    source, lock = Random(5), threading.Lock()

    def handle(connection: socket.socket) -> None:
        rest = b""
        while True:
            _, rest = read_head(connection, rest)
            with lock:
                delay_s = source.uniform(0.001, 0.06)
            time.sleep(delay_s)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    return handle


def latency(engine: Engine, window_s: float = 300.0) -> LatencyReport:
    with engine.client() as client:
        return client.latency(window_s, None)


def send(engine: Engine, count: int, clients: int = 6) -> None:
    port = engine.port()

    def run() -> None:
        for _ in range(count // clients):
            assert b"200 OK" in request(port)

    threads = [threading.Thread(target=run) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


def hold(found: LatencyOf, lines: list[dict[str, Any]]) -> None:
    """Hold the percentiles of one against those of its lines.

    A line and a percentile are taken a moment apart, between which a busy machine may stop the worker for longer than anything
    else took: so what stands next to a percentile in its order is right as well.
    """
    assert found["requests"] == len(lines)
    measured: dict[str, Any] = dict(found)
    for phase in ("connect", "first_byte", "total"):
        exact_ms = sorted(line[f"{phase}_us"] / 1000 for line in lines)
        assert measured[phase]["count"] == len(lines)
        for key, fraction in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999)):
            rank = max(1, -int(-fraction * len(lines) // 1)) - 1
            least, most = exact_ms[max(0, rank - 1)], exact_ms[min(rank + 1, len(lines) - 1)]
            what = (found["name"], phase, key)
            assert least * (1 - BUCKET) - NOISE_MS <= measured[phase][key] <= most * (1 + BUCKET) + NOISE_MS, what


def test_percentiles_of_two_workers_are_those_of_the_requests_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    with closing(TcpServer(dawdling())) as one, closing(TcpServer(dawdling())) as two:
        toml = (
            f'[access_log]\nto = "file:{log}"\n[limits]\nidle_connections_max = 0\n'
            + listener_toml("app")
            + pool_toml("app", {"s1": one.port, "s2": two.port}, extra='[pool.health_check]\ntype = "none"\n')
        )
        with running_engine(tmp_path, toml) as engine:
            send(engine, 300)
            wait_for(lambda: len(log.read_text().splitlines()) == 300)
            lines = [json.loads(line) for line in log.read_text().splitlines()]
            found = latency(engine)
            hold(found["listeners"][0], lines)
            hold(found["pools"][0], lines)
            for server in found["pools"][0]["servers"]:
                hold(server, [line for line in lines if line["server"] == server["name"]])
            for window_s in (10.0, 60.0):
                assert latency(engine, window_s)["window_s"] < window_s + 12
            assert found["pools"][0]["queue"]["count"] == 0

            for pid in engine.worker_pids():  # neither the death of a worker nor a reload takes anything away
                os.kill(pid, signal.SIGKILL)
            wait_for(lambda: engine.events().count("worker_started") >= 4 or len(engine.worker_pids()) == 2)
            configuration = tmp_path / "lbapp.toml"
            configuration.write_text(
                configuration.read_text() + f'[[pool.server]]\nname = "s3"\naddress = "127.0.0.1:{one.port}"\n'
            )
            assert lbapp(engine, "reload").returncode == 0
            send(engine, 60)
            found = latency(engine)
            assert found["listeners"][0]["requests"] == found["pools"][0]["total"]["count"] == 360
            servers = {each["name"]: each["requests"] for each in found["pools"][0]["servers"]}
            assert servers["app/s3"] > 0
            assert sum(servers.values()) == 360

            printed = lbapp(engine, "latency", "app", "--window", "5m").stdout
            assert "first byte" in printed
            assert "app/s3" in printed
            assert all(len(line) <= 80 for line in printed.splitlines()), printed
            assert json.loads(lbapp(engine, "latency", "--json").stdout)["listeners"][0]["name"] == "web"


def test_wait_for_room_is_seen_at_the_listener_the_pool_and_the_server(tmp_path: Path) -> None:
    with closing(TcpServer(dawdling())) as server:
        toml = listener_toml("app") + pool_toml(
            "app", {"s1": server.port}, extra='connections_max = 1\n[pool.health_check]\ntype = "none"\n'
        )
        with running_engine(tmp_path, toml) as engine:
            send(engine, 60)
            found = latency(engine)
            counts = [
                each["queue"]["count"]
                for each in (found["listeners"][0], found["pools"][0], found["pools"][0]["servers"][0])
            ]
            assert counts[0] == counts[1] == counts[2] > 0
            assert found["pools"][0]["queue"]["p50"] is not None


def test_unknown_window_or_pool_is_refused(tmp_path: Path) -> None:
    toml = listener_toml("app") + pool_toml("app", {"s1": 1})
    with running_engine(tmp_path, toml) as engine:
        assert lbapp(engine, "latency", "--window", "2m").returncode == 2
        assert lbapp(engine, "latency", "nothing").returncode == 1
        with engine.client() as client, pytest.raises(RequestRefused, match="no window of 7 s"):
            client.latency(7.0, None)
