"""The address of the metrics, with real sockets and scrapers that behave as they like."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager

import anyio
import anyio.to_thread
import pytest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from lbapp.engine.supervisor import metrics_port
from lbapp.engine.supervisor.metrics_port import MetricsPort, metrics_warnings
from lbapp.model.entities import Bind
from lbapp.model.errors import StartError
from lbapp.model.limits import METRICS_CONNECTIONS_MAX
from tests.engine.supervisor.support import until
from tests.system.harness import free_port

pytestmark = pytest.mark.anyio
GET = b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n"
LARGE = 20_000_000  # more than all the buffers on the way hold
CLOSED = 7  # TCP_CLOSE of the kernel: by a reset, as the client itself has closed nothing


class Source:
    """What is exposed; counts how often it is read."""

    def __init__(self, letters: int = 0) -> None:
        self.reads = 0
        self._letters = letters

    def __call__(self) -> list[Metric]:
        self.reads += 1
        family = GaugeMetricFamily("reads", "How often " + "x" * self._letters)
        family.add_metric([], self.reads)
        return [family]


def ask(port: int, said: bytes = GET) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(said)
        answer = b""
        while part := client.recv(1 << 16):
            answer += part
        return answer


async def asked(port: int, said: bytes = GET) -> bytes:
    return await anyio.to_thread.run_sync(ask, port, said)


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=10).close()
    except OSError:
        return False
    return True


@asynccontextmanager
async def served(collect: Callable[[], list[Metric]]) -> AsyncIterator[tuple[MetricsPort, int]]:
    port, bind = MetricsPort(), Bind("127.0.0.1", free_port())
    port.take(bind, port.prepare(bind))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(port.run, collect)
        await until(lambda: answers(bind.port), "an answer")
        yield port, bind.port
        port.close()
        await until(lambda: not answers(bind.port), "the end")
        tasks.cancel_scope.cancel()


async def test_metrics_are_answered_and_nothing_else_is() -> None:
    async with served(Source()) as (_, port):
        assert b"\nreads " in await asked(port)
        head, _, body = (await asked(port, GET.replace(b"GET", b"HEAD"))).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK")
        assert b"text/plain; version=0.0.4" in head
        assert body == b""
        for said, status in (
            (GET.replace(b"/metrics", b"/v1/status"), b"404"),
            (GET.replace(b"/metrics", b"/metrics/"), b"404"),
            (GET.replace(b"GET", b"POST"), b"405"),
            (b"no HTTP at all\r\n\r\n", b"400"),
        ):
            assert (await asked(port, said)).startswith(b"HTTP/1.1 " + status)


async def test_figures_are_read_once_however_many_ask_together() -> None:
    source = Source()
    async with served(source) as (_, port):
        found: list[bytes] = []

        async def scrape() -> None:
            found.append(await asked(port))

        async with anyio.create_task_group() as scrapers:
            for _ in range(8):
                scrapers.start_soon(scrape)
        assert len(found) == 8
        assert source.reads < 8


def is_reset(client: socket.socket) -> bool:
    return client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == CLOSED


async def test_scraper_who_says_nothing_or_reads_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_port, "METRICS_CONNECTION_S", 0.3)
    async with served(Source(LARGE)) as (_, port):
        for said in (b"", b"GET /met", GET):
            with socket.socket() as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.connect(("127.0.0.1", port))
                client.sendall(said)
                await until(lambda client=client: is_reset(client), f"the end of who said {said!r}")  # type: ignore[misc]


async def test_scraper_too_many_is_turned_away_and_the_others_are_answered() -> None:
    async with served(Source()) as (_, port):
        assert await asked(port)
        with ExitStack() as stack:
            *waiting, last = [
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
                for _ in range(METRICS_CONNECTIONS_MAX + 1)
            ]
            await until(lambda: is_reset(last), "the end of the last")
            for each in waiting:
                each.sendall(GET)
                assert (await anyio.to_thread.run_sync(each.recv, 1000)).startswith(b"HTTP/1.1 200")


async def test_address_changes_without_a_moment_at_which_nobody_answers() -> None:
    async with served(Source()) as (port, before):
        assert port.prepare(port.bind) is None
        after = Bind("127.0.0.1", free_port())
        opened = port.prepare(after)
        assert await asked(before)
        port.take(after, opened)
        await until(lambda: answers(after.port), "an answer at the other address")
        await until(lambda: not answers(before), "the end of the first")
        assert b"reads" in await asked(after.port)


async def test_address_of_another_is_one_clear_sentence_but_a_successor_may_share_it() -> None:
    async with served(Source()) as (port, number):
        bind = Bind("127.0.0.1", number)
        with pytest.raises(StartError, match=r"metrics\.bind\): address already in use"):
            MetricsPort().prepare(bind)
        successor = MetricsPort()
        successor.take(bind, successor.prepare(bind, is_successor=True))
        for _ in range(20):  # it does not listen so far, so that nobody is sent to it
            assert await asked(number)
        async with anyio.create_task_group() as tasks:
            source = Source()
            tasks.start_soon(successor.run, source)
            port.close()
            while not source.reads:
                with contextlib.suppress(OSError):  # who came to the first just when it closed
                    await asked(number)
            assert b"reads" in await asked(number)
            successor.close()
            tasks.cancel_scope.cancel()


async def test_address_that_somebody_takes_before_a_successor_listens_ends_no_engine(
    caplog: pytest.LogCaptureFixture,
) -> None:
    port, bind = MetricsPort(), Bind("127.0.0.1", free_port())
    port.take(bind, port.prepare(bind, is_successor=True))
    with socket.create_server((bind.host, bind.port)):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(port.run, Source())
            await until(lambda: "metrics are not served" in caplog.text, "the line that says so")
            tasks.cancel_scope.cancel()
    port.close()


def test_address_that_others_reach_is_a_warning() -> None:
    assert not metrics_warnings(None)
    for host in ("127.0.0.1", "::1", "localhost"):
        assert not metrics_warnings(Bind(host, 9100))
    for host in ("0.0.0.0", "::", "192.0.2.1", "lb.example.com"):
        assert len(metrics_warnings(Bind(host, 9100))) == 1
