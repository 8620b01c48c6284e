from __future__ import annotations

import logging
import os
import re
import signal
import sys
import time
from pathlib import Path

import anyio
import anyio.to_thread
import psutil
import pytest

from lbapp.cluster.announce.backend import Will
from lbapp.cluster.announce.watched import watched
from tests.journal_stream import JournalStream
from tests.system.harness import wait_for

pytestmark = pytest.mark.anyio


def wardens(but: int = 0) -> list[psutil.Process]:
    own = psutil.Process().children()
    return [each for each in own if each.pid != but and each.status() != psutil.STATUS_ZOMBIE and _is_warden(each)]


def _is_warden(process: psutil.Process) -> bool:
    return any(word.endswith("/warden.py") for word in process.cmdline())


async def test_a_will_is_carried_out_at_the_end_and_the_warden_is_gone_then(tmp_path: Path) -> None:
    track = tmp_path / "track"
    async with watched(Will(str(track), text="-254\n"), 60.0) as beat:
        beat()
        assert len(wardens()) == 1
        assert not track.exists()
    assert track.read_text() == "-254\n"
    assert wardens() == []


async def test_what_a_warden_says_has_its_priority_in_the_journal(tmp_path: Path) -> None:
    code = (
        "import anyio, sys\nfrom lbapp.cluster.announce.backend import Will\n"
        "from lbapp.cluster.announce.watched import watched\nasync def main():\n"
        "    async with watched(Will(sys.argv[1], text='-254\\n'), 60.0): pass\nanyio.run(main)\n"
    )
    with JournalStream() as journal:
        command = [sys.executable, "-c", code, str(tmp_path / "track")]
        await anyio.run_process(command, stderr=journal.end, env=journal.environment)
        (line,) = journal.lines()
    assert re.fullmatch(r"<4>lbapp-announce-warden\[\d+\] WARNING lbapp announce has ended: .*", line)


async def test_a_warden_that_was_killed_is_replaced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "lbapp.announce"):
        async with watched(Will(str(tmp_path / "track"), text="-254\n"), 60.0) as beat:
            (first,) = wardens()
            first.kill()
            await anyio.to_thread.run_sync(lambda: wait_for(lambda: wardens(but=first.pid)))
            beat()
    assert caplog.messages == ["the warden has ended with status -9: another one is started"]
    assert (tmp_path / "track").exists()


async def test_a_warden_that_reads_nothing_holds_nobody_up(tmp_path: Path) -> None:
    async with watched(Will(str(tmp_path / "track"), text="-254\n"), 60.0) as beat:
        (own,) = wardens()
        os.kill(own.pid, signal.SIGSTOP)
        began_s = time.monotonic()
        for _ in range(70_000):  # more than the pipe holds
            beat()
        assert time.monotonic() - began_s < 15
        os.kill(own.pid, signal.SIGCONT)


async def test_without_a_will_there_is_no_warden() -> None:
    async with watched(None, 1.0) as beat:
        beat()
        assert wardens() == []
