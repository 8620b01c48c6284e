"""Windows over what real cells of the scoreboard hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from random import Random

import pytest

from lbapp.control.latency import LatencyReport
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.supervisor.events import Events
from lbapp.engine.supervisor.history import History
from lbapp.engine.supervisor.state import ServerStates
from lbapp.engine.supervisor.windows import Windows
from lbapp.model.entities import Server
from lbapp.model.histogram import bucket_of
from lbapp.model.outcomes import Outcome
from tests.engine.supervisor.support import Parts, configured, parts

pytestmark = pytest.mark.anyio


@contextmanager
def windows_of(workers: int = 1) -> Iterator[tuple[Parts, Windows]]:
    with parts(configured(workers=workers)) as own:
        yield own, Windows(own.running, own.states, History(own.running.segment, own.running.rows))


async def report(own: Parts, windows: Windows, window_s: float = 60.0) -> LatencyReport:
    return await windows.report(window_s, own.running.configuration.pools, with_listeners=True)


async def test_percentiles_are_those_of_all_requests_whichever_worker_served_them() -> None:
    source = Random(4)
    values = [int(source.lognormvariate(8, 1)) for _ in range(2_000)]
    with windows_of(workers=2) as (own, windows):
        for number, value in enumerate(values):
            own.count_requests("s1", 1, latency_us=value, slot=number % 4)
            if number == 1_000:
                windows.end_step()
        found = (await report(own, windows))["pools"][0]
        exact_ms = sorted(values)[int(0.99 * len(values)) - 1] / 1000
        for each in (found, found["servers"][0]):
            assert each["requests"] == each["total"]["count"] == len(values)
            assert each["total"]["p99"] is not None
            assert abs(each["total"]["p99"] - exact_ms) / exact_ms < 0.0625
        assert found["servers"][1]["requests"] == 0
        assert found["servers"][1]["total"] == {"count": 0, "p50": None, "p90": None, "p99": None, "p999": None}


async def test_what_was_counted_before_the_engine_looked_first_is_in_no_window() -> None:
    with parts() as own:
        own.count_requests("s1", 7)
        windows = Windows(own.running, own.states, History(own.running.segment, own.running.rows))
        own.count_requests("s1", 3)
        for window_s in (10.0, 60.0, 300.0):
            assert (await report(own, windows, window_s))["pools"][0]["requests"] == 3


async def test_window_goes_on_over_a_reload_with_new_rows_and_without_those_that_are_gone() -> None:
    with windows_of() as (own, windows):
        own.count_requests("s1", 5)
        own.count_requests("s2", 2)
        windows.end_step()
        own.count_requests("s1", 1)
        configuration = own.running.configuration
        pool = configuration.pools[0]
        servers = (pool.servers[0], Server("app", "s3", "127.0.0.1", 3))
        running = own.running.next(replace(configuration, pools=(replace(pool, servers=servers),)))
        states = ServerStates(running, Events())
        after = Windows(running, states, History(running.segment, running.rows))
        after.take_over(windows)
        cells, layout = running.segment.cells, running.segment.layout
        cells[layout.server(0, states.by_id["app/s3"].row) + at.SERVER_OUTCOMES] += 4
        found = (await after.report(60.0, running.configuration.pools, with_listeners=True))["pools"][0]
        assert [(each["name"], each["requests"]) for each in found["servers"]] == [("app/s1", 6), ("app/s3", 4)]
        assert found["requests"] == 12  # those of the server that is gone, too


async def test_queue_of_a_pool_counts_those_who_got_no_server_too() -> None:
    with windows_of() as (own, windows):
        cells, layout = own.running.segment.cells, own.running.segment.layout
        cells[layout.pool(0, 0) + at.POOL_QUEUE_WAIT + bucket_of(1_000)] += 2
        cells[layout.pool(0, 0) + at.POOL_OUTCOMES + Outcome.QUEUE_TIMEOUT] += 1
        cells[layout.server(0, 0) + at.SERVER_QUEUE + bucket_of(1_000)] += 1
        cells[layout.server(0, 0) + at.SERVER_OUTCOMES] += 1
        cells[layout.listener(0, 0) + at.LISTENER_QUEUE + bucket_of(1_000)] += 2
        found = await report(own, windows)
        pool = found["pools"][0]
        assert (pool["queue"]["count"], pool["servers"][0]["queue"]["count"]) == (2, 1)
        assert (pool["requests"], pool["errors"], pool["error_rate"]) == (2, 1, 0.5)
        assert found["listeners"][0]["queue"]["count"] == 2
