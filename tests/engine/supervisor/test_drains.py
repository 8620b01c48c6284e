from __future__ import annotations

import anyio
import pytest

from lbapp.engine.channel import CloseServer
from lbapp.engine.scoreboard import layout as at
from lbapp.model.states import AdminState
from tests.engine.supervisor.support import parts, until

pytestmark = pytest.mark.anyio


async def test_drain_says_once_that_nothing_is_in_flight_any_more() -> None:
    with parts() as own:
        own.set_in_flight("s1", 2)
        own.states.set_admin(own.server("s1"), AdminState.DRAIN, None)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(own.drains.run)
            own.drains.begin(own.server("s1"), 60)
            status = own.drains.status(own.server("s1"))
            assert status is not None
            assert (status["phase"], status["in_flight"], status["timeout_s"]) == ("draining", 2, 60)
            own.set_in_flight("s1", 0)
            await until(lambda: "server_drained" in own.kinds())
            tasks.cancel_scope.cancel()
        assert own.kinds() == ["admin_state_changed", "server_drained"]
        assert own.told == []


async def test_overdue_drain_is_closed_by_force_once() -> None:
    with parts() as own:
        own.set_in_flight("s2", 1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(own.drains.run)
            own.drains.begin(own.server("s2"), 0.05)
            await until(lambda: own.told)
            assert own.told == [CloseServer(own.server("s2").row)]
            assert own.state_cell("s2", at.STATE_CLOSE_COUNT) == 1
            status = own.drains.status(own.server("s2"))
            assert status is not None
            assert status["phase"] == "overdue"
            own.set_in_flight("s2", 0)
            await until(lambda: "server_drained" in own.kinds())
            tasks.cancel_scope.cancel()
        assert own.kinds() == ["drain_timed_out", "server_drained"]
        assert len(own.told) == 1


async def test_cancelled_drain_has_no_consequence_and_the_pools_timeout_is_the_default() -> None:
    with parts() as own:
        own.set_in_flight("s1", 1)
        own.drains.begin(own.server("s1"), None)
        status = own.drains.status(own.server("s1"))
        assert status is not None
        assert status["timeout_s"] == 300.0
        own.drains.begin(own.server("s1"), 0.0)
        own.drains.cancel(own.server("s1"))
        own.drains.begin(own.server("s2"), 60)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(own.drains.run)
            await until(lambda: "server_drained" in own.kinds())
            tasks.cancel_scope.cancel()
        assert own.drains.status(own.server("s1")) is None
        assert own.told == []
