"""BIRD's control protocol."""

from __future__ import annotations

import socketserver
from pathlib import Path

import anyio
import pytest

from lbapp.cluster.announce.backend import BackendFailed
from lbapp.cluster.announce.bird_socket import BirdSocket
from tests.cluster.announce.doubles import BirdDouble, serving

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_an_answer_is_all_its_lines_each_with_its_code(tmp_path: Path) -> None:
    with BirdDouble(tmp_path / "b", ["lbapp_vip_x"]).running():
        bird = BirdSocket(tmp_path / "b")
        answer = await bird.ask("show protocols all")
        assert answer[0][0] == 2002
        assert (1006, "    State:          DOWN") in answer, "a line without a code has that of the line before"
        assert answer[-1] == (0, "")
        rows = await bird.protocols()
        assert (rows["lbapp_vip_x"].kind, rows["lbapp_vip_x"].state) == ("Static", "down")
        session = rows["lbapp_router_1"]
        assert (session.kind, session.state, session.info, session.neighbor) == (
            "BGP",
            "up",
            "Established",
            "10.77.1.1",
        )
        assert await bird.bfd() == {"10.77.1.1": "Up"}
        await bird.close()


async def test_a_refusal_is_an_error_and_the_connection_goes_on(tmp_path: Path) -> None:
    with BirdDouble(tmp_path / "b", []).running():
        bird = BirdSocket(tmp_path / "b")
        with pytest.raises(BackendFailed, match="BIRD refused 'nonsense': syntax error"):
            await bird.ask("nonsense")
        assert await bird.bfd()
        await bird.close()


async def test_a_bird_that_is_away_is_found_again(tmp_path: Path) -> None:
    bird = BirdSocket(tmp_path / "b")
    with pytest.raises(BackendFailed, match=r"does not answer on .*/b: No such file or directory"):
        await bird.bfd()
    with BirdDouble(tmp_path / "b", []).running():
        assert await bird.bfd()
    await bird.close()


class _Talkative(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(b"0001 BIRD 2.0.12 ready.\n")
        self.rfile.readline()
        what = self.server.owner  # type: ignore[attr-defined]
        assert isinstance(what, bytes)
        self.wfile.write(what)


@pytest.mark.parametrize("said", [b"", b"1002-half an ans", b"x" * 10_000])
async def test_what_is_no_answer_is_an_error(tmp_path: Path, said: bytes) -> None:
    with serving(tmp_path / "b", _Talkative, said):
        bird = BirdSocket(tmp_path / "b")
        with pytest.raises(BackendFailed, match="BIRD does not answer"):
            await bird.ask("show protocols all")


async def test_what_bird_says_unasked_wakes_who_listens_and_so_does_its_end(tmp_path: Path) -> None:
    woken: list[str] = []
    bird = BirdSocket(tmp_path / "b")

    async def listen() -> None:
        with pytest.raises(BackendFailed, match="does not answer"):
            await bird.notices(lambda: woken.append("x"))

    async with anyio.create_task_group() as tasks:
        with BirdDouble(tmp_path / "b", []).running() as double:
            tasks.start_soon(listen)
            with anyio.fail_after(15):
                while not double.listeners:
                    await anyio.sleep(0.01)
                double.configure()
                while not woken:
                    await anyio.sleep(0.01)
            before = len(woken)
    assert len(woken) > before


async def test_what_nobody_asked_is_passed_over(tmp_path: Path) -> None:
    with serving(tmp_path / "b", _Talkative, b"+0025 Reconfigured\n0013 \n"):
        bird = BirdSocket(tmp_path / "b")
        assert await bird.ask("show status") == [(13, "")]
        await bird.close()
