from __future__ import annotations

import json
import time
from dataclasses import replace
from functools import partial

import anyio
import pytest

from lbapp.engine.policy.capacity import Peak
from lbapp.engine.supervisor.peaks import PeakWatch
from lbapp.model.entities import Pool, Server
from tests.engine.supervisor.support import Parts, configured, parts, until

pytestmark = pytest.mark.anyio


def watch(own: Parts) -> PeakWatch:
    return PeakWatch(own.running.segment, own.running.rows)


async def test_peak_is_what_all_workers_had_in_flight_at_one_moment() -> None:
    with parts(configured(workers=2)) as own:
        own.states.publish()
        peaks, row = watch(own), own.server("s1").row
        own.set_in_flight("s1", 5, slot=0)
        own.set_in_flight("s1", 3, slot=1)
        peaks.look(60.0)
        own.set_in_flight("s1", 0, slot=0)
        own.set_in_flight("s2", 4, slot=0)
        peaks.look(61.0)
        found = peaks.of("app")
        assert found.peak(62.0) == Peak(8, 60.0, (100,)), "not 8 + 4, which were never there together"
        assert (found.of(row, 62.0), found.of(own.server("s2").row, 62.0)) == (8, 4)


async def test_pools_are_kept_apart_and_who_is_unknown_had_nothing() -> None:
    one = configured()
    two = replace(one, pools=(*one.pools, Pool("api", (Server("api", "s1", "127.0.0.1", 3),))))
    with parts(two) as own:
        peaks = watch(own)
        own.set_in_flight("s2", 7)
        cells, layout = own.running.segment.cells, own.running.segment.layout
        cells[layout.in_flight(0) + own.states.by_id["api/s1"].row] = 9
        peaks.look(60.0)
        found = {name: peaks.of(name).peak(61.0).in_flight for name in ("app", "api", "none")}
        assert found == {"app": 7, "api": 9, "none": 0}


async def test_servers_that_are_discovered_are_of_their_pool_by_the_rows_it_has_for_them() -> None:
    with parts() as own:
        row = 10
        peaks = PeakWatch(own.running.segment, replace(own.running.rows, reserved={"app": (9, row, 11)}))
        own.set_in_flight("s1", 2)
        own.running.segment.cells[own.running.segment.layout.in_flight(0) + row] = 5
        peaks.look(60.0)
        found = peaks.of("app")
        assert (found.peak(61.0).in_flight, found.of(row, 61.0), found.of(11, 61.0)) == (7, 5, 0)


async def test_peaks_are_looked_for_again_and_again_and_outlive_a_reload() -> None:
    with parts() as own:
        peaks = watch(own)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(peaks.run)
            for count in (3, 8):
                own.set_in_flight("s1", count)
                await until(partial(_has_seen, peaks, count))
            tasks.cancel_scope.cancel()
        own.set_in_flight("s1", 0)
        after = watch(own)
        after.take_over(peaks)
        assert _has_seen(after, 8)


def _has_seen(peaks: PeakWatch, count: int) -> bool:
    return peaks.of("app").peak(time.time()).in_flight == count


async def test_next_engine_knows_the_peaks_of_servers_by_their_names() -> None:
    with parts() as own:
        own.states.publish()
        peaks, after = watch(own), watch(own)
        after._names = {"app/s1": 7, "app/s3": 1}  # s2 is gone, and s1 has another row
        own.set_in_flight("s1", 5)
        own.set_in_flight("s2", 4)
        peaks.look(60.0)
        told = json.loads(json.dumps(peaks.known()))
        after.know(told)
        assert after.of("app").peak(61.0) == peaks.of("app").peak(61.0) == Peak(9, 60.0, (100, 100))
        assert (after.of("app").of(7, 61.0), after.of("app").of(1, 61.0)) == (5, 0)


@pytest.mark.parametrize("told", [None, [], {"app": 7}, {"app": [[1]]}, {"app": [[1, 2, "x", [], {}]]}, {"api": []}])
async def test_peaks_in_other_words_are_passed_over(told: object) -> None:
    with parts() as own:
        peaks = watch(own)
        peaks.know(told)
        assert peaks.of("app").peak(1.0) == Peak()
