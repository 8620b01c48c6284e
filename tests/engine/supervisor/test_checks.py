from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import anyio
import anyio.lowlevel
import pytest

from lbapp.engine.channel import SocketAddress
from lbapp.engine.policy.health import ProbeResult
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.supervisor.checks import Checks
from lbapp.engine.supervisor.probes import probe
from lbapp.engine.supervisor.resolve import Resolver
from lbapp.engine.supervisor.server_state import ServerState
from lbapp.model.entities import CheckType, HealthCheck, Pool, Server
from lbapp.model.errors import RequestRefused
from lbapp.model.health import NotFoundMeans, StartPolicy
from lbapp.model.states import AdminState, HealthState
from lbapp.model.transport import PoolTransport
from tests.engine.supervisor.support import Backend, Parts, configured, parts, until

pytestmark = pytest.mark.anyio
QUICK = HealthCheck(CheckType.HTTP, interval_s=0.05, timeout_s=1.0, fall=3, rise=2)


@asynccontextmanager
async def checked_pools(pools: tuple[Pool, ...]) -> AsyncIterator[tuple[Parts, Checks]]:
    with parts(replace(configured(), pools=pools, listeners=())) as own:
        resolver = Resolver(own.running, own.events)
        await resolver.resolve()
        checks = Checks(own.states, resolver)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(checks.run)
            yield own, checks
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def checked(port: int, check: HealthCheck = QUICK) -> AsyncIterator[tuple[Parts, Checks]]:
    pool = Pool("app", (Server("app", "s1", "127.0.0.1", port),), health_check=check)
    async with checked_pools((pool,)) as own_and_checks:
        yield own_and_checks


async def test_server_comes_up_goes_down_with_the_reason_and_comes_back() -> None:
    with Backend() as backend:
        async with checked(backend.port) as (own, _):
            await until(lambda: own.server("s1").health is HealthState.UP)
            backend.status = 503
            await until(lambda: own.server("s1").health is HealthState.DOWN)
            assert not own.server("s1").is_eligible
            backend.status = 200
            await until(lambda: own.server("s1").health is HealthState.UP)
            assert own.kinds() == ["server_came_up", "server_went_down", "server_came_up"]
            down = own.events.after(0)[1]
            assert down["subject"] == "app/s1"
            assert re.fullmatch(r'app/s1 is down: HTTP 503 \(http, \d+ ms\), it said "backend"', down["message"])


async def test_maintenance_pauses_probes_and_leaving_it_probes_at_once() -> None:
    slow = HealthCheck(CheckType.HTTP, interval_s=60.0, timeout_s=1.0)
    with Backend() as backend:
        async with checked(backend.port, slow) as (own, _):
            await until(lambda: own.server("s1").health is HealthState.UP)
            own.states.set_admin(own.server("s1"), AdminState.MAINT, None)
            assert own.server("s1").health is HealthState.UNKNOWN
            asked = backend.requests
            await anyio.lowlevel.checkpoint()
            own.states.set_admin(own.server("s1"), AdminState.READY, None)
            await until(lambda: own.server("s1").health is HealthState.UP)
            assert backend.requests == asked + 1


async def test_result_that_arrives_in_maintenance_is_dropped() -> None:
    slow = HealthCheck(CheckType.HTTP, path="/slow", interval_s=0.05, timeout_s=5.0)
    with Backend() as backend:
        async with checked(backend.port, slow) as (own, checks):
            await until(lambda: backend.requests == 1)
            own.states.set_admin(own.server("s1"), AdminState.MAINT, None)
            backend.gate.set()
            own.states.set_admin(own.server("s1"), AdminState.DRAIN, None)
            await until(lambda: own.server("s1").health is HealthState.UP)
            assert checks.faults == 0


async def test_server_without_a_check_stays_unknown_and_eligible() -> None:
    with Backend() as backend:
        async with checked(backend.port, HealthCheck(CheckType.NONE)) as (own, _):
            await anyio.lowlevel.checkpoint()
            assert own.server("s1").health is HealthState.UNKNOWN
            assert own.server("s1").health_reason == "no health check"
            assert own.server("s1").is_eligible
            assert backend.requests == 0


@pytest.mark.parametrize("asked_by", ["schedule", "traffic", "operator"])
async def test_server_that_goes_at_any_turn_of_the_event_loop_ends_its_own_check_alone(asked_by: str) -> None:
    with Backend() as backend, Backend() as other:
        pools = tuple(
            Pool(name, (Server(name, "s", "127.0.0.1", each.port),), health_check=QUICK)
            for name, each in (("goes", backend), ("stays", other))
        )
        async with checked_pools(pools) as (own, checks), anyio.create_task_group() as waiting:
            goes, stays = own.states.by_id["goes/s"], own.states.by_id["stays/s"]
            for turns in range(30):
                if asked_by == "traffic":
                    assert checks.probe_now(goes)
                elif asked_by == "operator":
                    waiting.start_soon(refused_or_checked, checks, goes)
                for _ in range(turns):
                    await anyio.lowlevel.checkpoint()
                checks.forget(goes)
                checks.watch(goes)
                if asked_by == "schedule":
                    checks.forget(goes)  # before the first turn of its task
                    checks.watch(goes)
            requests = other.requests
            await until(lambda: goes.health is stays.health is HealthState.UP and other.requests > requests)
            assert checks.faults == 0


async def refused_or_checked(checks: Checks, state: ServerState) -> None:
    with suppress(RequestRefused):
        await checks.check_now(state)


async def test_error_in_one_probe_is_counted_and_the_loop_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    failed: list[int] = []

    async def fail_once(
        check: HealthCheck, addresses: Sequence[SocketAddress], authority: str, transport: PoolTransport, tls: None
    ) -> ProbeResult:
        if not failed:
            failed.append(1)
            raise RuntimeError("a fault of lbapp itself")
        return await probe(check, addresses, authority, transport, tls)

    monkeypatch.setattr("lbapp.engine.supervisor.checks.probe", fail_once)
    with Backend() as backend:
        async with checked(backend.port) as (own, checks):
            await until(lambda: own.server("s1").health is HealthState.UP)
            assert checks.faults == 1


SLOW = HealthCheck(CheckType.HTTP, interval_s=60.0, fast_interval_s=0.2, timeout_s=1.0)


async def settled(own: Parts, checks: Checks, backend: Backend) -> None:
    """Wait until the first look is over and the next is far away."""
    await until(lambda: own.server("s1").health is HealthState.UP)
    assert backend.requests == 1


async def test_probe_that_traffic_asked_for_comes_at_once_and_others_follow_in_quick_succession() -> None:
    with Backend() as backend:
        async with checked(backend.port, SLOW) as (own, checks):
            await settled(own, checks, backend)
            backend.status = 503
            started = anyio.current_time()
            assert checks.probe_now(own.server("s1"))
            await until(lambda: own.server("s1").health is HealthState.DOWN)
            assert backend.requests == 4
            assert 0.3 < anyio.current_time() - started < 5


async def test_probes_that_traffic_asks_for_are_bounded_and_end_when_all_is_well() -> None:
    with Backend() as backend:
        async with checked(backend.port, SLOW) as (own, checks):
            await settled(own, checks, backend)
            started = anyio.current_time()
            while anyio.current_time() < started + 0.5:
                checks.probe_now(own.server("s1"))
                await anyio.sleep(0.001)
            took_s = anyio.current_time() - started
            assert 2 <= backend.requests - 1 <= took_s / 0.1 + 1  # every 0.1 s at most
            await until(lambda: (found := checks._targets.of(own.server("s1"))) and found[0].fast_left == 0)


async def test_server_that_traffic_found_down_needs_rise_successes_to_come_back() -> None:
    quick = HealthCheck(CheckType.HTTP, interval_s=0.1, rise=3)
    with Backend() as backend:
        async with checked(backend.port, quick) as (own, checks):
            await until(lambda: own.server("s1").health is HealthState.UP)
            before = backend.requests
            assert checks.found_down(own.server("s1"), "5 requests failed in a row")
            assert own.server("s1").health is HealthState.DOWN
            assert own.server("s1").because == "5 requests failed in a row"
            assert checks.found_down(own.server("s1"), "again")
            await until(lambda: own.server("s1").health is HealthState.UP)
            assert backend.requests - before >= 3
            assert own.kinds() == ["server_came_up", "server_went_down", "server_came_up"]


async def test_traffic_finds_nothing_of_a_server_in_maintenance_or_without_a_check() -> None:
    with Backend() as backend:
        async with checked(backend.port, HealthCheck(CheckType.NONE)) as (own, checks):
            assert not checks.probe_now(own.server("s1"))
            assert not checks.found_down(own.server("s1"), "x")
        async with checked(backend.port) as (own, checks):
            own.states.set_admin(own.server("s1"), AdminState.MAINT, None)
            assert not checks.found_down(own.server("s1"), "x")
            assert own.server("s1").health is HealthState.UNKNOWN


async def test_not_found_asks_for_no_new_clients_where_the_check_says_so() -> None:
    check = replace(QUICK, not_found=NotFoundMeans.NO_NEW_CLIENTS)
    with Backend() as backend:
        backend.status = 404
        async with checked(backend.port, check) as (own, _):
            await until(lambda: own.server("s1").no_new_clients)
            server = own.server("s1")
            assert (server.health, server.is_eligible) == (HealthState.UP, False)
            assert own.state_cell("s1", at.STATE_NO_NEW_CLIENTS) == 1
            backend.status = 200
            await until(lambda: server.is_eligible)
            assert own.state_cell("s1", at.STATE_NO_NEW_CLIENTS) == 0
            assert own.kinds() == ["server_came_up", "server_asks_for_no_new_clients", "server_takes_new_clients"]


async def test_server_that_has_to_be_checked_gets_nobody_before_its_first_success() -> None:
    check = replace(QUICK, start=StartPolicy.CHECKED, fall=100)
    with Backend() as backend:
        backend.status = 503
        async with checked(backend.port, check) as (own, _):
            await until(lambda: backend.requests >= 2)
            assert (own.server("s1").health, own.server("s1").is_eligible) == (HealthState.UNKNOWN, False)
            assert own.state_cell("s1", at.STATE_HEALTH) == HealthState.DOWN
            backend.status = 200
            await until(lambda: own.server("s1").is_eligible)
            assert own.state_cell("s1", at.STATE_HEALTH) == HealthState.UP
            own.states.set_admin(own.server("s1"), AdminState.MAINT, None)
            own.states.set_admin(own.server("s1"), AdminState.READY, None)
            assert not own.server("s1").is_eligible
            await until(lambda: own.server("s1").is_eligible)


async def test_last_probe_is_kept_with_how_far_it_came_how_long_it_took_and_what_was_said() -> None:
    with Backend("sorry") as backend:
        backend.status = 503
        async with checked(backend.port) as (own, _):
            await until(lambda: own.server("s1").health is HealthState.DOWN)
            found = own.server("s1").probe
            assert found is not None
            assert (found["is_success"], found["reason"], found["layer"]) == (False, "HTTP 503", "http")
            assert (found["streak"], found["excerpt"], 0 < found["duration_s"] < 1) == (3, "sorry", True)


async def test_servers_of_several_pools_share_one_probe_and_each_pool_has_its_own_thresholds() -> None:
    with Backend() as backend:
        pools = tuple(
            Pool(name, (Server(name, "s", "127.0.0.1", backend.port),), health_check=replace(SLOW, fall=fall))
            for name, fall in (("one", 1), ("two", 3))
        )
        async with checked_pools(pools) as (own, checks):
            one, two = own.states.by_id["one/s"], own.states.by_id["two/s"]
            await until(lambda: two.health is HealthState.UP)
            assert (one.health, backend.requests) == (HealthState.UP, 1)
            backend.status = 503
            own.states.set_admin(one, AdminState.MAINT, None)  # probed for the other all the same
            await until(lambda: two.probe is not None and not two.probe["is_success"])
            assert one.health is HealthState.UNKNOWN
            own.states.set_admin(one, AdminState.READY, None)
            await until(lambda: one.health is HealthState.DOWN)
            assert checks.faults == 0


@pytest.mark.parametrize(
    ("before", "results_before", "status", "after"),
    [
        (HealthState.UP, (2, True), 503, HealthState.UP),
        (HealthState.UP, (1, False), 503, HealthState.UP),
        (HealthState.UP, (2, False), 503, HealthState.DOWN),
        (HealthState.DOWN, (7, False), 200, HealthState.DOWN),
        (HealthState.DOWN, (1, True), 200, HealthState.UP),
        (HealthState.UNKNOWN, (2, False), 503, HealthState.DOWN),
    ],
)
async def test_thresholds_hold_over_the_first_probe_of_the_next_engine(
    before: HealthState, results_before: tuple[int, bool], status: int, after: HealthState
) -> None:
    once = replace(QUICK, interval_s=60.0, fast_interval_s=60.0)
    with Backend() as backend:
        backend.status = status
        pool = Pool("app", (Server("app", "s1", "127.0.0.1", backend.port),), health_check=once)
        with parts(replace(configured(), pools=(pool,), listeners=())) as own:
            state, (streak, last) = own.server("s1"), results_before
            state.checked = state.health = before
            resolver = Resolver(own.running, own.events)
            await resolver.resolve()
            checks = Checks(own.states, resolver)
            checks.know(state, {"streak": streak, "last_was_success": last})
            assert checks.known_of(state) == {"streak": streak, "last_was_success": last}
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(checks.run)
                await until(lambda: state.probe is not None)
                tasks.cancel_scope.cancel()
            assert state.health is after


@pytest.mark.parametrize(
    "known", [{}, {"streak": "3", "last_was_success": True}, {"streak": 0, "last_was_success": None}]
)
async def test_next_engine_that_does_not_understand_what_probes_add_up_to_counts_anew(known: dict[str, object]) -> None:
    async with checked(1, replace(QUICK, interval_s=60.0)) as (own, checks):
        own.server("s1").checked = HealthState.UP
        checks.know(own.server("s1"), known)
        assert checks.known_of(own.server("s1")) == {"streak": 0, "last_was_success": None}


async def test_check_that_an_operator_asks_for_is_made_at_once_and_the_schedule_stays() -> None:
    check = replace(SLOW, fall=2)
    with Backend() as backend:
        async with checked(backend.port, check) as (own, checks):
            await settled(own, checks, backend)
            found = checks._targets.of(own.server("s1"))
            assert found
            before = found[0].last_start_s, found[0].probes
            result = await checks.check_now(own.server("s1"))
            assert (result["is_success"], result["reason"], result["streak"]) == (True, "HTTP 200", 2)
            assert own.server("s1").probe == result
            assert (found[0].last_start_s, found[0].probes) == before
            assert backend.requests == 2


async def test_checks_that_an_operator_asks_for_count_for_the_thresholds() -> None:
    check = replace(SLOW, fall=2, rise=2, fast_interval_s=60.0)
    with Backend() as backend:
        async with checked(backend.port, check) as (own, checks):
            await settled(own, checks, backend)
            for status, states in (
                (503, (HealthState.UP, HealthState.DOWN)),
                (200, (HealthState.DOWN, HealthState.UP)),
            ):
                backend.status = status
                for state in states:
                    assert (await checks.check_now(own.server("s1")))["is_success"] is (status == 200)
                    assert own.server("s1").health is state


async def test_server_that_fails_when_an_operator_asks_is_probed_again_soon() -> None:
    with Backend() as backend:
        async with checked(backend.port, SLOW) as (own, checks):
            await settled(own, checks, backend)
            backend.status = 503
            await checks.check_now(own.server("s1"))
            await until(lambda: own.server("s1").health is HealthState.DOWN)
            assert backend.requests == 4


async def test_check_that_an_operator_asks_for_does_not_wait_for_one_that_traffic_asked_for_nor_takes_its_place() -> (
    None
):
    check = HealthCheck(CheckType.HTTP, interval_s=60.0, fast_interval_s=8.0, timeout_s=1.0)  # traffic's: after 2 s
    with Backend() as backend:
        async with checked(backend.port, check) as (own, checks):
            await settled(own, checks, backend)
            checks.probe_now(own.server("s1"))
            await anyio.wait_all_tasks_blocked()
            with anyio.fail_after(1):
                await checks.check_now(own.server("s1"))
            assert backend.requests == 2
            await until(lambda: backend.requests == 3)


async def test_one_check_at_a_time_is_made_for_operators_and_it_waits_for_one_that_is_scheduled() -> None:
    slow = HealthCheck(CheckType.HTTP, path="/slow", interval_s=60.0, timeout_s=5.0)
    with Backend() as backend:
        async with checked(backend.port, slow) as (own, checks):
            await until(lambda: backend.requests == 1)
            async with anyio.create_task_group() as asking:
                asking.start_soon(checks.check_now, own.server("s1"))
                await until(lambda: (found := checks._targets.of(own.server("s1"))) and found[0].extra)
                with pytest.raises(RequestRefused, match="a check of app/s1 that somebody asked for is under way"):
                    await checks.check_now(own.server("s1"))
                assert backend.requests == 1
                backend.gate.set()
            assert backend.requests == 2
            assert (await checks.check_now(own.server("s1")))["streak"] == 3


async def test_servers_without_a_check_and_in_maintenance_are_not_checked_for_operators_either() -> None:
    async with checked(1, HealthCheck(CheckType.NONE)) as (own, checks):
        with pytest.raises(RequestRefused, match="app/s1 has no health check"):
            await checks.check_now(own.server("s1"))
    slow = HealthCheck(CheckType.HTTP, path="/slow", interval_s=60.0, timeout_s=5.0)
    with Backend() as backend:
        async with checked(backend.port, slow) as (own, checks):
            await until(lambda: backend.requests == 1)
            async with anyio.create_task_group() as asking:

                async def ask() -> None:
                    with pytest.raises(RequestRefused, match="app/s1 is in maintenance: it is not checked"):
                        await checks.check_now(own.server("s1"))

                asking.start_soon(ask)
                await until(lambda: (found := checks._targets.of(own.server("s1"))) and found[0].extra)
                own.states.set_admin(own.server("s1"), AdminState.MAINT, None)
                await ask()
                backend.gate.set()
            assert backend.requests == 1


async def test_who_waits_for_a_check_is_told_when_another_generation_begins() -> None:
    slow = HealthCheck(CheckType.HTTP, path="/slow", interval_s=60.0, timeout_s=5.0)
    with Backend() as backend:
        async with anyio.create_task_group() as asking:
            async with checked(backend.port, slow) as (own, checks):
                await until(lambda: backend.requests == 1)

                async def ask() -> None:
                    with pytest.raises(RequestRefused, match="another configuration was applied just now"):
                        await checks.check_now(own.server("s1"))

                asking.start_soon(ask)
                await until(lambda: (found := checks._targets.of(own.server("s1"))) and found[0].extra)
            await ask()


async def test_error_in_a_check_that_an_operator_asked_for_is_told_and_the_loop_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fail(*_: object) -> ProbeResult:
        raise RuntimeError("a fault of lbapp itself")

    with Backend() as backend:
        async with checked(backend.port, SLOW) as (own, checks):
            await settled(own, checks, backend)
            with monkeypatch.context() as patched:
                patched.setattr("lbapp.engine.supervisor.checks.probe", fail)
                with pytest.raises(RequestRefused, match="failed in lbapp itself"):
                    await checks.check_now(own.server("s1"))
            assert checks.faults == 1
            assert (await checks.check_now(own.server("s1")))["is_success"]


async def test_every_probe_is_kept_in_the_order_in_which_they_were_made() -> None:
    with Backend() as backend:
        async with checked(backend.port, SLOW) as (own, checks):
            await settled(own, checks, backend)
            backend.status = 503
            await checks.check_now(own.server("s1"))
            own.states.set_admin(own.server("s1"), AdminState.MAINT, None)
            found = own.server("s1").probes.probes()
            assert [(each["is_success"], each["reason"], each["layer"]) for each in found[:2]] == [
                (True, "HTTP 200", "http"),
                (False, "HTTP 503", "http"),
            ]
