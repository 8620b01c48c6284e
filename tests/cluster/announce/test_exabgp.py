"""An ExaBGP that is our child, its helper, and what both are told. A real one runs in tests/system/cluster."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import anyio
import psutil
import pytest

from lbapp.cluster.announce.backend import BackendEnded, BackendFailed
from lbapp.cluster.announce.decision import RouteState
from lbapp.cluster.announce.exabgp import Exabgp, exabgp_command, helper_command
from lbapp.cluster.announce.exabgp_text import Sessions, commands, exabgp_text
from lbapp.model.announce import AnnounceSettings, BgpSettings, Neighbor, RouteBackend
from tests.children import child
from tests.cluster.announce.doubles import NEIGHBOR, VIP4, VIP6, exabgp_double, settings

EXABGP = shutil.which("exabgp", path=str(Path(sys.executable).parent))
ANNOUNCED = [
    f"neighbor 10.77.1.1 announce route {VIP4}/32 next-hop self",
    f"neighbor 10.77.1.1 announce route {VIP6}/128 next-hop fd77:1::2",
]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def told_to(folder: Path) -> AnnounceSettings:
    return settings(RouteBackend.EXABGP, exabgp_command=str(exabgp_double(folder)))


def said(folder: Path) -> list[str]:
    file = folder / "told"
    return file.read_text().splitlines() if file.exists() else []


def helpers(folder: Path) -> list[int]:
    file = folder / "helpers"
    return [int(pid) for pid in file.read_text().split()] if file.exists() else []


async def until(what: object) -> None:
    assert callable(what)
    with anyio.fail_after(25):
        while not what():
            await anyio.sleep(0.02)


async def settle_for_long(backend: Exabgp) -> None:
    with anyio.fail_after(25):
        while True:
            await backend.settle(RouteState.ANNOUNCED)
            await anyio.sleep(0.02)


@pytest.mark.anyio
async def test_exabgp_is_told_each_state_once_and_ends_with_us(tmp_path: Path) -> None:
    async with Exabgp(told_to(tmp_path)) as backend:
        await backend.settle(RouteState.WITHDRAWN)
        await backend.settle(RouteState.ANNOUNCED)
        await backend.settle(RouteState.ANNOUNCED)
        await backend.settle(RouteState.DRAINED)
        found = await backend.settle(RouteState.DRAINED)
        assert [session["is_up"] for session in found.sessions] == [True]
        (helper,) = helpers(tmp_path)
        daemon = psutil.Process(helper).parent()
        assert daemon is not None
    lines = said(tmp_path)
    assert lines[0] == f"neighbor 10.77.1.1 withdraw route {VIP4}/32 next-hop self"
    assert lines[2:4] == ANNOUNCED
    assert lines[4:] == [f"{line} med 100" for line in ANNOUNCED]
    assert not daemon.is_running()
    await until(lambda: not psutil.pid_exists(helper))


@pytest.mark.anyio
async def test_a_helper_that_was_killed_is_told_again_what_holds(tmp_path: Path) -> None:
    async with Exabgp(told_to(tmp_path)) as backend:
        await backend.settle(RouteState.ANNOUNCED)
        os.kill(helpers(tmp_path)[0], signal.SIGKILL)
        await until(lambda: len(helpers(tmp_path)) == 2)

        async def is_told() -> bool:
            await backend.settle(RouteState.ANNOUNCED)
            return said(tmp_path) == ANNOUNCED * 2

        with anyio.fail_after(25):
            while not await is_told():
                await anyio.sleep(0.02)


@pytest.mark.anyio
async def test_the_end_of_exabgp_is_the_end_of_the_backend(tmp_path: Path) -> None:
    async with Exabgp(told_to(tmp_path)) as backend:
        await backend.settle(RouteState.ANNOUNCED)
        woken = anyio.Event()
        (tmp_path / "end").touch()
        with anyio.fail_after(25):
            await backend.watch(woken.set)
        assert woken.is_set()
        with pytest.raises(BackendEnded, match="ExaBGP has ended with status 3"):
            await settle_for_long(backend)


@pytest.mark.anyio
async def test_a_command_that_is_refused_is_said_and_sent_again(tmp_path: Path) -> None:
    async with Exabgp(told_to(tmp_path)) as backend:
        await backend.settle(RouteState.WITHDRAWN)
        (tmp_path / "refuse").touch()
        with pytest.raises(BackendFailed, match=r"ExaBGP refused 'neighbor 10.77.1.1 announce route"):
            await backend.settle(RouteState.ANNOUNCED)
        (tmp_path / "refuse").unlink()
        await backend.settle(RouteState.ANNOUNCED)
        assert said(tmp_path)[-2:] == ANNOUNCED


@pytest.mark.anyio
async def test_after_commands_without_an_answer_another_helper_is_told_all_and_late_answers_count_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Exabgp(told_to(tmp_path)) as backend:
        await backend.settle(RouteState.ANNOUNCED)
        monkeypatch.setattr("lbapp.cluster.announce.exabgp._ANSWER_TIMEOUT_S", 0.2)
        (tmp_path / "silent").touch()
        with pytest.raises(BackendFailed, match="ExaBGP does not answer"):
            await backend.settle(RouteState.WITHDRAWN)
        monkeypatch.setattr("lbapp.cluster.announce.exabgp._ANSWER_TIMEOUT_S", 15.0)
        (tmp_path / "silent").unlink()
        await backend.settle(RouteState.ANNOUNCED)  # what held before: some of it may have been withdrawn
        assert said(tmp_path)[-2:] == ANNOUNCED
        assert len(helpers(tmp_path)) == 2


def test_an_exabgp_whose_announcer_is_killed_is_ended_by_its_helper(tmp_path: Path) -> None:
    program = (
        "import anyio, sys; from pathlib import Path\n"
        "from lbapp.cluster.announce.decision import RouteState; from lbapp.cluster.announce.exabgp import Exabgp\n"
        "from tests.cluster.announce.test_exabgp import told_to\n"
        "async def main():\n"
        f"  async with Exabgp(told_to(Path({str(tmp_path)!r}))) as backend:\n"
        "    await backend.settle(RouteState.ANNOUNCED)\n"
        "    print('announced', flush=True)\n"
        "    await anyio.sleep_forever()\n"
        "anyio.run(main)\n"
    )
    with child([sys.executable, "-c", program], stdout=subprocess.PIPE) as announcer:
        assert announcer.stdout
        assert announcer.stdout.readline() == b"announced\n"
        helper = psutil.Process(helpers(tmp_path)[0])
        daemon = helper.parent()
        assert daemon is not None
        announcer.kill()
        gone, alive = psutil.wait_procs([daemon, helper], timeout=15)
    assert not alive
    assert len(gone) == 2


def test_a_helper_without_a_socket_ends_its_parent_and_no_other(tmp_path: Path) -> None:
    environment = {**os.environ, "LBAPP_ANNOUNCE_SOCKET": str(tmp_path / "none")}
    program = "import subprocess, sys; subprocess.run(sys.argv[1:], stdin=sys.stdin); import time; time.sleep(60)"
    parent = subprocess.Popen(
        [sys.executable, "-c", program, *helper_command().split()], stdin=subprocess.PIPE, env=environment
    )
    assert parent.wait(15) == -signal.SIGTERM
    assert parent.stdin
    parent.stdin.close()


def test_commands_are_of_the_families_that_a_session_carries() -> None:
    over_v6, plain = Neighbor("fd77::1", 64500, "fd77::2"), replace(NEIGHBOR, next_hop_ipv6=None)
    told = settings(RouteBackend.EXABGP, bgp=BgpSettings("10.0.0.1", 64511, (over_v6, plain), bfd=False))
    assert commands(told, RouteState.ANNOUNCED) == [
        f"neighbor fd77::1 announce route {VIP6}/128 next-hop self",
        f"neighbor 10.77.1.1 announce route {VIP4}/32 next-hop self",
    ]
    assert "family { ipv6 unicast; }" in exabgp_text(told, "helper")


def test_what_is_no_news_of_our_sessions_is_passed_over() -> None:
    sessions = Sessions(settings(RouteBackend.EXABGP))
    for line in (
        "",
        "nonsense",
        "[]",
        "{}",
        '{"neighbor": 1}',
        '{"neighbor": {"address": {"peer": "9.9.9.9"}, "state": "up"}}',
    ):
        sessions.take(line, "12:00:00")
    (row,) = sessions.rows
    assert (row["state"], row["is_up"]) == ("down", False)


def test_where_there_is_no_exabgp_it_is_said_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(BackendEnded, match=r"there is no ExaBGP at .*/none.*pip install 'lbapp\[exabgp\]'"):
        exabgp_command(settings(RouteBackend.EXABGP, exabgp_command=str(tmp_path / "none")))


@pytest.mark.skipif(EXABGP is None, reason="not installed: exabgp")
def test_exabgp_takes_the_configuration_and_restarts_its_helper(tmp_path: Path) -> None:
    assert EXABGP
    file = tmp_path / "exabgp.conf"
    text = exabgp_text(settings(RouteBackend.EXABGP), helper_command())
    assert "respawn" not in text
    file.write_text(text)
    done = subprocess.run([EXABGP, "validate", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "respawn = true" in subprocess.run([EXABGP, "env"], capture_output=True, text=True, check=True).stdout
