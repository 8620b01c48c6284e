"""Seconds and minutes out of real cells of the scoreboard."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from lbapp.control.recall import course
from lbapp.engine.supervisor.events import ENGINE, Events
from lbapp.engine.supervisor.history import History, Reading
from lbapp.engine.supervisor.history_keeper import HistoryKeeper
from lbapp.engine.supervisor.recording import Recording
from lbapp.engine.supervisor.running import Running
from lbapp.engine.supervisor.state import ServerStates
from lbapp.model.amounts import Subject
from lbapp.model.entities import Server
from lbapp.model.histogram import bucket_of, middle_us
from lbapp.model.states import AdminState
from tests.engine.supervisor.support import Parts, parts

pytestmark = pytest.mark.anyio

SPAN = (0.0, 10_000.0)


class TimedHistory(History):
    """Readings that are of the time that a test says."""

    at_s = 0.0

    def now(self) -> Reading:
        return replace(super().now(), at_s=self.at_s)


class TimedRecording(Recording):
    """A recording that begins, and looks, when a test says so."""

    def __init__(self, running: Running, states: ServerStates, keeper: HistoryKeeper, at: float) -> None:
        self.timed = TimedHistory(running.segment, running.rows)
        self.timed.at_s = at
        super().__init__(running, states, self.timed, keeper, lambda: (250, 1_000_000))
        for part in self._parts:
            part.began_at = at

    def look(self, now_at: float) -> None:
        self.timed.at_s = now_at
        super().look(now_at)


@contextmanager
def recorded(tmp_path: Path) -> Iterator[tuple[Parts, HistoryKeeper]]:
    with parts() as own:
        keeper = HistoryKeeper(tmp_path / "history", own.events)
        yield own, keeper
        keeper.finish()


async def past_of(keeper: HistoryKeeper, subject: Subject | None, step_s: int) -> list[tuple[float, int]]:
    await keeper._in_thread()
    return [(each["at"], each["requests"]) for each in course(await keeper.past(), subject, SPAN, step_s)["points"]]


async def test_minute_has_the_percentiles_of_its_requests_and_the_most_that_was_in_flight(tmp_path: Path) -> None:
    with recorded(tmp_path) as (own, keeper):
        recording = TimedRecording(own.running, own.states, keeper, 60.0)
        own.count_requests("s1", 99, latency_us=1_000)
        own.set_in_flight("s1", 7)
        recording.look(61.0)
        own.count_requests("s1", 1, latency_us=500_000, slot=1)
        own.set_in_flight("s1", 2)
        recording.look(62.0)
        recording.look(120.0)
        await keeper._in_thread()
        past, subject = await keeper.past(), Subject("server", "app/s1")
        seconds = course(past, subject, SPAN, 1)["points"]
        assert [(each["at"], each["requests"], each["in_flight"]) for each in seconds] == [
            (61.0, 99, 7),
            (62.0, 1, 2),
            (120.0, 0, 2),
        ]
        (minute,) = course(past, subject, SPAN, 60)["points"]
        assert (minute["requests"], minute["in_flight"]) == (100, 7)
        assert minute["p99"] == middle_us(bucket_of(1_000)) / 1000
        assert seconds[1]["p99"] == middle_us(bucket_of(500_000)) / 1000
        pool = course(past, Subject("pool", "app"), SPAN, 60)["points"][0]
        assert (pool["requests"], pool["ready"], pool["servers"], pool["node"]) == (100, 2, 2, None)


async def test_states_and_weights_are_those_of_the_time(tmp_path: Path) -> None:
    with recorded(tmp_path) as (own, keeper):
        recording = TimedRecording(own.running, own.states, keeper, 60.0)
        recording.look(61.0)
        own.states.set_admin(own.server("s1"), AdminState.DRAIN, ENGINE)
        own.states.set_weight(own.server("s1"), 7, ENGINE)
        recording.look(62.0)
        await keeper._in_thread()
        points = course(await keeper.past(), Subject("server", "app/s1"), SPAN, 1)["points"]
        assert [(each["admin"], each["weight"]) for each in points] == [("ready", 100), ("drain", 7)]


async def test_minute_goes_on_over_a_reload_and_names_follow_the_servers(tmp_path: Path) -> None:
    with recorded(tmp_path) as (own, keeper):
        recording = TimedRecording(own.running, own.states, keeper, 60.0)
        own.count_requests("s1", 3)
        recording.look(61.0)
        own.count_requests("s1", 4)
        configuration = own.running.configuration
        pool = configuration.pools[0]
        servers = (Server("app", "s9", "127.0.0.1", 9), *pool.servers)
        running = own.running.next(replace(configuration, pools=(replace(pool, servers=servers),)))
        after = TimedRecording(running, ServerStates(running, Events()), keeper, 62.0)
        after.take_over(recording)
        after.look(62.0)
        after.look(121.0)
        subject = Subject("server", "app/s1")
        assert await past_of(keeper, subject, 1) == [(61.0, 3), (62.0, 4), (121.0, 0)]
        assert await past_of(keeper, subject, 60) == [(121.0, 7)]
        assert await past_of(keeper, Subject("server", "app/s9"), 1) == [(62.0, 0), (121.0, 0)]


async def test_minute_under_way_is_recorded_as_the_engine_ends(tmp_path: Path) -> None:
    with recorded(tmp_path) as (own, keeper):
        recording = TimedRecording(own.running, own.states, keeper, 60.0)
        recording.end()  # of an engine that never served: nothing
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(recording.run)
            await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        own.count_requests("s1", 5)
        recording.end()
        await keeper._in_thread()
        points = course(await keeper.past(), Subject("pool", "app"), (0.0, 1e12), 60)["points"]
        assert [each["requests"] for each in points] == [5]
        assert points[0]["p50"] is not None
