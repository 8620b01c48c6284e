"""Servers that come back, and the share of their weight that the workers are told."""

from __future__ import annotations

import time
from dataclasses import replace

import anyio
import pytest

from lbapp.engine.policy.agent import NO_WISH, Wish
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.supervisor.slow_start import grow
from lbapp.model.entities import CheckType, HealthCheck, Pool, Server
from lbapp.model.health import StartPolicy
from lbapp.model.passive import Passive, SlowStart
from lbapp.model.states import AdminState, HealthState
from tests.engine.supervisor.support import configured, parts, until

pytestmark = pytest.mark.anyio
UP, DOWN = HealthState.UP, HealthState.DOWN


def pool(slow_start: SlowStart | None, start: StartPolicy = StartPolicy.ELIGIBLE) -> Pool:
    return Pool(
        "app",
        (Server("app", "s1", "127.0.0.1", 1),),
        health_check=HealthCheck(CheckType.TCP, start=start),
        passive=Passive(slow_start=slow_start),
    )


async def test_server_that_comes_back_follows_the_curve_to_its_end() -> None:
    with parts(replace(configured(), pools=(pool(SlowStart(1.5)),), listeners=())) as own:
        state = own.server("s1")

        def share() -> int:
            return own.state_cell("s1", at.STATE_SHARE_PERMILLE)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(grow, own.states)
            own.states.set_health(state, UP, "at the start")
            assert share() == 1000  # nobody begins slowly when all begin
            own.states.set_health(state, DOWN, "gone")
            own.states.set_health(state, UP, "back")
            began_s = time.monotonic()
            seen = [share()]
            assert seen == [100]
            while share() < 1000:
                version = own.pool_version()
                await until(lambda version=version: own.pool_version() != version)  # type: ignore[misc]
                expected = min(1000.0, (time.monotonic() - began_s) / 1.5 * 1000)
                seen.append(share())
                assert abs(seen[-1] - max(100.0, expected)) < 100
            assert seen == sorted(seen)
            assert state.warming_since is None
            version = own.pool_version()
            await anyio.sleep(0.6)
            assert own.pool_version() == version  # nothing more happens
            tasks.cancel_scope.cancel()


async def test_every_return_is_slow_and_an_ordinary_one_is_not() -> None:
    with parts(replace(configured(), pools=(pool(SlowStart(60.0)),), listeners=())) as own:
        state = own.server("s1")
        own.states.set_admin(state, AdminState.DRAIN, None)
        own.states.set_admin(state, AdminState.READY, None)
        assert state.share_permille == 1000  # it never was away
        own.states.set_admin(state, AdminState.MAINT, None)
        own.states.set_admin(state, AdminState.READY, None)
        assert state.share_permille == 100
        own.states.set_admin(state, AdminState.MAINT, None)
        assert state.warming_since is None
        own.states.set_admin(state, AdminState.READY, None)
        own.states.eject(state, "errors", 30.0)
        assert state.share_permille == 1000
        own.states.end_ejection(state)
        assert state.share_permille == 100


@pytest.mark.parametrize("word", ["drain", "maint"])
async def test_return_of_a_server_whose_agent_asked_for_no_clients_is_slow(word: str) -> None:
    with parts(replace(configured(), pools=(pool(SlowStart(60.0)),), listeners=())) as own:
        state = own.server("s1")
        own.states.set_wish(state, Wish(percent=50))
        assert state.share_permille == 1000  # another share of its weight is no return
        own.states.set_wish(state, Wish(no_new_clients=word))
        assert (state.share_permille, state.warming_since) == (1000, None)
        own.states.set_wish(state, NO_WISH)
        assert own.state_cell("s1", at.STATE_SHARE_PERMILLE) == 100


async def test_return_of_a_server_whose_check_said_404_is_slow() -> None:
    with parts(replace(configured(), pools=(pool(SlowStart(60.0)),), listeners=())) as own:
        state = own.server("s1")
        own.states.set_not_found(state, is_not_found=True)
        own.states.set_not_found(state, is_not_found=False)
        assert own.state_cell("s1", at.STATE_SHARE_PERMILLE) == 100


async def test_without_a_slow_start_a_return_is_a_return() -> None:
    with parts(replace(configured(), pools=(pool(None),), listeners=())) as own:
        state = own.server("s1")
        own.states.set_health(state, DOWN, "gone")
        own.states.set_health(state, UP, "back")
        assert own.state_cell("s1", at.STATE_SHARE_PERMILLE) == 1000


async def test_limit_grows_with_the_share_and_is_never_nothing() -> None:
    limited = pool(SlowStart(60.0))
    limited = replace(limited, servers=(replace(limited.servers[0], connections_max=5),))
    with parts(replace(configured(), pools=(limited,), listeners=())) as own:
        state = own.server("s1")
        assert own.state_cell("s1", at.STATE_CONNECTIONS_MAX) == 5
        own.states.set_admin(state, AdminState.MAINT, None)
        own.states.set_admin(state, AdminState.READY, None)
        assert own.state_cell("s1", at.STATE_CONNECTIONS_MAX) == 1
        assert state.warming_since is not None
        state.warming_since -= 30.0
        own.states.grow()
        assert own.state_cell("s1", at.STATE_CONNECTIONS_MAX) == 3
        state.warming_since -= 30.0
        own.states.grow()
        assert own.state_cell("s1", at.STATE_CONNECTIONS_MAX) == 5
