"""The clock of the machine jumps while an engine serves, and between two engines."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.engine.worker.harness import read_head
from tests.system.harness import (
    NO_CHECK,
    Load,
    free_port,
    lbapp,
    pool_toml,
    running_engine,
    servers,
    wait_for,
    waiting_server,
)
from tests.system.test_reload import connect, listener, reload, served

pytestmark = pytest.mark.system

# Found by every Python process of the engine before anything else: the time of day is what a file says it is off by.
CLOCK = """
import pathlib, time
_file, _time, _time_ns = pathlib.Path({path!r}), time.time, time.time_ns
time.time = lambda: _time() + int(_file.read_text())
time.time_ns = lambda: _time_ns() + int(_file.read_text()) * 10**9
"""
DAY_S = 86_400


class Clock:
    """The clock of engines that are started from now on."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._file = folder / "off_by_s"
        self.jump(0)
        modules = folder / "modules"
        modules.mkdir()
        (modules / "sitecustomize.py").write_text(CLOCK.format(path=str(self._file)))
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(modules), os.environ.get("PYTHONPATH", ""))))

    def jump(self, off_by_s: int) -> None:
        """Have it be off by so much, all at once."""
        beside = self._file.with_suffix(".new")
        beside.write_text(str(off_by_s))
        beside.replace(self._file)


def test_clock_that_jumps_fails_no_request_and_neither_shortens_nor_lengthens_what_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, clock = free_port(), Clock(tmp_path, monkeypatch)
    with servers("s1") as ports, waiting_server() as (slow, may_answer):
        pools = pool_toml("app", {**ports, "s2": slow}, algorithm="least_connections", extra=NO_CHECK)
        first, second = listener(port) + pools, listener(port) + pools + "weight = 50\n"
        with running_engine(tmp_path, first, is_anew=True) as engine, connect(port) as held:
            assert lbapp(engine, "drain", "app/s1", "--force").returncode == 0
            held.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            wait_for(lambda: engine.server("app/s2")["in_flight"] == 1)
            assert lbapp(engine, "ready", "app/s1").returncode == 0
            assert lbapp(engine, "drain", "app/s2", "--timeout", "10m").returncode == 0
            assert reload(engine, second, confirm_s=600)["applied"]
            workers = engine.worker_pids()
            with Load(port) as load:
                for off_by_s in (DAY_S, -DAY_S):
                    clock.jump(off_by_s)
                    answered = load.answered
                    wait_for(lambda seen=answered: load.answered > seen + 200)  # type: ignore[misc]
                    drain = engine.server("app/s2")["drain"]
                    assert drain is not None
                    assert drain["phase"] == "draining"
                    assert 500 < drain["remaining_s"] <= 600
                    assert lbapp(engine, "weight", "app/s1", str(off_by_s % 7 + 1)).returncode == 0, (
                        "changes are recorded"
                    )
            assert load.failures == []
            assert engine.worker_pids() == workers
            assert engine.server("app/s2")["configured_weight"] == 50, "it waits to be confirmed"
            with engine.client() as client:
                times = [event["at"] for event in client.events()]
            assert max(times) - min(times) > DAY_S, "the engine's clock did jump"
            may_answer.set()
            assert read_head(held)[1] == b"slow"
            engine.process.send_signal(signal.SIGKILL)
            engine.process.wait(20)
        clock.jump(-2 * DAY_S)  # all that was given is in the future now
        with running_engine(tmp_path, second, is_anew=True) as engine:
            drain = engine.server("app/s2")["drain"]
            assert drain is not None
            assert drain["timeout_s"] <= 600
            with engine.client() as client:
                assert [each["state"] for each in client.configurations() if each["is_serving"]] == ["unconfirmed"]
            assert served(engine) == {"app/s1", "app/s2"}
