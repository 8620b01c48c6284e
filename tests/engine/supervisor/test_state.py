from __future__ import annotations

import anyio
import pytest

from lbapp.control.messages import Actor
from lbapp.engine.scoreboard import layout as at
from lbapp.model.states import AdminState, HealthState
from tests.engine.supervisor.support import parts

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


async def test_waiting_readers_are_woken_by_a_change() -> None:
    with parts() as own:
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(own.states.changed.wait)
                await anyio.lowlevel.checkpoint()
                own.states.set_weight(own.server("s1"), 5, EVE)
