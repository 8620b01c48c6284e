from __future__ import annotations

import pytest

from lbapp.control.live import COLUMNS
from lbapp.engine.supervisor.live_figures import LiveFigures
from lbapp.engine.supervisor.reading import StatusReader
from tests.engine.supervisor.support import reading

pytestmark = pytest.mark.anyio


def begin(figures: LiveFigures, reader: StatusReader) -> None:
    figures.begin(reader.history.now(), reader.history.earlier())


async def test_servers_that_did_not_move_over_the_window_are_looked_at_once() -> None:
    with reading() as (own, reader):
        figures = LiveFigures([own.server("s1").row, own.server("s2").row])
        reader.history._kept[0] = [reader.history.now() for _ in range(3)][-1]
        own.count_requests("s2", 4, status_class=5)
        begin(figures, reader)
        assert [place for place, _ in figures.servers()] == [0, 1]
        begin(figures, reader)
        ((place, found),) = figures.servers()
        row = dict(zip(COLUMNS["servers"], found, strict=True))
        assert place == 1
        assert (row["requests_total"], row["errors_total"], row["responses_5xx_total"]) == (4, 4, 4)
        assert row["error_rate"] == 1.0
        assert row["p99"] == pytest.approx(1.0, rel=0.05)


async def test_server_that_comes_to_rest_is_told_once_more() -> None:
    with reading() as (own, reader):
        figures = LiveFigures([own.server("s1").row])
        own.count_requests("s1", 4)
        begin(figures, reader)
        assert [found[3] for _, found in figures.servers()] == [0.0]
        now = [reader.history.now() for _ in range(2)][-1]
        figures.begin(now, now)  # the window has passed over it
        assert [(found[2], found[3], found[4]) for _, found in figures.servers()] == [(0.0, None, None)]
        figures.begin(now, now)
        assert list(figures.servers()) == []


async def test_pool_is_the_sum_of_its_servers() -> None:
    with reading() as (own, reader):
        own.count_requests("s1", 30)
        own.count_requests("s2", 10, latency_us=50_000)
        figures = LiveFigures([])
        begin(figures, reader)
        row = dict(zip(COLUMNS["pools"], [*figures.of_pool(0, [0, 1]), None], strict=True))
        assert row["requests_total"] == 40
        assert row["p50"] == pytest.approx(1.0, rel=0.05)
        assert row["p99"] == pytest.approx(50.0, rel=0.05)
