from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lbapp.engine.policy.ramp import Ramp
from lbapp.engine.supervisor.guard import Becoming, Guard, becoming
from lbapp.engine.supervisor.reading import StatusReader
from lbapp.model.entities import AlgorithmName, Configuration, EngineSettings, Pool, Server
from lbapp.model.errors import RequestRefused
from lbapp.model.journal import Change, Setting
from lbapp.model.states import AdminState
from tests.engine.supervisor.support import NO_CHECK, Parts, reading

pytestmark = pytest.mark.anyio


def pool(*weights: int, algorithm: AlgorithmName = AlgorithmName.LEAST_CONNECTIONS, limit: int = 0) -> Configuration:
    servers = tuple(
        Server("app", f"s{number}", "127.0.0.1", number, weight, limit) for number, weight in enumerate(weights, 1)
    )
    return Configuration(EngineSettings(workers=1), (), (Pool("app", servers, algorithm, NO_CHECK),))


@contextmanager
def guarding(configuration: Configuration, *in_flight: int) -> Iterator[tuple[Parts, StatusReader, Guard]]:
    """A guard of a pool whose servers have had so much in flight just now, and have nothing any more."""
    with reading(configuration) as (own, reader):
        own.states.publish()
        for number, count in enumerate(in_flight, 1):
            own.set_in_flight(f"s{number}", count)
        reader.history.peaks.look(time.time())
        for number in range(1, len(in_flight) + 1):
            own.set_in_flight(f"s{number}", 0)
        yield own, reader, Guard(own.states, reader)


def asked(own: Parts, admin: AdminState | None, weight: int | None, *numbers: int) -> list[Becoming]:
    return [Becoming(own.server(f"s{number}"), admin, weight) for number in numbers]


def refusal(guard: Guard, change: list[Becoming]) -> RequestRefused:
    with pytest.raises(RequestRefused) as caught:
        guard.check(change)
    assert caught.value.status == 409
    return caught.value


async def test_light_server_beside_the_one_that_is_left_does_not_switch_the_guard_off() -> None:
    with guarding(pool(100, 100, 100, 1), 334, 333, 333, 1) as (own, reader, guard):
        refused = refusal(guard, asked(own, AdminState.DRAIN, None, 1, 2))
        at = time.strftime("%H:%M", time.localtime(reader.history.peaks.of("app").peak(time.time()).at_s))
        assert refused.code == "too_little_capacity"
        assert refused.message == (
            f"pool app: 1001 were in flight at {at}, the peak of the last hour; of the 2 servers left app/s3 would get 991 "
            "and has had 333 at most"
        )
        guard.check(asked(own, AdminState.DRAIN, None, 1))
        assert refusal(guard, asked(own, None, 0, 1, 2)).code == "too_little_capacity", "weight 0 is no better"
        assert refusal(guard, asked(own, None, 1, 1, 2)).code == "too_little_capacity", "nor is hardly any"


async def test_one_of_two_servers_may_go_though_the_other_had_a_little_less() -> None:
    with guarding(pool(100, 100), 51, 50) as (own, _, guard):
        guard.check(asked(own, AdminState.MAINT, None, 1))
        assert refusal(guard, asked(own, AdminState.MAINT, None, 1, 2)).code == "leaves_nobody"


async def test_small_limits_are_guarded_too() -> None:
    with guarding(pool(100, 100, limit=5), 5, 4) as (own, _, guard):
        refused = refusal(guard, asked(own, AdminState.DRAIN, None, 1))
        assert refused.message.endswith("the 1 server left may have 5 together")


async def test_what_gives_a_pool_more_is_never_refused() -> None:
    with guarding(pool(100, 100, 100, 100), 100, 100, 100, 100) as (own, _, guard):
        for number in (2, 3, 4):
            own.states.set_admin(own.server(f"s{number}"), AdminState.MAINT, None)
        guard.check(asked(own, None, 256, 1))
        guard.check(asked(own, AdminState.READY, None, 2))
        guard.check(asked(own, AdminState.DRAIN, None, 3))  # in maintenance until now: nothing is taken away


async def test_where_weights_do_not_count_servers_do() -> None:
    for algorithm in (AlgorithmName.ROUND_ROBIN, AlgorithmName.PREQUAL):
        with guarding(pool(1, 1, 1, 256, algorithm=algorithm), 10, 10, 10, 10) as (own, _, guard):
            guard.check(asked(own, AdminState.DRAIN, None, 3, 4))
            assert "app/s4 would get 40" in refusal(guard, asked(own, AdminState.DRAIN, None, 1, 2, 3)).message


async def test_changes_of_one_server_are_weighed_together_and_those_of_pool_and_node_are_not() -> None:
    with guarding(pool(100, 100)) as (own, _, guard):
        state = own.server("s1")
        changes = [
            Change("app/s1", Setting.WEIGHT, 100, 7, 100),
            Change("app", Setting.PUBLISHED, True, False, True),
            Change("app/s1", Setting.STATE, "ready", "hard_drain", "ready"),
            Change("node", Setting.STATE, "ready", "drain", "ready"),
        ]
        assert becoming(changes, own.states.by_id) == [Becoming(state, AdminState.DRAIN, 7)]
        guard.check([])


async def test_plan_says_when_the_peak_was_and_what_is_refused() -> None:
    with guarding(pool(100, 100, 100), 10, 10, 10) as (own, _, guard):
        (plan,) = await guard.plan(asked(own, AdminState.DRAIN, None, 1, 2))
        assert plan["peak_in_flight"] == 30
        assert plan["peak_at"] is not None
        assert time.time() - 60 < plan["peak_at"] <= time.time()
        assert "app/s3 would get 30 and has had 10 at most" in plan["too_little"]
    with guarding(pool(100, 100, 100)) as (own, _, guard):
        (plan,) = await guard.plan(asked(own, AdminState.DRAIN, None, 1, 2))
        assert (plan["peak_in_flight"], plan["peak_at"], plan["too_little"]) == (0, None, "")


async def test_server_whose_weight_is_on_its_way_to_nothing_is_none_that_is_left() -> None:
    with guarding(pool(100, 100)) as (own, _, guard):
        own.server("s1").ramp = Ramp(100, 0, time.monotonic(), 3600.0)
        assert refusal(guard, asked(own, AdminState.DRAIN, None, 2)).code == "leaves_nobody"
        guard.check(asked(own, AdminState.DRAIN, None, 1))
