"""What follows from the workers' counters: probes, DOWN at once, ejections."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from lbapp.engine.scoreboard import layout as at
from lbapp.engine.supervisor.checks import Checks
from lbapp.engine.supervisor.passive import Passive
from lbapp.engine.supervisor.resolve import Resolver
from lbapp.engine.supervisor.server_state import ServerState
from lbapp.model.entities import CheckType, HealthCheck, Pool, Server
from lbapp.model.outcomes import FailureKind, Outcome
from lbapp.model.passive import OnError, Outlier
from lbapp.model.passive import Passive as Settings
from lbapp.model.states import AdminState, HealthState
from tests.engine.supervisor.support import Parts, configured, parts

pytestmark = pytest.mark.anyio


@dataclass
class Watched:
    own: Parts
    passive: Passive
    probed: list[str]

    def count(
        self, name: str, *, failures: int = 0, kind: FailureKind = FailureKind.CONNECT_REFUSED, **answers: int
    ) -> None:
        """Count as worker 1 would. `answers`: such as c2=3 for three 2xx."""
        cells, layout = self.own.running.segment.cells, self.own.running.segment.layout
        base = layout.server(1, self.own.server(name).row)
        cells[base + at.SERVER_FAILURES + kind] += failures
        for status_class, count in answers.items():
            cells[base + at.SERVER_RESPONSES + int(status_class[1]) - 1] += count


@asynccontextmanager
async def watching(settings: Settings, check: CheckType = CheckType.HTTP, servers: int = 3) -> AsyncIterator[Watched]:
    pool = Pool(
        "app",
        tuple(Server("app", f"s{number}", "127.0.0.1", 1) for number in range(servers)),
        health_check=HealthCheck(check),
        passive=settings,
    )
    with parts(replace(configured(), pools=(pool,), listeners=())) as own:
        checks = Checks(own.states, Resolver(own.running, own.events))
        probed: list[str] = []
        probe_now = checks.probe_now

        def noted(state: ServerState) -> bool:
            probed.append(state.server.name)
            return probe_now(state)

        checks.probe_now = noted  # type: ignore[method-assign]
        yield Watched(own, Passive(own.running, own.states, checks), probed)


async def test_failed_request_has_the_server_probed_and_only_that_one() -> None:
    async with watching(Settings()) as watched:
        watched.passive.look(0.0)
        watched.count("s1", failures=1, kind=FailureKind.RESPONSE_TIMEOUT)
        watched.count("s2", c2=5, c5=5)  # an answer is no failure
        watched.passive.look(0.2)
        watched.passive.look(0.4)
        assert watched.probed == ["s1"]
        assert watched.own.server("s1").health is HealthState.UNKNOWN


async def test_what_was_counted_before_says_nothing() -> None:
    async with watching(Settings()) as watched:
        watched.count("s1", failures=1)
        fresh = Passive(watched.own.running, watched.own.states, watched.passive._checks)
        fresh.look(0.0)
        assert watched.probed == []


async def test_failed_request_takes_the_server_out_at_once_where_that_is_wanted() -> None:
    async with watching(Settings(OnError.MARK_DOWN)) as watched:
        watched.count("s1", failures=1)
        watched.passive.look(0.0)
        state = watched.own.server("s1")
        assert state.health is HealthState.DOWN
        assert state.health_reason == "a client's request failed: connect refused"
        assert watched.own.state_cell("s1", at.STATE_HEALTH) == HealthState.DOWN
        assert watched.probed == ["s1"]


async def test_connection_that_was_closed_proves_nothing_but_is_looked_into() -> None:
    async with watching(Settings(OnError.MARK_DOWN)) as watched:
        watched.count("s1", failures=1, kind=FailureKind.UPSTREAM_CLOSED)
        watched.count("s2", failures=1, kind=FailureKind.RESPONSE_STATUS)
        watched.passive.look(0.0)
        assert watched.own.server("s1").health is HealthState.UNKNOWN
        assert watched.probed == ["s1"]


@pytest.mark.parametrize("on_error", [OnError.IGNORE, OnError.PROBE, OnError.MARK_DOWN])
async def test_nothing_is_made_of_failures_in_maintenance_or_where_they_are_ignored(on_error: OnError) -> None:
    async with watching(Settings(on_error)) as watched:
        if on_error is not OnError.IGNORE:
            watched.own.states.set_admin(watched.own.server("s1"), AdminState.MAINT, None)
        watched.count("s1", failures=1)
        watched.passive.look(0.0)
        assert watched.probed == []
        assert watched.own.server("s1").health is HealthState.UNKNOWN


async def test_row_of_errors_ejects_until_its_time_is_over() -> None:
    settings = Settings(outlier=Outlier(consecutive_errors=4, ejection_s=30.0))
    async with watching(settings) as watched:
        state = watched.own.server("s1")
        watched.count("s1", c5=2)
        watched.passive.look(0.0)
        assert watched.own.state_cell("s1", at.STATE_EJECTED) == 0
        watched.count("s1", failures=2)
        watched.passive.look(0.2)
        assert state not in [each for each in watched.own.states.by_id.values() if each.is_eligible]
        assert state.ejected == "4 errors in a row"
        assert watched.own.state_cell("s1", at.STATE_EJECTED) == 1
        assert watched.own.kinds()[-1] == "server_ejected"
        watched.passive.look(30.1)
        assert watched.own.state_cell("s1", at.STATE_EJECTED) == 1
        watched.passive.look(30.3)
        assert watched.own.state_cell("s1", at.STATE_EJECTED) == 0
        assert watched.own.kinds()[-1] == "server_ejection_ended"


async def test_failure_that_became_a_502_counts_once() -> None:
    async with watching(Settings(outlier=Outlier(consecutive_errors=4))) as watched:
        watched.count("s1", failures=3, c5=3)
        watched.passive.look(0.0)
        assert not watched.own.server("s1").ejected


async def test_tcp_connections_that_went_well_end_a_row() -> None:
    async with watching(Settings(outlier=Outlier(consecutive_errors=4))) as watched:
        cells, layout = watched.own.running.segment.cells, watched.own.running.segment.layout
        completed = layout.server(0, watched.own.server("s1").row) + at.SERVER_OUTCOMES + Outcome.COMPLETED
        for now_s in (0.0, 0.2, 0.4):
            watched.count("s1", failures=3)
            cells[completed] += 1
            watched.passive.look(now_s)
        assert not watched.own.server("s1").ejected


async def test_server_that_leaves_for_maintenance_is_no_longer_ejected_when_it_returns() -> None:
    async with watching(Settings(outlier=Outlier(consecutive_errors=1))) as watched:
        state = watched.own.server("s1")
        watched.count("s1", failures=1)
        watched.passive.look(0.0)
        assert state.ejected
        watched.own.states.set_admin(state, AdminState.MAINT, None)
        watched.passive.look(0.2)
        watched.own.states.set_admin(state, AdminState.READY, None)
        assert state.is_eligible


async def test_next_engine_goes_on_with_ejections_and_with_how_often_there_was_one() -> None:
    settings = Settings(outlier=Outlier(consecutive_errors=3, ejection_s=30.0))
    async with watching(settings) as before, watching(settings) as after:
        now_s = time.monotonic()
        before.passive.look(now_s)
        before.count("s1", failures=3)
        before.passive.look(now_s)
        for name in ("s0", "s1"):
            told = json.loads(json.dumps(before.passive.known_of(before.own.server(name))))
            after.passive.know(after.own.server(name), told)
        state = after.own.server("s1")
        assert state.ejected == before.own.server("s1").ejected != ""
        assert state.ejected_until == pytest.approx(time.time() + 30, abs=5)
        assert not after.own.server("s0").ejected
        after.passive.look(now_s + 20)
        assert state.ejected
        after.passive.look(now_s + 40)
        assert not state.ejected
        after.count("s1", failures=3)
        after.passive.look(now_s + 41)
        assert after.passive.known_of(state)["ejections"] == 2
        assert after.passive.known_of(state)["ejected_left_s"] == pytest.approx(60 + 41, abs=5)


async def test_what_is_said_of_ejections_in_other_words_is_passed_over() -> None:
    async with watching(Settings(outlier=Outlier())) as watched, watching(Settings()) as plain:
        state = watched.own.server("s1")
        for told in ({}, {"ejections": "two"}, {"ejections": 1, "ejected": 7, "ejected_left_s": 5.0}):
            watched.passive.know(state, told)
            assert not state.ejected
        plain.passive.know(plain.own.server("s1"), {"ejections": 1, "ejected": "errors", "ejected_left_s": 5.0})
        assert not plain.own.server("s1").ejected
        assert plain.passive.known_of(plain.own.server("s1")) == {}
