from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
import pytest

from lbapp.engine.channel import SocketAddress
from lbapp.engine.policy.health import ProbeResult
from lbapp.engine.supervisor.checks import Checks
from lbapp.engine.supervisor.probes import probe
from lbapp.engine.supervisor.resolve import Resolver
from lbapp.model.entities import CheckType, HealthCheck
from lbapp.model.states import AdminState, HealthState
from lbapp.model.transport import PoolTransport
from tests.engine.supervisor.support import Backend, Parts, configured, parts, until

pytestmark = pytest.mark.anyio
QUICK = HealthCheck(CheckType.HTTP, interval_s=0.05, timeout_s=1.0, fall=3, rise=2)


@asynccontextmanager
async def checked(port: int, check: HealthCheck = QUICK) -> AsyncIterator[tuple[Parts, Checks]]:
    with parts(configured([("127.0.0.1", port)], check)) as own:
        resolver = Resolver(own.running, own.events)
        await resolver.resolve()
        checks = Checks(own.states, resolver)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(checks.run)
            yield own, checks
            tasks.cancel_scope.cancel()


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
            assert (down["subject"], down["message"]) == ("app/s1", "app/s1 is down: HTTP 503")


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
