from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lbapp.engine.channel import CloseServer, Drain
from lbapp.engine.supervisor import worker_process
from lbapp.engine.supervisor.worker_process import WorkerProcess, describe_status
from tests.engine.supervisor.support import parts

pytestmark = pytest.mark.anyio


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_worker_that_takes_no_messages_is_killed_and_one_that_is_gone_is_told_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_process, "OUTBOX_MAX", 2)
    with parts() as own:
        worker = WorkerProcess(0, own.running.segment, lambda _: None)
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
            WorkerProcess(0, own.running.segment, lambda _: None)
        assert open_descriptors() == before


def test_status_of_a_process_is_said_in_words() -> None:
    assert describe_status(1) == "left with status 1"
    assert describe_status(-9) == "was ended by SIGKILL"
    assert describe_status(-120) == "was ended by signal 120"
