"""What the engine says is taken for what it is: an answer, or silence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lbapp.cluster.dns.asking import Heard, asked_engine
from lbapp.control.fleet import DnsReport
from tests.cluster.dns.support import StandInEngine, fleet_status

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"),
]
REPORT: DnsReport = {
    "at": 1.0,
    "name": "www.lb.test",
    "server": "127.0.0.1:53",
    "ttl_s": 20.0,
    "state": "published",
    "records": ["192.0.2.1"],
    "own": ["192.0.2.1"],
    "left_at": None,
    "gone_at": None,
    "problem": "",
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_readiness_comes_with_its_reasons_also_by_503(tmp_path: Path) -> None:
    with StandInEngine(tmp_path / "c.sock").running() as engine:
        async with asked_engine(engine.path) as asked:
            assert await asked.readiness() == Heard(True)
            engine.is_ready, engine.reasons = False, ["pool app has no server", "the node drains"]
            assert await asked.readiness() == Heard(False, ("pool app has no server", "the node drains"))


async def test_fleet_and_report_go_both_ways(tmp_path: Path) -> None:
    with StandInEngine(tmp_path / "c.sock").running() as engine:
        engine.fleet = fleet_status("lb1", dead=["lb2"])
        async with asked_engine(engine.path) as asked:
            assert await asked.fleet() == engine.fleet
            await asked.tell(REPORT)
        assert engine.report() == REPORT


async def test_engine_that_is_not_there_is_not_ready(tmp_path: Path) -> None:
    async with asked_engine(tmp_path / "none.sock") as asked:
        heard = await asked.readiness()
        assert not heard.is_ready
        assert "no engine answers on" in heard.reasons[0]
        assert await asked.fleet() is None
        await asked.tell(REPORT)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"nonsense",
        b'{"ready": "yes"}',
        b'{"ready": 1, "reasons": 7}',
        b'{"fleet": "web"}',
        json.dumps({**fleet_status("lb1"), "members": [{"name": 7}]}).encode(),
    ],
)
async def test_nonsense_is_neither_ready_nor_a_fleet(tmp_path: Path, body: bytes) -> None:
    with StandInEngine(tmp_path / "c.sock").running() as engine:
        engine.body = body
        async with asked_engine(engine.path) as asked:
            heard = await asked.readiness()
            assert not heard.is_ready
            assert heard.reasons
            assert await asked.fleet() is None


async def test_engine_that_takes_the_call_and_says_nothing_is_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    monkeypatch.setattr("lbapp.cluster.dns.asking.TIMEOUT_S", 0.1)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "c.sock"))
        listening.listen()
        async with asked_engine(tmp_path / "c.sock") as asked:
            assert await asked.readiness() == Heard(False, ("the engine has not answered within 0.1 s",))
