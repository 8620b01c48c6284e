"""What keepalived is told, and what it says. A real one runs in tests/system/cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from lbapp.cluster.announce.backend import BackendFailed
from lbapp.cluster.announce.decision import RouteState
from lbapp.cluster.announce.keepalived import Keepalived
from lbapp.cluster.announce.keepalived_text import TRACKED, keepalived_text, session_in
from lbapp.model.announce import AnnounceSettings, KeepalivedSettings, RouteBackend
from tests.cluster.announce.doubles import VIP4, VIP6, settings


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def told(folder: Path) -> AnnounceSettings:
    own = KeepalivedSettings(
        "eth0", 79, "10.79.0.10", ("10.79.0.11",), 100, 0.1, str(folder / "track"), str(folder / "fifo")
    )
    return settings(RouteBackend.KEEPALIVED, bgp=None, keepalived=own)


@pytest.mark.anyio
async def test_the_track_file_says_how_the_node_stands(tmp_path: Path) -> None:
    track = tmp_path / "track"
    async with Keepalived(told(tmp_path)) as backend:
        for state, number in ((RouteState.WITHDRAWN, -254), (RouteState.ANNOUNCED, 1), (RouteState.DRAINED, -50)):
            await backend.settle(state)
            assert track.read_text() == f"{number}\n"
        track.write_text("7\n")
        await backend.settle(RouteState.DRAINED)
        assert track.read_text() == "-50\n", "it is looked at again"


@contextmanager
def running(folder: Path) -> Iterator[Callable[[str], None]]:
    """Have the FIFO open as a keepalived that runs has it; give what it says something with."""
    with (folder / "fifo").open("r+b", buffering=0) as fifo:

        def say(said: str) -> None:
            fifo.write(said.encode())

        yield say


async def state_of(backend: Keepalived) -> tuple[str, bool]:
    (row,) = (await backend.settle(RouteState.ANNOUNCED)).sessions
    assert row["name"] == "lbapp"
    return row["state"], row["is_up"]


@pytest.mark.anyio
async def test_what_keepalived_says_is_the_report_and_it_may_come_and_go(tmp_path: Path) -> None:
    gone = "keepalived does not run, or has not opened the FIFO", False
    async with Keepalived(told(tmp_path)) as backend:
        assert await state_of(backend) == gone
        for _ in range(2):
            with running(tmp_path) as say:
                assert await state_of(backend) == ("not heard of yet", False)
                for said, is_up in (("BACKUP", True), ("MASTER", True), ("FAULT", False), ("MASTER", True)):
                    say(f'INSTANCE "other" MASTER 100\nINSTANCE "lbapp" {said} 100\nhalf a li')
                    assert await state_of(backend) == (said, is_up)
                    say("ne\n")
            assert await state_of(backend) == gone, "it was killed: the last that it has said counts no more"


@pytest.mark.anyio
async def test_a_fifo_that_keepalived_has_made_anew_is_listened_to(tmp_path: Path) -> None:
    fifo, woken = tmp_path / "fifo", anyio.Event()
    async with Keepalived(told(tmp_path)) as backend, anyio.create_task_group() as tasks:
        with running(tmp_path):
            await backend.settle(RouteState.ANNOUNCED)
            tasks.start_soon(backend.watch, woken.set)
            await anyio.wait_all_tasks_blocked()
            fifo.unlink()
            os.mkfifo(fifo)
            await backend.settle(RouteState.ANNOUNCED)
            await woken.wait()
        with running(tmp_path) as say:
            say('INSTANCE "lbapp" MASTER 100\n')
            assert await state_of(backend) == ("MASTER", True)
        tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_a_track_file_with_nonsense_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / "track").write_bytes(b"\xff\xfe")
    async with Keepalived(told(tmp_path)) as backend:
        await backend.settle(RouteState.DRAINED)
    assert (tmp_path / "track").read_text() == "-50\n"


@pytest.mark.anyio
async def test_a_folder_that_is_not_there_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "lbapp-vrrp"
    async with Keepalived(told(folder)) as backend:
        await backend.settle(RouteState.WITHDRAWN)
    assert (folder / "track").read_text() == "-254\n"
    assert (folder / "fifo").is_fifo()


@pytest.mark.anyio
async def test_what_cannot_be_written_or_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "fifo").write_text("a file")
    async with Keepalived(told(tmp_path)) as backend:
        with pytest.raises(BackendFailed, match="fifo cannot be used as the FIFO"):
            await backend.settle(RouteState.WITHDRAWN)
        (tmp_path / "fifo").unlink()
        await backend.settle(RouteState.WITHDRAWN)
        (tmp_path / "track").unlink()
        (tmp_path / "track").mkdir()
        with pytest.raises(BackendFailed, match="track cannot be written: Is a directory"):
            await backend.settle(RouteState.WITHDRAWN)


def test_lines_about_something_else_are_passed_over() -> None:
    for line in ("", 'GROUP "g" MASTER 0', "INSTANCE lbapp MASTER", 'INSTANCE "lbapp" MASTER 100 more'):
        assert session_in(line, "12:00:00") is None


def test_all_addresses_move_with_one_instance_and_a_node_starts_out_of_the_election(tmp_path: Path) -> None:
    text = keepalived_text(told(tmp_path), "n1")
    assert (
        text.index(f"{VIP4}/32 dev eth0")
        < text.index("virtual_ipaddress_excluded")
        < text.index(f"{VIP6}/128 dev eth0")
    )
    assert "init_file -254" in text
    assert text.count(f"file {tmp_path}/track") == 2
    assert "weight 0 reverse" in text
    assert 0 not in TRACKED.values(), "it is what keepalived takes a file for that is gone"
    assert "state BACKUP" in text
    assert f"vrrp_notify_fifo {tmp_path}/fifo" in text
    assert text.count("vrrp_instance") == 1


@pytest.mark.anyio
async def test_what_keepalived_says_and_its_end_wake_who_listens(tmp_path: Path) -> None:
    woken: list[anyio.Event] = [anyio.Event()]
    async with Keepalived(told(tmp_path)) as backend, anyio.create_task_group() as tasks:
        with running(tmp_path) as say:
            await backend.settle(RouteState.ANNOUNCED)
            tasks.start_soon(backend.watch, lambda: woken[0].set())
            await anyio.wait_all_tasks_blocked()
            say('INSTANCE "lbapp" MASTER 100\n')
            with anyio.fail_after(15):
                await woken[0].wait()
            assert await state_of(backend) == ("MASTER", True)
            woken[0] = anyio.Event()
        with anyio.fail_after(15):
            await woken[0].wait()
        tasks.cancel_scope.cancel()
