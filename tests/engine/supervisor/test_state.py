from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import anyio
import pytest

from lbapp.control.messages import Actor
from lbapp.engine.policy.agent import NO_WISH, Wish
from lbapp.engine.scoreboard import layout as at
from lbapp.engine.supervisor.server_state import AgentSaid, ServerState, know, known_of
from lbapp.model.entities import CheckType, HealthCheck
from lbapp.model.health import AgentCheck
from lbapp.model.passive import Passive, SlowStart
from lbapp.model.states import AdminState, HealthState
from tests.engine.supervisor.support import configured, parts

pytestmark = pytest.mark.anyio
EVE: Actor = {"uid": 7, "user": "eve", "pid": 12}


async def test_servers_start_ready_unknown_with_their_weight_in_the_scoreboard() -> None:
    with parts() as own:
        assert own.state_cell("s1", at.STATE_ADMIN) == AdminState.READY
        assert own.state_cell("s2", at.STATE_HEALTH) == HealthState.UNKNOWN
        assert own.state_cell("s2", at.STATE_WEIGHT) == 100
        assert own.server("s1").is_eligible


async def test_change_writes_cells_then_the_pool_version_and_names_the_actor() -> None:
    with parts() as own:
        state, version = own.server("s2"), own.pool_version()
        event = own.states.set_admin(state, AdminState.DRAIN, EVE)
        assert event is not None
        assert (event["before"], event["after"], event["actor"]) == ("ready", "drain", EVE)
        assert own.state_cell("s2", at.STATE_ADMIN) == AdminState.DRAIN
        assert own.pool_version() == version + 1
        assert state.changed_by == EVE
        assert state.revision == own.states.revision == 1


async def test_change_to_what_is_already_there_writes_and_says_nothing() -> None:
    with parts() as own:
        version = own.pool_version()
        assert own.states.set_admin(own.server("s1"), AdminState.READY, EVE) is None
        assert own.states.set_weight(own.server("s1"), 100, EVE) is None
        assert own.states.set_health(own.server("s1"), HealthState.UNKNOWN, "still") is None
        assert (own.pool_version(), own.states.revision, own.kinds()) == (version, 0, [])
        assert own.server("s1").health_reason == "still"


async def test_weight_0_takes_no_new_clients_and_a_weight_beyond_the_range_is_refused() -> None:
    with parts() as own:
        own.states.set_weight(own.server("s1"), 0, EVE)
        assert not own.server("s1").is_eligible
        assert own.state_cell("s1", at.STATE_WEIGHT) == 0
        with pytest.raises(ValueError, match="weight 257"):
            own.states.set_weight(own.server("s1"), 257, EVE)


async def test_maintenance_forgets_the_health() -> None:
    with parts() as own:
        own.states.set_health(own.server("s1"), HealthState.DOWN, "HTTP 503")
        own.states.set_admin(own.server("s1"), AdminState.MAINT, EVE)
        assert own.state_cell("s1", at.STATE_HEALTH) == HealthState.UNKNOWN
        assert own.server("s1").health_reason == "in maintenance"
        assert own.kinds() == ["server_went_down", "admin_state_changed"]


async def test_each_change_of_whom_a_server_asks_for_is_an_event() -> None:
    with parts() as own:
        state = own.server("s1")
        drain, maint = Wish(no_new_clients="drain"), Wish(no_new_clients="maint")
        for wish in (drain, maint, drain, NO_WISH, maint, replace(maint, percent=50), NO_WISH):
            own.states.set_wish(state, wish)
        told = [(each["kind"].removeprefix("server_"), each["before"], each["after"]) for each in own.events.after(0)]
        assert told == [
            ("asks_for_no_new_clients", None, "its agent says drain"),
            ("asks_for_nobody", "its agent says drain", "its agent says maint"),
            ("asks_for_no_new_clients", "its agent says maint", "its agent says drain"),
            ("takes_new_clients", "its agent says drain", None),
            ("asks_for_nobody", None, "its agent says maint"),
            ("agent_weight_changed", 100, 50),
            ("agent_weight_changed", 50, 100),
            ("takes_new_clients", "its agent says maint", None),
        ]
        assert own.events.after(1)[0]["message"] == (
            "app/s1 asks for nobody, not even for who had it: its agent says maint"
        )
        assert own.events.after(2)[0]["message"] == (
            "app/s1 asks for no new clients: its agent says drain; who had it may come back"
        )


async def test_agent_that_repeats_what_a_404_said_is_no_event() -> None:
    with parts() as own:
        state = own.server("s1")
        own.states.set_not_found(state, is_not_found=True)
        own.states.set_wish(state, Wish(no_new_clients="drain"))
        own.states.set_not_found(state, is_not_found=False)
        assert own.kinds() == ["server_asks_for_no_new_clients"]


async def test_waiting_readers_are_woken_by_a_change() -> None:
    with parts() as own:
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(own.states.changed.wait)
                await anyio.lowlevel.checkpoint()
                own.states.set_weight(own.server("s1"), 5, EVE)


WITH_AGENT = HealthCheck(CheckType.TCP, agent=AgentCheck(1))
ONLY_AGENT = HealthCheck(CheckType.NONE, agent=AgentCheck(1))


def told_as_json(state: ServerState) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(json.dumps(known_of(state)))
    return told


@pytest.mark.parametrize("check", [WITH_AGENT, ONLY_AGENT])
async def test_next_engine_knows_what_a_server_has_said_and_why_it_is_down(check: HealthCheck) -> None:
    with parts(configured(check=check)) as before, parts(configured(check=check)) as after:
        state, same = before.server("s1"), after.server("s1")
        if check is WITH_AGENT:
            before.states.set_health(state, HealthState.UP, "connected")
        before.states.set_wish(state, Wish("fail: no disk", "drain", 30, 5))
        state.agent = AgentSaid(7.0, "fail drain 30% maxconn:5 # no disk", "")
        know(same, told_as_json(state))
        assert (same.wish, same.agent, same.checked) == (state.wish, state.agent, state.checked)
        assert (same.health, same.health_reason) == (HealthState.DOWN, "its agent says fail: no disk")
        assert same.health_since == state.health_since
        after.states.set_wish(same, Wish())
        assert same.health is state.checked


async def test_next_engine_without_agents_does_not_keep_a_server_down_for_what_one_has_said() -> None:
    with parts(configured(check=WITH_AGENT)) as before, parts(configured(check=HealthCheck())) as after:
        before.states.set_health(before.server("s1"), HealthState.UP, "connected")
        before.states.set_wish(before.server("s1"), Wish("fail", "", 100, 0))
        assert know(after.server("s1"), told_as_json(before.server("s1")))
        assert after.server("s1").wish == Wish()
        assert after.server("s1").health is HealthState.UP


async def test_what_is_known_of_another_address_or_in_other_words_is_passed_over() -> None:
    with parts(configured(check=WITH_AGENT)) as own:
        state = own.server("s1")
        address = state.server.address
        assert not know(state, {"address": "127.0.0.9:9", "checked": "DOWN"})
        assert not know(state, {"address": address, "checked": "ASLEEP", "wish": {"mood": "bad"}, "agent": {}})
        assert not know(state, {"address": address})
        assert (state.health, state.checked, state.wish) == (HealthState.UNKNOWN, HealthState.UNKNOWN, Wish())


async def test_slow_start_goes_on_in_the_next_engine_where_it_was() -> None:
    slow = replace(configured(), pools=(replace(configured().pools[0], passive=Passive(slow_start=SlowStart(100.0))),))
    with parts(slow) as before, parts(slow) as after, parts(configured()) as without:
        before.server("s1").warming_since = time.monotonic() - 40.0
        for own in (after, without):
            know(own.server("s1"), told_as_json(before.server("s1")))
            own.states.publish()
        assert after.server("s1").share_permille == pytest.approx(400, abs=20)
        assert without.server("s1").share_permille == 1000


async def test_server_that_comes_later_is_newer_than_what_anybody_saw_of_its_name() -> None:
    with parts(configured([("127.0.0.1", 1)])) as own, parts() as later:
        own.states.set_weight(own.server("s1"), 7, EVE)
        later.states.take_over(own.states)
        assert later.server("s1").revision == own.server("s1").revision
        assert later.server("s2").revision > own.states.revision
