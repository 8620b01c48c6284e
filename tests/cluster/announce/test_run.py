"""The whole of `lbapp announce` between an engine and a BIRD, as a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import anyio
import anyio.to_thread
import psutil
import pytest

from lbapp.cluster.announce.asking import look_of
from lbapp.cluster.announce.backend import Found
from lbapp.cluster.announce.bird_text import vip_word
from lbapp.cluster.announce.decision import RouteState, Sight
from lbapp.cluster.announce.run import Announcer as Loop
from lbapp.cluster.announce.run import turn_s
from lbapp.control.client import AsyncControlClient
from lbapp.control.fleet import Readiness
from lbapp.model.announce import AnnounceSettings, RouteBackend
from tests.children import child
from tests.cluster.announce.doubles import VIP4, BirdDouble, EngineDouble, settings
from tests.cluster.watchdog import Watchdog
from tests.system.harness import wait_for

GOOD, WORSE = f"lbapp_vip_{vip_word(VIP4)}", f"lbapp_drained_{vip_word(VIP4)}"
FILE = f"""
backend = "bird"
addresses = ["{VIP4}"]
rise = 2
fall = 2
interval = "100ms"
fast_interval = "50ms"
"""


class Announcer:
    """A running `lbapp announce`."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process, self._log = process, log

    @property
    def log(self) -> str:
        return self._log.read_text()


@contextmanager
def announcing(
    folder: Path, more: str = 'hold_down = "0s"\n', environment: Mapping[str, str] | None = None
) -> Iterator[Announcer]:
    file, log = folder / "announce.toml", folder / "log"
    file.write_text(f'{FILE}{more}socket = "{folder}/c.sock"\n[bird]\nsocket = "{folder}/b"\n')
    command = [sys.executable, "-m", "lbapp", "announce", "-c", str(file)]
    variables = {**os.environ, **(environment or {})}
    with log.open("wb") as output, child(command, stdout=output, stderr=output, env=variables) as process:
        try:
            yield Announcer(process, log)
        finally:
            process.kill()


@pytest.fixture
def bird(tmp_path: Path) -> Iterator[BirdDouble]:
    with BirdDouble(tmp_path / "b", [GOOD, WORSE]).running() as double:
        yield double


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EngineDouble]:
    with EngineDouble(tmp_path / "c.sock").running() as double:
        yield double


def test_a_ready_node_is_announced_a_drained_one_is_the_last_and_both_are_reported(
    tmp_path: Path, bird: BirdDouble, engine: EngineDouble
) -> None:
    with announcing(tmp_path) as announcer:
        wait_for(lambda: bird.up[GOOD])
        wait_for(lambda: "announced" in engine.states)
        report = engine.reports[-1]
        assert (report["backend"], report["addresses"], report["med"], report["ecmp"]) == (
            "bird",
            [VIP4],
            None,
            "plain",
        )
        assert report["sessions"][0]["bfd"] == "Up"
        engine.begin_drain("clients")
        asked = engine.asked
        wait_for(lambda: engine.asked > asked + 3)
        assert bird.up == {GOOD: True, WORSE: False}, "its routes stay until their step"
        engine.begin_drain("routes")
        wait_for(lambda: bird.up == {GOOD: False, WORSE: True})
        wait_for(lambda: engine.reports[-1]["state"] == "drained")
        assert engine.reports[-1]["med"] == 100
        engine.end_drain()
        wait_for(lambda: bird.up == {GOOD: True, WORSE: False})
        assert "withdrawn -> announced: the node is ready" in announcer.log
        assert "announced -> drained: the node drains" in announcer.log


def test_an_engine_that_is_not_ready_or_silent_is_withdrawn_and_held_down(tmp_path: Path, bird: BirdDouble) -> None:
    with announcing(tmp_path, 'hold_down = "1h"\n') as announcer:
        with EngineDouble(tmp_path / "c.sock").running() as engine:
            wait_for(lambda: bird.up[GOOD])
            engine.reasons = ["no worker serves"]
            wait_for(lambda: not bird.up[GOOD])
            engine.reasons = []
            asked = engine.asked
            wait_for(lambda: engine.asked > asked + 4)
            wait_for(lambda: "held down until" in engine.reports[-1]["problem"])
            assert engine.reports[-1]["state"] == "withdrawn"
            assert not bird.up[GOOD]
        assert "announced -> withdrawn: no worker serves" in announcer.log


def test_an_engine_that_is_gone_is_withdrawn_and_comes_back(tmp_path: Path, bird: BirdDouble) -> None:
    with announcing(tmp_path) as announcer:
        for _ in range(2):
            with EngineDouble(tmp_path / "c.sock").running():
                wait_for(lambda: bird.up[GOOD])
            wait_for(lambda: not bird.up[GOOD])
        assert announcer.log.count("announced -> withdrawn: no engine answers on") == 2


def test_an_event_of_the_engine_is_looked_into_at_once(tmp_path: Path, bird: BirdDouble, engine: EngineDouble) -> None:
    with announcing(tmp_path, 'hold_down = "0s"\n') as announcer:
        file = tmp_path / "announce.toml"
        wait_for(lambda: bird.up[GOOD])
        announcer.process.terminate()
        announcer.process.wait(25)
    file.write_text(file.read_text().replace("100ms", "60s"))
    command = [sys.executable, "-m", "lbapp", "announce", "-c", str(file)]
    with (tmp_path / "log").open("wb") as log, child(command, stderr=log) as process:
        wait_for(lambda: bird.up[GOOD])
        engine.begin_drain()
        engine.event.set()  # long before the next question is due
        wait_for(lambda: bird.up[WORSE])
        process.kill()


def test_a_bird_that_is_configured_anew_is_set_again_at_once(
    tmp_path: Path, bird: BirdDouble, engine: EngineDouble
) -> None:
    with announcing(tmp_path, 'hold_down = "0s"\n') as announcer:
        file = tmp_path / "announce.toml"
        announcer.process.terminate()
        announcer.process.wait(25)
    file.write_text(file.read_text().replace('interval = "100ms"\nfast', 'interval = "60s"\nfast'))
    command = [sys.executable, "-m", "lbapp", "announce", "-c", str(file)]
    with (tmp_path / "log").open("wb") as log, child(command, stderr=log) as process:
        wait_for(lambda: bird.up[GOOD] and bird.listeners)
        bird.configure()  # long before the next look is due
        wait_for(lambda: bird.up[GOOD])
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stop_withdraws_first(tmp_path: Path, bird: BirdDouble, engine: EngineDouble, number: signal.Signals) -> None:
    with announcing(tmp_path) as announcer:
        wait_for(lambda: bird.up[GOOD])
        announcer.process.send_signal(number)
        assert announcer.process.wait(25) == 0
    assert not bird.up[GOOD]
    assert engine.reports[-1]["state"] == "withdrawn"


def test_a_bird_that_is_away_or_unwilling_is_a_problem_that_passes(tmp_path: Path, engine: EngineDouble) -> None:
    with announcing(tmp_path) as announcer:
        wait_for(lambda: engine.states[-1:] == ["failed"])
        assert "BIRD does not answer on" in engine.reports[-1]["problem"]
        with BirdDouble(tmp_path / "b", [GOOD]).running():
            wait_for(lambda: f"BIRD has no protocol {WORSE}" in engine.reports[-1]["problem"])
        with BirdDouble(tmp_path / "b", [GOOD, WORSE]).running() as bird:
            wait_for(lambda: bird.up[GOOD] and engine.reports[-1]["state"] == "announced")
            bird.session = "Active"
            wait_for(lambda: "no session is up" in engine.reports[-1]["problem"])
            assert engine.reports[-1]["state"] == "failed"
            bird.session = "Established"
            wait_for(lambda: engine.reports[-1]["state"] == "announced")
    assert "the backend does as it is told again" in announcer.log
    assert "session lbapp_router_1: Active" in announcer.log


def test_a_stop_that_could_not_withdraw_says_so_and_fails(tmp_path: Path, engine: EngineDouble) -> None:
    with announcing(tmp_path) as announcer:
        with BirdDouble(tmp_path / "b", [GOOD, WORSE]).running() as bird:
            wait_for(lambda: bird.up[GOOD])
        announcer.process.terminate()
        assert announcer.process.wait(25) == 1
    assert "ERROR not withdrawn: BIRD does not answer on" in announcer.log
    assert "INFO withdrawn\n" not in announcer.log


@pytest.mark.parametrize("status", [200, 503])
def test_what_is_no_answer_of_an_engine_is_a_node_that_is_not_ready(
    tmp_path: Path, bird: BirdDouble, engine: EngineDouble, status: int
) -> None:
    with announcing(tmp_path) as announcer:
        for answer in (b"[]", b'"ready"', b'{"ready": "yes"}', b"{}", b"<html>", b"\xff"):
            engine.nonsense = None
            wait_for(lambda: bird.up[GOOD])
            engine.nonsense = status, answer
            wait_for(lambda: not bird.up[GOOD])
        assert announcer.process.poll() is None, announcer.log


def test_an_engine_that_takes_no_report_holds_nothing_up(
    tmp_path: Path, bird: BirdDouble, engine: EngineDouble
) -> None:
    engine.refuses_reports = True
    with announcing(tmp_path) as announcer:
        wait_for(lambda: bird.up[GOOD])
        wait_for(lambda: "the engine does not take the report: no such field" in announcer.log)
        asked = engine.asked
        wait_for(lambda: engine.asked > asked + 40)
        assert announcer.log.count("does not take the report") == 1


def test_the_addresses_of_one_that_was_killed_are_withdrawn_by_its_warden(
    tmp_path: Path, bird: BirdDouble, engine: EngineDouble
) -> None:
    with announcing(tmp_path) as announcer:
        wait_for(lambda: bird.up[GOOD])
        announcer.process.kill()
        announcer.process.wait(25)
        wait_for(lambda: not any(bird.up.values()))
        wait_for(lambda: "WARNING lbapp announce has ended: its addresses are withdrawn" in announcer.log)


def test_one_that_hangs_is_withdrawn_by_its_warden_and_announces_again_when_it_goes_on(
    tmp_path: Path, bird: BirdDouble, engine: EngineDouble
) -> None:
    with announcing(tmp_path) as announcer:
        wait_for(lambda: bird.up[GOOD])
        announcer.process.send_signal(signal.SIGSTOP)
        wait_for(lambda: not any(bird.up.values()), 30)
        announcer.process.send_signal(signal.SIGCONT)
        wait_for(lambda: bird.up[GOOD])
        assert "WARNING lbapp announce says nothing for 9.3 s: its addresses are withdrawn" in announcer.log


def test_without_an_announcer_and_its_warden_the_addresses_are_withdrawn_by_the_unit(
    tmp_path: Path, bird: BirdDouble, engine: EngineDouble
) -> None:
    with announcing(tmp_path) as announcer:
        wait_for(lambda: bird.up[GOOD])
        kill_with_warden(announcer.process)
    assert bird.up[GOOD], "BIRD goes on announcing what it was told"
    command = [sys.executable, "-m", "lbapp", "announce", "-c", str(tmp_path / "announce.toml"), "--withdraw"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"withdrawn: {VIP4}\n")
    assert not any(bird.up.values())


def kill_with_warden(process: subprocess.Popen[bytes]) -> None:
    """Kill an announcer, and its warden before it can do anything."""
    process.send_signal(signal.SIGSTOP)
    for each in psutil.Process(process.pid).children():
        each.kill()
    process.kill()
    process.wait(15)


class Unit(Watchdog):
    """A watchdog that withdraws after any end, as the unit has it."""

    def keep(self, process: subprocess.Popen[bytes]) -> None:
        """Watch over the process until it hangs; then end it, and withdraw."""
        self.wait_for_silence()
        kill_with_warden(process)
        command = [sys.executable, "-m", "lbapp", "announce", "-c", str(self.folder / "announce.toml"), "--withdraw"]
        subprocess.run(command, capture_output=True, check=True)


def test_one_that_hangs_is_ended_by_the_watchdog_of_its_unit_and_its_addresses_are_withdrawn(
    tmp_path: Path, bird: BirdDouble, engine: EngineDouble
) -> None:
    with Unit(tmp_path, 5.0) as unit, announcing(tmp_path, environment=unit.environment) as announcer:
        assert unit.hear(30) == "READY=1"
        wait_for(lambda: bird.up[GOOD])
        assert [unit.hear(5.0) for _ in range(3)] == ["WATCHDOG=1"] * 3
        announcer.process.send_signal(signal.SIGSTOP)
        assert bird.up[GOOD], "BIRD goes on announcing what it was told"
        unit.keep(announcer.process)
        assert not any(bird.up.values())
        assert "WatchdogSec of the unit is 5 s, and a look may take 6.2 s" in announcer.log


def test_the_unit_that_is_shipped_waits_for_longer_than_a_turn_may_take_and_kills_what_is_stopped() -> None:
    unit = (Path(__file__).parents[3] / "packaging/systemd/lbapp-announce.service").read_text().splitlines()
    keys = dict(line.split("=", 1) for line in unit if "=" in line and not line.startswith("#"))
    assert (keys["Type"], keys["WatchdogSignal"], keys["Restart"]) == ("notify", "SIGKILL", "always")
    assert float(keys["WatchdogSec"].removesuffix("s")) > turn_s(AnnounceSettings(RouteBackend.BIRD, (VIP4,)))
    assert keys["ExecStopPost"] == f"{keys['ExecStart']} --withdraw"


def test_one_that_is_stopped_says_so_to_its_service_manager(
    tmp_path: Path, bird: BirdDouble, engine: EngineDouble
) -> None:
    with Unit(tmp_path, 60.0) as unit, announcing(tmp_path, environment=unit.environment) as announcer:
        assert unit.hear(30) == "READY=1"
        announcer.process.terminate()
        assert announcer.process.wait(15) == 0
        said = [unit.hear(1)]
        while word := unit.hear(1):
            said.append(word)
        assert said[-1] == "STOPPING=1"
        assert "WatchdogSec" not in announcer.log


class Hanging:
    """A backend whose daemon may have it wait for ever, in a way that nothing cuts short."""

    def __init__(self) -> None:
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.is_waiting = threading.Event()

    @property
    def will(self) -> None:
        pass

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.may_go_on.set()

    async def watch(self, wake: Callable[[], None]) -> None:
        await anyio.sleep_forever()

    async def settle(self, state: RouteState) -> Found:
        if not self.may_go_on.is_set():
            self.is_waiting.set()
        await anyio.to_thread.run_sync(self.may_go_on.wait)
        return Found(())


@pytest.mark.anyio
async def test_the_watchdog_is_fed_by_the_loop_that_decides_and_by_nothing_else(
    tmp_path: Path, engine: EngineDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, turns = Hanging(), list[float]()
    with Watchdog(tmp_path, 0.3) as unit:
        for name, value in unit.environment.items():
            monkeypatch.setenv(name, value)
        told = settings(interval_s=0.05, socket=str(engine.path))
        client = AsyncControlClient(engine.path)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Loop(told, backend, client, lambda: turns.append(time.monotonic())).run, tasks)
            try:
                said = [await anyio.to_thread.run_sync(unit.hear, 20.0) for _ in range(4)]
                assert said == ["READY=1", *["WATCHDOG=1"] * 3]
                backend.may_go_on.clear()
                await anyio.to_thread.run_sync(backend.is_waiting.wait, 20)
                count = len(turns)
                while await anyio.to_thread.run_sync(unit.hear, 1.0):
                    pass  # what was said before that
                assert len(turns) == count, "the warden is told by the same loop"
                backend.may_go_on.set()
                assert await anyio.to_thread.run_sync(unit.hear, 20.0) == "WATCHDOG=1"
                assert len(turns) > count
            finally:
                backend.may_go_on.set()
                await client.close()
                tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("reasons", "step", "sight"),
    [
        ([], None, Sight.READY),
        (["no worker serves"], None, Sight.NOT_READY),
        (["the node drains"], "", Sight.DRAINING),
        (["the node drains"], "dns", Sight.LEAVING),
        (["the node drains"], "clients", Sight.LEAVING),
        (["the node drains"], "routes", Sight.DRAINING),
        (["the node drains"], "drained", Sight.DRAINING),
        (["the node drains", "no worker serves"], "clients", Sight.NOT_READY),
    ],
)
def test_what_an_answer_comes_to(reasons: list[str], step: str | None, sight: Sight) -> None:
    drain = None if step is None else {"phase": "draining", **({"step": step} if step else {})}
    answer: Readiness = {"ready": not reasons, "reasons": reasons, "at": 0.0, "drain": drain}  # type: ignore[typeddict-item]
    assert look_of(answer).sight is sight
