from __future__ import annotations

import time

import pytest

from lbapp.engine.supervisor.events import ENGINE
from lbapp.engine.supervisor.live_states import ServersSaid, listener_said, pool_said, server_said
from lbapp.model.states import AdminState, HealthState
from tests.engine.supervisor.support import reading

pytestmark = pytest.mark.anyio


async def test_only_servers_of_which_something_changed_are_said_again() -> None:
    with reading() as (own, reader):
        said = ServersSaid(reader)
        assert list(said.look()) == [0, 1]
        assert list(said.look()) == []
        own.states.set_health(own.server("s2"), HealthState.DOWN, "HTTP 503")
        assert list(said.look()) == [1]
        assert (said.states[1]["health"], said.states[1]["is_eligible"]) == ("down", False)
        assert "health" in said.states[0]  # it is unknown, without a check


async def test_server_that_stands_in_for_others_is_said_though_nothing_of_its_own_changed() -> None:
    with reading() as (own, reader):
        own.server("s2").server = type(own.server("s2").server)("app", "s2", "127.0.0.1", 2, is_backup=True)
        own.states.touch()
        said = ServersSaid(reader)
        list(said.look())
        assert said.states[1]["is_eligible"] is False
        own.states.set_admin(own.server("s1"), AdminState.MAINT, ENGINE)
        assert list(said.look()) == [0, 1]
        assert "is_eligible" not in said.states[1]


async def test_moments_of_a_drain_stay_while_its_seconds_pass() -> None:
    with reading() as (own, reader):
        state = own.server("s1")
        own.states.set_admin(state, AdminState.DRAIN, ENGINE)
        own.drains.begin(state, 30)
        facts = reader.server_facts(state, is_eligible=False)
        drain = facts["drain"]
        assert drain is not None
        first = server_said(state, facts, {})
        assert first["drain"]["until"] == pytest.approx(time.time() + 30, abs=1)
        drain["remaining_s"] -= 0.4
        assert server_said(state, facts, first) == first
        drain["remaining_s"] += 60
        assert server_said(state, facts, first)["drain"]["until"] == pytest.approx(time.time() + 90, abs=1)


async def test_listeners_and_pools_say_what_is_not_as_usual() -> None:
    with reading() as (own, reader):
        (listener,), (pool,) = own.running.configuration.listeners, own.running.configuration.pools
        facts = reader.listener_facts(listener, reader.history.now())
        assert listener_said(facts).keys() == {"name", "protocol", "bind", "pool"}
        said = pool_said(pool, reader.pool_facts(pool), {"up": 2})
        assert said.keys() == {"name", "algorithm", "eligible", "total", "states", "served_by"}
        own.states.set_published(pool, 0, False, ENGINE)
        said = pool_said(pool, reader.pool_facts(pool), {"up": 2})
        assert (said["published"], said["served_by"]) == (False, None)
