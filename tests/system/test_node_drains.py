"""A drain of the node outlives what becomes of its engine: an upgrade, a kill -9, a restart, a reload, a full disk."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from lbapp.control import calls
from lbapp.control.messages import NodeDrainStatus
from lbapp.model.errors import EngineUnreachable
from tests import forked
from tests.engine.supervisor.test_reports import DNS
from tests.system.harness import (
    NO_CHECK,
    Engine,
    lbapp,
    lbapp_says,
    listener_toml,
    pool_toml,
    running_engine,
    servers,
    start_engine,
    wait_for,
)

pytestmark = pytest.mark.system
TTL_S = 600.0


class Node(Engine):
    """An engine that is told about its records again and again, as `lbapp dns` does: a report counts for 15 seconds."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine.process, engine.control, engine.log)
        self._report: dict[str, object] = {**DNS, "ttl_s": TTL_S}
        self._has_ended = threading.Event()
        self._telling = threading.Thread(target=self._tell_on, daemon=True)
        self._telling.start()

    def tell(self, **more: object) -> None:
        self._report = {**self._report, **more}
        self._tell()

    def _tell(self) -> None:
        with self.client() as client:
            client.ask(calls.report_records(self._report))  # type: ignore[arg-type]

    def _tell_on(self) -> None:
        while not self._has_ended.wait(1.0):
            with suppress(EngineUnreachable):
                self._tell()

    def end(self) -> None:
        """End the telling, and whoever answers; then those that this test has started are gone as well."""
        self._has_ended.set()
        self._telling.join(20)
        while pid := pid_of(self):
            os.kill(pid, signal.SIGTERM)
            wait_for(lambda pid=pid: pid_of(self) != pid)  # type: ignore[misc]
        self.process.wait(20)


@contextmanager
def node(folder: Path) -> Iterator[Node]:
    """Run an engine that has been told that its records are in DNS; whoever comes after it ends with it."""
    with servers("s1") as ports, running_engine(folder, toml(ports)) as engine:
        own = Node(engine)
        try:
            own.tell()
            yield own
        finally:
            own.end()


def toml(ports: dict[str, int]) -> str:
    return listener_toml("app") + pool_toml("app", ports, extra=NO_CHECK)


def pid_of(engine: Engine) -> int:
    """Return the engine that answers; 0: none does."""
    try:
        return engine.status()["engine"]["pid"]
    except EngineUnreachable:
        return 0


def drain_of(engine: Engine) -> NodeDrainStatus:
    found = engine.status()["engine"]["drain"]
    assert found is not None
    return found


def begin(engine: Node, *options: str) -> NodeDrainStatus:
    """Drain the node, which waits for its records to be forgotten."""
    left_at = time.time()
    lbapp_says(engine, "drain", "--node", "--timeout", "20m", *options)
    assert drain_of(engine)["step"] == "dns"
    engine.tell(state="withdrawn", left_at=left_at, gone_at=left_at + TTL_S)
    wait_for(lambda: drain_of(engine)["step_why"] == "resolvers still know this node's records")
    return drain_of(engine)


def start_again(folder: Path, engine: Node) -> forked.Process:
    """Start another engine in the place of one that has ended, or is about to; return when it serves."""
    engine.process.wait(20)
    said = engine.log.read_text().count("serving:")
    with engine.log.open("ab") as log:
        process = start_engine(folder / "lbapp.toml", engine.control, log)
    engine.process = process
    wait_for(lambda: process.poll() is not None or engine.log.read_text().count("serving:") > said, 60)
    return process


def kill(engine: Node) -> None:
    pid = pid_of(engine)
    os.kill(pid, signal.SIGKILL)
    engine.process.wait(20)
    wait_for(lambda: not pid_of(engine))


def same(before: NodeDrainStatus, after: NodeDrainStatus) -> bool:
    """Say whether a drain goes on as it was."""
    keys = ("step", "step_why", "since", "step_since", "timeout_s", "then_stop")
    return all(before[key] == after[key] for key in keys)  # type: ignore[literal-required]


def test_an_upgrade_leaves_a_drain_at_the_step_that_it_was_at(tmp_path: Path) -> None:
    with node(tmp_path) as engine:
        before = begin(engine, "--then-stop")
        for _ in range(2):
            lbapp_says(engine, "upgrade")
            after = drain_of(engine)
            assert same(before, after)
            assert after["then_stop"] is True
            assert abs((after["step_until"] or 0) - (before["step_until"] or 0)) < 1
            assert "node_drain_step_given_up" not in engine.events()
        last = pid_of(engine)
        engine.tell(state="withdrawn", left_at=1.0, gone_at=2.0)
        wait_for(lambda: not Path(f"/proc/{last}").exists() or not pid_of(engine), 30)
        assert engine.log.read_text().count("the engine stops now, as was asked for") == 1


def test_a_drain_after_an_upgrade_waits_for_records_that_the_engine_before_was_told_of(tmp_path: Path) -> None:
    with node(tmp_path) as engine:
        lbapp_says(engine, "upgrade")
        lbapp_says(engine, "drain", "--node")
        assert drain_of(engine)["step_why"] == "lbapp dns is to take this node's records out"


def test_a_drain_goes_on_where_it_was_when_its_engine_was_killed_and_stops_it_then(tmp_path: Path) -> None:
    with node(tmp_path) as engine:
        before = begin(engine, "--then-stop")
        wait_for(lambda: b"gone_at" in drain_file(tmp_path) and b'"gone_at":null' not in drain_file(tmp_path))
        kill(engine)
        process = start_again(tmp_path, engine)
        assert same(before, drain_of(engine))
        assert "; this engine stops when it has drained" in engine.log.read_text()
        engine.tell(state="withdrawn", left_at=1.0, gone_at=2.0)
        assert process.wait(30) == 0
        assert not drain_has_to_stop(tmp_path)
        later = start_again(tmp_path, engine)
        wait_for(lambda: drain_of(engine)["step"] == "drained")
        assert drain_of(engine)["then_stop"] is False, "it has stopped behind this drain already"
        assert later.poll() is None


def drain_file(folder: Path) -> bytes:
    found = list(folder.glob("drain-*[0-9a-f]"))
    return found[0].read_bytes() if found else b""


def drain_has_to_stop(folder: Path) -> bool:
    return b'"then_stop":true' in drain_file(folder)


def test_an_engine_that_was_stopped_meanwhile_drains_on_and_is_not_stopped_again(tmp_path: Path) -> None:
    with node(tmp_path) as engine:
        before = begin(engine, "--then-stop")
        assert lbapp(engine, "stop").returncode == 0
        assert not drain_has_to_stop(tmp_path)
        start_again(tmp_path, engine)
        after = drain_of(engine)
        assert after["then_stop"] is False
        assert "; this engine does not stop when it has drained" in engine.log.read_text()
        assert same({**before, "then_stop": False}, after)
        lbapp_says(engine, "ready", "--node")
        wait_for(lambda: drain_file(tmp_path) == b"")


def test_a_redo_of_a_drain_has_the_time_that_was_asked_for(tmp_path: Path) -> None:
    with node(tmp_path) as engine:
        begin(engine)
        lbapp_says(engine, "undo")
        with engine.client() as client:
            number = client.ask(calls.changes(limit=1))["actions"][-1]["number"]
        lbapp_says(engine, "undo", str(number))
        assert drain_of(engine)["timeout_s"] == pytest.approx(1200, abs=1)


def test_a_reload_leaves_a_drain_as_it_is_and_workers_go_on_asking_clients_to_leave(tmp_path: Path) -> None:
    with servers("s1", "s2") as ports, running_engine(tmp_path, toml({"s1": ports["s1"]})) as engine:
        lbapp_says(engine, "drain", "--node", "--timeout", "20m")
        with socket.create_connection(("127.0.0.1", engine.port()), timeout=20):
            wait_for(lambda: drain_of(engine)["connections"] == 1)
            before = drain_of(engine)
            file = tmp_path / "lbapp.toml"
            file.write_text(file.read_text() + f'[[pool.server]]\nname = "s2"\naddress = "127.0.0.1:{ports["s2"]}"\n')
            lbapp_says(engine, "reload")
            assert same(before, drain_of(engine))
        for _ in range(3):
            assert says_close(engine)
        wait_for(lambda: drain_of(engine)["step"] == "drained")
        lbapp_says(engine, "ready", "--node")
        wait_for(lambda: not says_close(engine))


def says_close(engine: Engine) -> bool:
    """Say whether a client that would stay is asked to leave."""
    with socket.create_connection(("127.0.0.1", engine.port()), timeout=20) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        return b"connection: close" in client.recv(65536).lower()


def test_a_state_folder_that_takes_nothing_stops_no_drain(tmp_path: Path) -> None:
    with node(tmp_path) as engine:
        name = next(tmp_path.glob("journal-*")).name.replace("journal", "drain")
        (tmp_path / f"{name}.new").mkdir()  # nobody can write a file there now, whoever they are
        begin(engine)
        wait_for(lambda: "node_drain_not_kept" in engine.events())
        (tmp_path / f"{name}.new").rmdir()
        wait_for(lambda: drain_file(tmp_path) != b"")
