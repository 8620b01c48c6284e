"""The warden as a process of its own, as `lbapp announce` starts it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lbapp.cluster.announce import warden
from lbapp.cluster.announce.bird import Bird
from tests.cluster.announce.doubles import BirdDouble, settings
from tests.system.harness import wait_for

NAMES = ["lbapp_vip_a", "lbapp_drained_a", "lbapp_vip_of_another_file", "others"]


class Watching:
    """A warden, and the end of the pipe that `lbapp announce` has. The log of it is a file of the folder."""

    def __init__(self, folder: Path, will: dict[str, Any], patience_s: float = 60.0) -> None:
        theirs, self._fd = os.pipe2(os.O_CLOEXEC)
        self._log = folder / "log"
        command = [sys.executable, "-I", "-S", warden.__file__, json.dumps(will), str(patience_s)]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(command, stdin=theirs, stderr=log)
        os.close(theirs)

    @property
    def log(self) -> str:
        return self._log.read_text()

    def beat(self) -> None:
        os.write(self._fd, b".")

    def leave(self) -> int:
        """End, as `lbapp announce` does however it ends; return what becomes of the warden."""
        os.close(self._fd)
        self._fd = -1
        return self.process.wait(20)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self.process.kill()
        self.process.wait()


@contextmanager
def watching(folder: Path, will: dict[str, Any], patience_s: float = 60.0) -> Iterator[Watching]:
    own = Watching(folder, will, patience_s)
    try:
        yield own
    finally:
        own.close()


def of_bird(folder: Path) -> dict[str, Any]:
    will = Bird(settings(bird_socket=str(folder / "b"))).will
    return {"path": will.path, "commands": will.commands}


def of_file(folder: Path) -> dict[str, Any]:
    return {"path": str(folder / "track"), "text": "-254\n"}


def test_what_a_dead_process_has_announced_by_bird_is_disabled_and_nothing_else(tmp_path: Path) -> None:
    with BirdDouble(tmp_path / "b", NAMES).running() as bird, watching(tmp_path, of_bird(tmp_path)) as own:
        bird.up = dict.fromkeys(NAMES, True)
        assert own.leave() == 0
        assert [name for name, is_up in bird.up.items() if is_up] == ["others"]
        assert own.log.endswith("WARNING lbapp announce has ended: its addresses are withdrawn\n")


def test_what_a_dead_process_has_written_for_keepalived_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "track").write_text("1\n")
    with watching(tmp_path, of_file(tmp_path)) as own:
        assert own.leave() == 0
    assert (tmp_path / "track").read_text() == "-254\n"


def test_where_all_was_withdrawn_before_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "track").write_text("-254\n")
    with BirdDouble(tmp_path / "b", NAMES).running():
        for will in (of_file(tmp_path), of_bird(tmp_path)):
            with watching(tmp_path, will) as own:
                assert own.leave() == 0
                assert own.log == ""


def test_one_that_says_nothing_any_more_is_withdrawn_and_watched_on_when_it_does_again(tmp_path: Path) -> None:
    track = tmp_path / "track"
    with watching(tmp_path, of_file(tmp_path), 0.5) as own:
        for _ in range(2):
            track.write_text("1\n")
            own.beat()
            wait_for(lambda: track.read_text() == "-254\n")
        assert own.log.count("WARNING lbapp announce says nothing for 0.5 s: its addresses are withdrawn") == 2
        assert own.process.poll() is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_is_meant_for_all_of_a_group_does_not_end_it_before_its_work(
    tmp_path: Path, number: signal.Signals
) -> None:
    track = tmp_path / "track"
    with watching(tmp_path, of_file(tmp_path), 0.2) as own:
        wait_for(track.exists)  # it has begun
        own.process.send_signal(number)
        track.write_text("1\n")
        assert own.leave() == 0
    assert track.read_text() == "-254\n"


def test_a_daemon_that_is_away_is_told_when_it_is_back_or_the_warden_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with watching(tmp_path, of_bird(tmp_path)) as own:
        os.close(own._fd)
        own._fd = -1
        wait_for(lambda: f"its addresses are not withdrawn: {tmp_path}/b: No such file" in own.log)
        with BirdDouble(tmp_path / "b", NAMES).running() as bird:
            bird.up = dict.fromkeys(NAMES, True)
            assert own.process.wait(20) == 0
            assert [name for name, is_up in bird.up.items() if is_up] == ["others"]
    with watching(tmp_path, of_bird(tmp_path)) as own:
        assert own.leave() == 1
