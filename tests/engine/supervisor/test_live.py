from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbapp.engine.policy.ramp import Ramp
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.supervisor import live
from lbapp.engine.supervisor.events import ENGINE
from lbapp.engine.supervisor.history import History
from lbapp.engine.supervisor.live import LiveFeed
from lbapp.engine.supervisor.reading import StatusReader
from lbapp.model.admission import TurnedAway
from lbapp.model.capacity import Capacity
from lbapp.model.entities import Bind, CheckType, Configuration, EngineSettings, HealthCheck, Listener, Pool, Server
from lbapp.model.outcomes import Outcome
from lbapp.model.states import AdminState, HealthState
from tests.engine.supervisor.live_support import Follower, check_same
from tests.engine.supervisor.support import Parts, configured, reading, until

pytestmark = pytest.mark.anyio
NAMES = ("s1", "s2", "s3")


def several() -> Configuration:
    """Two pools: `app` is checked, limited, and has a backup; `more` takes over for it."""
    servers = (
        Server("app", "s1", "127.0.0.1", 1, 100, 8),
        Server("app", "s2", "127.0.0.1", 2, 7),
        Server("app", "s3", "127.0.0.1", 3, is_backup=True),
    )
    check = HealthCheck(CheckType.HTTP, fall=4, rise=3)
    app = Pool("app", servers, health_check=check, capacity=Capacity(connections_max=20, failover="more"))
    more = Pool("more", (Server("more", "s1", "127.0.0.1", 4),), health_check=HealthCheck(CheckType.NONE))
    return Configuration(EngineSettings(), (Listener("web", (Bind("127.0.0.1", 0),), pool="app"),), (app, more))


class Bench:
    """A feed over real parts, whose readings can be held so that a Status is made of the same."""

    def __init__(self, own: Parts, reader: StatusReader) -> None:
        self.own, self.reader = own, reader
        self.is_over = False
        self.feed = LiveFeed(lambda: self.reader, lambda: self.is_over)
        self.feed._counting = 1  # somebody wants figures
        self.seen = 0
        reader._processes.cpu_percent, reader._processes.memory_bytes = 12.5, 1_000_000
        reader._processes._looked_s = float("inf")

    def look(self) -> None:
        """Look at figures, too."""
        reading = History.now(self.reader.history)
        self.reader.history.now = self.reader.history.lately = lambda: reading  # type: ignore[method-assign]
        self.feed._next_s = 0.0
        self.feed.look()

    def line(self, seen: int) -> bytes:
        return self.feed.line(seen)

    def status(self) -> Any:
        self.reader._last = None
        return self.reader.status()


Do = Callable[[Bench], None]


def _count(name: str, count: int, status_class: int, latency_us: int, slot: int) -> Do:
    def do(bench: Bench) -> None:
        bench.own.count_requests(name, count, status_class=status_class, latency_us=latency_us, slot=slot)
        bench.own.set_in_flight(name, count % 7, slot)

    return do


def _elsewhere(count: int) -> Do:
    """Count at the listener, and at the pool what reached no server."""

    def do(bench: Bench) -> None:
        segment = bench.own.running.segment
        web, pool = segment.layout.listener(0, 0), segment.layout.pool(1, 0)
        segment.cells[web + at.LISTENER_OUTCOMES] += count
        segment.cells[web + at.LISTENER_TURNED_AWAY + TurnedAway.NODE_FULL] += count
        segment.cells[pool + at.POOL_OUTCOMES + Outcome.NO_SERVER] += count
        segment.cells[pool + at.POOL_QUEUED] = count

    return do


def _admin(name: str, admin: AdminState, is_hard: bool) -> Do:
    def do(bench: Bench) -> None:
        state = bench.own.server(name)
        bench.own.states.set_admin(state, admin, ENGINE, is_hard=is_hard and admin is AdminState.DRAIN)
        if admin is AdminState.DRAIN:
            bench.own.drains.begin(state, 30)
        else:
            bench.own.drains.cancel(state)

    return do


def _probed(name: str, is_success: bool, streak: int, health: HealthState) -> Do:
    def do(bench: Bench) -> None:
        state = bench.own.server(name)
        reason = "HTTP 200" if is_success else "HTTP 503"
        state.probe = {
            "at": time.time(), "is_success": is_success, "reason": reason, "layer": "http", "duration_s": 0.1,
            "streak": streak, "excerpt": "",
        }  # fmt: skip
        if health is not HealthState.UNKNOWN:
            bench.own.states.set_health(state, health, reason)

    return do


def _weighed(name: str, weight: int, over_s: float) -> Do:
    def do(bench: Bench) -> None:
        state, states = bench.own.server(name), bench.own.states
        if over_s:
            ramp = Ramp(state.weight, weight, time.monotonic(), over_s)
            bench.own.drains.ramps.begin(weight, [(state, ramp)], ENGINE, "")
        else:
            bench.own.drains.ramps.cancel(state, ENGINE, "")
            states.set_weight(state, weight, ENGINE)

    return do


def _ejected(name: str, is_ejected: bool) -> Do:
    def do(bench: Bench) -> None:
        states = bench.own.states
        state = bench.own.server(name)
        if is_ejected:
            states.eject(state, "60 % of its answers fail", 30)
        elif state.ejected:
            states.end_ejection(state)

    return do


def _published(is_published: bool) -> Do:
    def do(bench: Bench) -> None:
        bench.own.states.set_published(bench.own.running.configuration.pools[0], 0, is_published, ENGINE)

    return do


def _gone_and_back(name: str) -> Do:
    def do(bench: Bench) -> None:
        states, state = bench.own.states, bench.own.server(name)
        bench.own.drains.cancel(state)
        bench.own.drains.ramps.cancel(state, ENGINE, "")
        states.remove(state)
        states.add(state.server, state.pool, state.row)

    return do


def _window(bench: Bench) -> None:
    """Have rates counted from now on."""
    history = bench.reader.history
    history._kept.clear()
    history._kept.append(History.now(history))


def _look(bench: Bench) -> None:
    bench.look()


names = st.sampled_from(NAMES)
doing = st.one_of(
    st.builds(_count, names, st.integers(1, 50), st.integers(2, 5), st.integers(100, 5_000_000), st.integers(0, 1)),
    st.builds(_elsewhere, st.integers(0, 9)),
    st.builds(_admin, names, st.sampled_from(AdminState), st.booleans()),
    st.builds(_probed, names, st.booleans(), st.integers(1, 5), st.sampled_from(HealthState)),
    st.builds(_weighed, names, st.integers(0, 256), st.sampled_from([0.0, 60.0])),
    st.builds(_ejected, names, st.booleans()),
    st.builds(_published, st.booleans()),
    st.builds(_gone_and_back, names),
    st.just(_window),
    st.just(_look),
)


@settings(deadline=None)
@given(st.lists(st.tuples(doing, st.booleans()), min_size=1, max_size=25))
def test_whole_and_changes_together_are_the_status_of_that_moment(steps: list[tuple[Do, bool]]) -> None:
    async def check() -> None:
        with reading(several()) as (own, reader):
            bench, every, some = Bench(own, reader), Follower(), Follower()
            bench.look()
            seen, seen_by_some = 0, 0
            for do, does_it_read in steps:
                do(bench)
                bench.look()
                every.take(bench.line(seen))
                seen = bench.feed._look
                if does_it_read:  # the other one reads slowly
                    some.take(bench.line(seen_by_some))
                    seen_by_some = seen
                check_same(every, bench.status(), is_of_same_moment=True)
            some.take(bench.line(seen_by_some))
            check_same(some, bench.status(), is_of_same_moment=True)
            assert some.rows("servers") == every.rows("servers")

    anyio.run(check)


async def test_nothing_is_sent_of_what_stays_the_same() -> None:
    with reading(several()) as (own, reader):
        bench, follower = Bench(own, reader), Follower()
        own.states.set_admin(own.server("s1"), AdminState.DRAIN, ENGINE)
        own.drains.begin(own.server("s1"), 30)
        own.set_in_flight("s1", 2)
        bench.look()
        follower.take(bench.line(0))
        for _ in range(3):
            seen = bench.feed._look
            bench.look()
            found = follower.take(bench.line(seen))
            assert found.keys() == {"kind", "look", "at", "revision", "window_s"}
        seen = bench.feed._look
        own.set_in_flight("s1", 3)
        bench.look()
        found = follower.take(bench.line(seen))
        assert found["servers"]["figures"]["rows"] == [0]
        assert "states" not in found["servers"]


async def test_probes_on_the_way_to_another_health_are_told_and_those_that_agree_are_not() -> None:
    with reading(several()) as (own, reader):
        bench, follower = Bench(own, reader), Follower()
        _probed("s1", True, 1, HealthState.UP)(bench)
        bench.look()
        follower.take(bench.line(0))
        (check,) = [pool["check"] for pool in follower.rows("pools") if pool["name"] == "app"]
        assert check == {"rise": 3, "fall": 4}
        told = []
        for is_success, streak in ((True, 2), (True, 3), (False, 1), (False, 2), (True, 1)):
            seen = bench.feed._look
            _probed("s1", is_success, streak, HealthState.UP)(bench)
            bench.look()
            found = follower.take(bench.line(seen))
            told.append((bool(found.get("servers", {}).get("states")), follower.row("servers", "s1")["probe"]))
        assert told == [
            (False, None),
            (False, None),
            (True, {"is_success": False, "streak": 1}),
            (True, {"is_success": False, "streak": 2}),
            (True, None),
        ]


async def test_line_is_made_once_for_all_who_had_the_one_before() -> None:
    with reading(configured()) as (own, reader):
        bench = Bench(own, reader)
        bench.look()
        seen = bench.feed._look
        own.count_requests("s1", 3)
        bench.look()
        assert bench.line(seen) is bench.line(seen)
        assert bench.line(0) is bench.line(0)


async def test_all_who_follow_get_a_change_at_once_and_nothing_is_kept_when_they_have_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live, "READING_INTERVAL_S", 600.0)  # figures are not what they are woken by
    with reading(configured()) as (own, reader):
        bench, followers = Bench(own, reader), [Follower() for _ in range(5)]

        async def follow(follower: Follower) -> None:
            async with aclosing(bench.feed.follow()) as lines:
                async for line in lines:
                    follower.take(line)
                    if follower.row("servers", "s1")["weight"] == 42:
                        return

        async with anyio.create_task_group() as tasks:
            for each in followers:
                tasks.start_soon(follow, each)
            await until(lambda: all(each.lines for each in followers))
            own.states.set_weight(own.server("s1"), 42, ENGINE)
        assert [len(each.lines) for each in followers] == [2] * 5
        assert bench.feed._picture is None


async def test_one_who_wants_states_alone_gets_no_figures_and_none_are_worked_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worked_out: list[int] = []
    real = live._Picture.look_at_figures

    def counted(picture: Any, *arguments: Any) -> None:
        worked_out.append(1)
        real(picture, *arguments)

    monkeypatch.setattr(live._Picture, "look_at_figures", counted)
    monkeypatch.setattr(live, "STATES_EVERY_S", 0.01)
    with reading(configured()) as (own, reader):
        feed = LiveFeed(lambda: reader, lambda: False)
        reader.history.lately = lambda: History.now(reader.history)  # type: ignore[method-assign]
        async with aclosing(feed.follow(has_figures=False)) as lines:
            whole = json.loads(await anext(lines))
            assert [len(whole[table]["states"]) for table in ("pools", "servers")] == [1, 2]
            own.count_requests("s1", 5)
            assert json.loads(await anext(lines)).keys() == {"kind", "look", "at", "revision", "window_s"}
            own.states.set_weight(own.server("s1"), 42, ENGINE)
            changed = json.loads(await anext(lines))
            assert [state["weight"] for _, state in changed["servers"]["states"]] == [42]
            assert not [table for table, each in {**whole, **changed}.items() if "figures" in str(each)]
            assert not worked_out
            async with aclosing(feed.follow()) as others:  # one who wants them gets them, and the first still does not
                follower = Follower()
                follower.take(await anext(others))
                assert follower.row("servers", "s1")["requests_total"] == 5
            assert "figures" not in str(json.loads(await anext(lines)))


async def test_one_who_comes_back_gets_what_has_changed_since_the_line_that_he_knows() -> None:
    with reading(configured()) as (own, reader):
        feed, follower = LiveFeed(lambda: reader, lambda: False), Follower()
        reader.history.lately = lambda: History.now(reader.history)  # type: ignore[method-assign]
        async with aclosing(feed.follow(has_figures=False)) as held:
            await anext(held)  # somebody follows all the time
            async with aclosing(feed.follow()) as lines:
                look = follower.take(await anext(lines))["look"]
            own.states.set_weight(own.server("s1"), 42, ENGINE)
            async with aclosing(feed.follow(look, has_figures=False)) as lines:
                line = json.loads(await anext(lines))
                assert (line["kind"], [row for row, _ in line["servers"]["states"]]) == ("changes", [0])
            own.count_requests("s1", 7)
            feed._next_s = feed._counted_s = 0.0
            async with aclosing(feed.follow(look)) as lines:
                assert follower.take(await anext(lines))["kind"] == "changes"
            row = follower.row("servers", "s1")
            assert (row["weight"], row["requests_total"]) == (42, 7)
            for unknown in ("", "x-1", look + "0", look.replace("-", "-x"), "-1"):
                async with aclosing(feed.follow(unknown)) as lines:
                    assert json.loads(await anext(lines))["kind"] == "whole", unknown


async def test_feed_ends_with_what_is_newest_when_the_engine_leaves() -> None:
    with reading(configured()) as (own, reader):
        bench, follower = Bench(own, reader), Follower()
        async with aclosing(bench.feed.follow()) as lines:
            follower.take(await anext(lines))
            reader.life.phase = "draining"
            bench.is_over = True
            own.states.changed.fire()
            async for line in lines:
                follower.take(line)
        assert follower.rows("engine")[0]["phase"] == "draining"
        assert follower.row("listeners", "web")["state"] == "draining"


async def test_line_is_plain_json_of_less_than_a_fifth_of_the_status() -> None:
    addresses = [("127.0.0.1", 1000 + each) for each in range(100)]
    with reading(configured(addresses)) as (own, reader):
        bench = Bench(own, reader)
        bench.look()
        seen = bench.feed._look
        for each in range(1, 101):
            own.count_requests(f"s{each}", each)
        bench.look()
        status = json.dumps(bench.status(), separators=(",", ":"))
        assert len(bench.line(seen)) < len(status) / 10
        assert len(bench.line(0)) < len(status) / 3
