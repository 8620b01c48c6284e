"""The live feed of a whole engine: reloads, drains, the death of a worker, and one who reads slowly."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.engine.supervisor.live_support import Follower, check_same
from tests.system.harness import (
    NO_CHECK,
    Engine,
    Load,
    listener_toml,
    pool_toml,
    request,
    running_engine,
    servers,
    wait_for,
    waiting_server,
)
from tests.system.test_reload import reload

pytestmark = pytest.mark.system
# ruff: noqa: SIM117 - who watches comes after the engine, and what is done to it while he does is a block of its own


class Watcher(Follower):
    """A follower of a real engine."""

    def __init__(self, lines: Iterator[str]) -> None:
        super().__init__()
        self._lines = lines
        self.take(next(lines))

    def until(self, holds: Callable[[], Any]) -> None:
        """Take in lines until something holds."""
        for _ in range(60):
            if holds():
                return
            self.take(next(self._lines))
        raise AssertionError(f"not within 60 lines: {holds}")

    def server(self, name: str) -> dict[str, Any]:
        return self.row("servers", name)


@contextmanager
def watching(engine: Engine) -> Iterator[Watcher]:
    transport = httpx.HTTPTransport(uds=str(engine.control))
    with (
        httpx.Client(transport=transport, base_url="http://lbapp", timeout=20) as client,
        client.stream("GET", "/v1/watch?as=changes") as answer,
    ):
        assert answer.status_code == 200
        yield Watcher(answer.iter_lines())


def app(ports: dict[str, int], *names: str, extra: str = NO_CHECK) -> str:
    return listener_toml("app") + pool_toml("app", {name: ports[name] for name in names}, extra=extra)


def test_reload_that_brings_servers_and_takes_them_begins_anew(tmp_path: Path) -> None:
    with servers() as ports, running_engine(tmp_path, app(ports, "s1", "s2")) as engine, watching(engine) as watcher:
        request(engine.port())
        watcher.until(lambda: watcher.row("pools", "app")["requests_total"] == 1)
        assert watcher.lines[-1]["kind"] == "changes"
        reload(engine, app(ports, "s2", "s3"))
        watcher.until(lambda: [row["name"] for row in watcher.rows("servers")] == ["s2", "s3"])
        assert watcher.lines[-1]["kind"] == "whole"
        assert watcher.rows("engine")[0]["generation"] == 2
        assert watcher.row("pools", "app")["requests_total"] == 1, "what a server counted that is gone stays the pool's"
        check_same(watcher, engine.status())


def test_drain_is_told_with_what_is_in_flight_until_nothing_is(tmp_path: Path) -> None:
    with waiting_server() as (port, may_answer), running_engine(tmp_path, app({"s1": port}, "s1")) as engine:
        with watching(engine) as watcher:
            asking = threading.Thread(target=request, args=(engine.port(),))
            asking.start()
            watcher.until(lambda: watcher.server("s1")["in_flight"] == 1)
            with engine.client() as client:
                client.patch_server("app", "s1", {"state": "drain", "drain_timeout_s": 600, "force": True})
            watcher.until(lambda: watcher.server("s1")["drain"] is not None)
            row = watcher.server("s1")
            assert (row["admin"], row["is_eligible"], row["drain"]["phase"]) == ("drain", False, "draining")
            assert row["drain"]["until"] == pytest.approx(row["drain"]["since"] + 600, abs=1)
            assert row["changed_by"]["pid"] == os.getpid()
            assert watcher.row("pools", "app")["states"] == {"drain": 1}
            may_answer.set()
            watcher.until(lambda: watcher.server("s1")["drain"]["phase"] == "drained")
            watcher.until(lambda: watcher.server("s1")["in_flight"] == 0)
            asking.join(20)


def test_failing_probes_are_seen_to_add_up(tmp_path: Path) -> None:
    check = '[pool.health_check]\ntype = "tcp"\ninterval = "400ms"\nfast_interval = "400ms"\nfall = 5\nrise = 5\n'
    with servers("s2") as ports, socket.create_server(("127.0.0.1", 0)) as listening:
        ports["s1"] = listening.getsockname()[1]
        with running_engine(tmp_path, app(ports, "s1", "s2", extra=check)) as engine, watching(engine) as watcher:
            watcher.until(lambda: watcher.server("s1")["health"] == "up")
            assert watcher.row("pools", "app")["check"] == {"rise": 5, "fall": 5}
            listening.close()
            watcher.until(lambda: watcher.server("s1")["health"] == "down")
            told = [
                state["probe"]
                for line in watcher.lines
                if line["kind"] == "changes"
                for _, state in line.get("servers", {}).get("states", ())
                if state.get("probe") and state["name"] == "s1"
            ]
            assert told
            assert all(not probe["is_success"] and 0 < probe["streak"] < 5 for probe in told)
            assert [probe["streak"] for probe in told] == sorted(probe["streak"] for probe in told)


def test_totals_do_not_go_back_when_a_worker_dies(tmp_path: Path) -> None:
    with servers() as ports, running_engine(tmp_path, app(ports, "s1", "s2", "s3")) as engine:
        with watching(engine) as watcher:
            with Load(engine.port()) as load:
                wait_for(lambda: load.answered > 50)
            answered = load.answered
            watcher.until(lambda: watcher.row("pools", "app")["requests_total"] >= answered)
            pid = engine.worker_pids()[0]
            os.kill(pid, signal.SIGKILL)
            watcher.until(lambda: any(row["restarts_total"] for row in watcher.rows("workers")))
            watcher.until(lambda: sum(row["phase"] == "serving" for row in watcher.rows("workers")) == 2)
            assert pid not in [row["pid"] for row in watcher.rows("workers")]
            assert watcher.row("pools", "app")["requests_total"] >= answered
            totals = [figures for line in watcher.lines for figures in _totals(watcher, line)]
            assert totals == sorted(totals)


def _totals(watcher: Watcher, line: dict[str, Any]) -> list[int]:
    column = watcher.columns["pools"].index("requests_total")
    found = line.get("pools", {}).get("figures", {}).get("values")
    return list(json.loads(found[column])) if found else []


def test_one_who_reads_slowly_gets_what_is_newest_and_no_queue_of_what_was(tmp_path: Path) -> None:
    many = {f"s{number}": 9 for number in range(600)}
    toml = listener_toml("app") + pool_toml("app", many, extra=NO_CHECK)
    with running_engine(tmp_path, toml) as engine:
        with watching(engine) as quick, watching(engine) as slow, engine.client() as client:
            changes = 12  # of every server: a few of these lines are more than a socket holds
            for weight in range(1, changes + 1):
                client.patch_servers({"servers": list(map("app/{}".format, many)), "weight": weight})
                quick.until(lambda weight=weight: quick.server("s599")["weight"] == weight)  # type: ignore[misc]
            slow.until(lambda: slow.server("s599")["weight"] == changes)
            with_states = [line for line in slow.lines if line.get("servers", {}).get("states")]
            assert len(with_states) < changes / 2
            assert slow.rows("servers") == quick.rows("servers")
