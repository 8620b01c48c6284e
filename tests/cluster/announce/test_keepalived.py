"""What keepalived is told, and what it says. A real one runs in tests/system/cluster."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from lbapp.cluster.announce.backend import BackendFailed
from lbapp.cluster.announce.decision import RouteState
from lbapp.cluster.announce.keepalived import Keepalived
from lbapp.cluster.announce.keepalived_text import keepalived_text, session_in
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
        for state, number in ((RouteState.WITHDRAWN, -254), (RouteState.ANNOUNCED, 0), (RouteState.DRAINED, -50)):
            await backend.settle(state)
            assert track.read_text() == f"{number}\n"
        track.write_text("7\n")
        await backend.settle(RouteState.DRAINED)
        assert track.read_text() == "-50\n", "it is looked at again"


@pytest.mark.anyio
async def test_what_keepalived_says_is_the_report_and_it_may_come_and_go(tmp_path: Path) -> None:
    async with Keepalived(told(tmp_path)) as backend:
        (row,) = (await backend.settle(RouteState.ANNOUNCED)).sessions
        assert (row["name"], row["is_up"], row["state"]) == ("lbapp", False, "not heard of yet")
        for said, is_up in (("BACKUP", True), ("MASTER", True), ("FAULT", False), ("STOP", False)):
            with (tmp_path / "fifo").open("w") as fifo:
                fifo.write(f'INSTANCE "other" MASTER 100\nINSTANCE "lbapp" {said} 100\nhalf a li')
            (row,) = (await backend.settle(RouteState.ANNOUNCED)).sessions
            assert (row["state"], row["is_up"]) == (said, is_up)
            with (tmp_path / "fifo").open("w") as fifo:
                fifo.write("ne\n")


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
    assert "state BACKUP" in text
    assert f"vrrp_notify_fifo {tmp_path}/fifo" in text
    assert text.count("vrrp_instance") == 1


@pytest.mark.anyio
async def test_what_keepalived_says_wakes_who_listens(tmp_path: Path) -> None:
    woken = anyio.Event()
    async with Keepalived(told(tmp_path)) as backend, anyio.create_task_group() as tasks:
        tasks.start_soon(backend.watch, woken.set)
        with (tmp_path / "fifo").open("w") as fifo:
            fifo.write('INSTANCE "lbapp" MASTER 100\n')
        with anyio.fail_after(15):
            await woken.wait()
        tasks.cancel_scope.cancel()
