"""Publishers at work on real zones: at once on a change, with patience where it fails, and side by side on one name."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from random import Random

import anyio
import pytest

from lbapp.cluster.dns.asking import asked_engine
from lbapp.cluster.dns.publisher import Pauses, Publisher
from lbapp.model.dns import DnsSettings, TsigKey
from tests.cluster.dns.support import StandInEngine, fleet_status, settings
from tests.name_servers import NOTES, PROGRAMS, NameServer, missing, name_server

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"),
]
QUICK = Pauses(retry_s=0.05, retry_most_s=0.2, refused_s=0.3, confirm_s=0.05, race_s=0.005, fleet_s=0.05, report_s=0.05)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=PROGRAMS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NameServer]:
    if why := missing(request.param):
        pytest.skip(why)
    with name_server(request.param, tmp_path / request.param) as found:
        yield found


def quick(server: NameServer, number: int, **more: object) -> DnsSettings:
    values = {"interval_s": 0.02, "refresh_s": 0.3, "grace_s": 0.3, **more}
    return settings(f"192.0.2.{number}", node=f"lb{number}", port=server.port, **values)


@asynccontextmanager
async def publishing(engine: StandInEngine, file: DnsSettings) -> AsyncIterator[Publisher]:
    """Run a publisher until the block ends; it is then asked to stop, and does."""
    async with asked_engine(engine.path) as asked, anyio.create_task_group() as tasks:
        publisher = Publisher(file, asked, QUICK, Random(file.node))
        tasks.start_soon(publisher.run)
        yield publisher
        publisher.stopping.set()


async def until(what: object, timeout_s: float = 60.0) -> None:
    """Wait for a condition, in a thread's time: what it asks is asked without the loop."""
    assert callable(what)
    with anyio.fail_after(timeout_s):
        while not await anyio.to_thread.run_sync(what):
            await anyio.sleep(0.02)


@pytest.fixture
def engines(tmp_path: Path) -> Iterator[list[StandInEngine]]:
    with ExitStack() as stack:
        yield [stack.enter_context(StandInEngine(tmp_path / f"e{n}.sock").running()) for n in (1, 2, 3)]


async def test_records_follow_the_engine_and_the_engine_is_told(
    server: NameServer, engines: list[StandInEngine]
) -> None:
    one, two, _ = engines
    async with publishing(one, quick(server, 1)), publishing(two, quick(server, 2)):
        await until(lambda: server.has() == ["192.0.2.1", "192.0.2.2"])
        one.is_ready, one.reasons = False, ["the node drains"]
        await until(lambda: server.has() == ["192.0.2.2"])
        await until(lambda: one.says("state") == "withdrawn")
        report = one.report()
        assert report is not None
        assert report["left_at"] is not None
        assert report["gone_at"] == report["left_at"] + 20
        one.is_ready = True
        await until(lambda: server.has() == ["192.0.2.1", "192.0.2.2"])
        await until(lambda: one.says("left_at") is None)


async def test_before_the_engine_has_said_so_often_enough_nothing_is_written(
    server: NameServer, engines: list[StandInEngine]
) -> None:
    one, _, _ = engines
    async with publishing(one, quick(server, 1, rise=10_000)):
        await until(lambda: len(one.asked) > 20)
        assert server.updates() == 0
        assert server.has() == []


async def test_silent_engine_is_not_ready_after_its_fall(server: NameServer, tmp_path: Path) -> None:
    with StandInEngine(tmp_path / "two.sock").running() as two:
        async with publishing(two, quick(server, 2)):
            with StandInEngine(tmp_path / "one.sock").running() as one:
                stack = AsyncExitStack()
                await stack.enter_async_context(publishing(one, quick(server, 1, fall=5)))
                await until(lambda: server.has() == ["192.0.2.1", "192.0.2.2"])
            await until(lambda: server.has() == ["192.0.2.2"])
            await stack.aclose()


async def test_dead_fellows_records_go_and_those_of_a_stale_view_stay(
    server: NameServer, engines: list[StandInEngine]
) -> None:
    one, two, three = engines
    for engine, name in zip(engines, ("lb1", "lb2", "lb3"), strict=True):
        engine.fleet = fleet_status("lb1", "lb2", "lb3", node=name)
    async with publishing(one, quick(server, 1, records_min=1)), publishing(two, quick(server, 2, records_min=1)):
        async with publishing(three, quick(server, 3, records_min=3)):  # which so leaves its record behind
            await until(lambda: len(server.has()) == len(server.has("TXT", NOTES)) == 3)
            await until(lambda: all("fleet=web" in text for text in server.has("TXT", NOTES)))
        for engine, name in ((one, "lb1"), (two, "lb2")):
            engine.fleet = fleet_status("lb1", "lb2", dead=["lb3"], state="stale", node=name)
        heard = len(one.asked)
        await until(lambda: len(one.asked) > heard + 100)  # far longer than the grace and a look
        assert server.has() == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
        one.fleet = fleet_status("lb1", "lb2", dead=["lb3"])
        await until(lambda: server.has() == ["192.0.2.1", "192.0.2.2"])
        (left,) = [text for text in server.has("TXT", NOTES) if "node=lb3" in text]
        assert left.endswith("by=lb1")


async def test_dead_fellows_are_kept_where_too_few_would_be_left(
    server: NameServer, engines: list[StandInEngine]
) -> None:
    one, two, _ = engines
    one.fleet, two.fleet = fleet_status("lb1", "lb2"), fleet_status("lb1", "lb2", node="lb2")
    async with publishing(one, quick(server, 1, records_min=2)):
        async with publishing(two, quick(server, 2, records_min=2)):
            await until(lambda: len(server.has()) == 2)
            await until(lambda: all("fleet=web" in text for text in server.has("TXT", NOTES)))
        one.fleet = fleet_status("lb1")
        await until(lambda: "192.0.2.2 stays" in one.says("problem", ""))
        assert server.has() == ["192.0.2.1", "192.0.2.2"]


async def test_refusal_is_said_and_tried_again_slowly(server: NameServer, engines: list[StandInEngine]) -> None:
    one, _, _ = engines
    file = quick(server, 1, key=TsigKey("lbapp", b"another secret of 16 bytes"))
    async with publishing(one, file):
        began = time.monotonic()
        await until(lambda: one.says("state") == "failed")
        report = one.report()
        assert report is not None
        assert "(BADSIG)" in report["problem"]
        for _ in range(10):  # each a change of mind
            one.is_ready = not one.is_ready
            heard = len(one.asked)
            await until(lambda heard=heard: len(one.asked) > heard + 5)
        tries = server.log.count("BADSIG" if server.kind == "bind" else "TSIG")
        assert tries <= (time.monotonic() - began) / QUICK.refused_s + 1


async def test_server_that_comes_back_gets_what_it_lacks(server: NameServer, engines: list[StandInEngine]) -> None:
    one, _, _ = engines
    server.stop()
    async with publishing(one, quick(server, 1)):
        await until(lambda: one.says("state") == "failed")
        server.start()
        await until(lambda: server.has() == ["192.0.2.1"])
        await until(lambda: one.says("state") == "published")


async def test_record_that_somebody_takes_away_by_hand_is_back_at_the_next_look(
    server: NameServer, engines: list[StandInEngine]
) -> None:
    from lbapp.cluster.dns.decide import Decision
    from lbapp.cluster.dns.zone import Zone

    one, two, _ = engines
    async with publishing(one, quick(server, 1)), publishing(two, quick(server, 2)):
        await until(lambda: server.has() == ["192.0.2.1", "192.0.2.2"])
        zone = Zone(quick(server, 1))
        await zone.write(await zone.look(), Decision(removed={"192.0.2.1": "lb1"}))
        await until(lambda: server.has() == ["192.0.2.1", "192.0.2.2"])


async def test_ttl_of_the_file_is_set_once_and_not_fought_over(
    server: NameServer, engines: list[StandInEngine]
) -> None:
    one, two, _ = engines
    async with publishing(one, quick(server, 1, ttl_s=20)):
        await until(lambda: server.has() == ["192.0.2.1"])
        async with publishing(two, quick(server, 2, ttl_s=60)):
            await until(lambda: server.has() == ["192.0.2.1", "192.0.2.2"])
            await until(lambda: "TTL of 60 s, and the file says 20 s" in one.says("problem", ""))
            before, heard = server.updates(), len(one.asked)
            await until(lambda: len(one.asked) > heard + 60)
            assert (server.ttl(), server.updates()) == (60, before)


async def test_three_at_once_never_go_below_the_floor_and_are_right_at_the_end(
    server: NameServer, engines: list[StandInEngine]
) -> None:
    random, least = Random(20261129), 3
    async with AsyncExitStack() as stack:
        for number, engine in enumerate(engines, 1):
            await stack.enter_async_context(publishing(engine, quick(server, number, rise=1, fall=1)))
        await until(lambda: len(server.has()) == 3)
        for _ in range(40):
            engine = random.choice(engines)
            engine.is_ready = not engine.is_ready
            if random.random() < 0.3:  # all together
                for each in engines:
                    each.is_ready = engine.is_ready
            heard = engine.asked[-1]
            await until(lambda engine=engine, heard=heard: engine.asked[-1] > heard)
            for _ in range(4):
                least = min(least, len(await anyio.to_thread.run_sync(server.has)))
        for engine in engines:
            engine.is_ready = True
        await until(lambda: server.has() == ["192.0.2.1", "192.0.2.2", "192.0.2.3"])
        assert least == 2  # half of three, rounded up: it came to that, and never below
        for engine in engines:
            engine.is_ready = False
        await until(lambda: len(server.has()) == 2)
    assert len(server.has()) == 2  # nor did their ends take the last away
