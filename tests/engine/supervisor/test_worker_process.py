from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from lbapp.engine.channel import CloseServer, Drain
from lbapp.engine.supervisor import worker_process
from lbapp.engine.supervisor.worker_process import Silence, WorkerProcess, describe_status
from lbapp.model.limits import HEARTBEAT_AGE_MAX_S
from tests.engine.supervisor.support import parts

pytestmark = pytest.mark.anyio


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_worker_that_takes_no_messages_is_killed_and_one_that_is_gone_is_told_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_process, "OUTBOX_MAX", 2)
    with parts() as own:
        worker = WorkerProcess(0, own.running.segment, lambda _: None, lambda _, __: None)
        for _ in range(3):  # nobody carries them yet
            worker.tell(CloseServer(0))
        assert worker.hung
        assert await worker.watch() == -9
        worker.tell(Drain(1.0))
        worker.kill()


async def test_process_that_cannot_be_started_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with parts() as own:
        before = open_descriptors()
        with pytest.raises(OSError, match="nowhere"):
            WorkerProcess(0, own.running.segment, lambda _: None, lambda _, __: None)
        assert open_descriptors() == before


async def test_process_that_cannot_be_watched_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    pids: list[int] = []

    def refuse(pid: int) -> int:
        pids.append(pid)
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    with parts() as own:
        before = open_descriptors()
        with pytest.raises(OSError, match="too many"):
            WorkerProcess(0, own.running.segment, lambda _: None, lambda _, __: None)
        assert open_descriptors() == before
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_silence_grows_from_look_to_look_and_ends_with_a_heartbeat() -> None:
    silence = Silence()
    assert silence.look(1, 100.0) == 0.0
    assert [silence.look(1, 100.0 + half / 2) for half in range(1, 4)] == [0.5, 1.0, 1.5]
    assert silence.look(2, 102.0) == 0.0
    for half in range(1, 22):
        silent_s = silence.look(2, 102.0 + half / 2)
    assert silent_s > HEARTBEAT_AGE_MAX_S


def test_time_in_which_nobody_looked_is_no_silence() -> None:
    silence = Silence()
    silence.look(1, 100.0)
    assert silence.look(1, 100.0 + 3600.0) == 1.0  # Ctrl-Z, an hour later `fg`: the worker was stopped as well
    assert silence.look(2, 100.0 + 3600.5) == 0.0


def test_status_of_a_process_is_said_in_words() -> None:
    assert describe_status(1) == "left with status 1"
    assert describe_status(-9) == "was ended by SIGKILL"
    assert describe_status(-120) == "was ended by signal 120"
