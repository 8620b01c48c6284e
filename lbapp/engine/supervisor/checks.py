"""Health checks: one task per server that probes it for as long as the engine runs.

Responsible for when each server is probed, and for carrying what the probes add up to into its state. Knows
nothing of how a probe is made or of thresholds (policy.health). Invariants: a server in MAINT is not probed,
and is probed at once when it leaves it; a result that arrives after the server went into MAINT is dropped; no
error in one loop ends it or another.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from random import Random
from typing import Final

import anyio

from lbapp.engine.policy.health import HealthRecord, first_probe_delay_s, next_probe_delay_s, observe
from lbapp.engine.supervisor.probes import probe
from lbapp.engine.supervisor.resolve import Resolver
from lbapp.engine.supervisor.state import ServerState, ServerStates
from lbapp.engine.tls_contexts import ServerTls
from lbapp.model.entities import CheckType, Pool, Server
from lbapp.model.states import AdminState

PROBES_AT_ONCE_MAX: Final = 256

_log = logging.getLogger("lbapp")
Tls = Callable[[Pool, Server], ServerTls | None]  # how a server is spoken with


def _plain(_pool: Pool, _server: Server) -> None:
    return None


class Checks:
    """The probe loops. `faults` counts errors in them that nobody foresaw."""

    def __init__(
        self, states: ServerStates, resolver: Resolver, random: Random | None = None, tls: Tls = _plain
    ) -> None:
        self.faults = 0
        self._states = states
        self._resolver = resolver
        self._random = random or Random()
        self._tls = tls
        self._probing = anyio.CapacityLimiter(PROBES_AT_ONCE_MAX)

    async def run(self) -> None:
        """Probe every server that has a check, until cancelled."""
        async with anyio.create_task_group() as tasks:
            for state in self._states.by_id.values():
                if state.pool.health_check.type is not CheckType.NONE:
                    tasks.start_soon(self._check, state)

    async def _check(self, state: ServerState) -> None:
        interval_s = state.pool.health_check.interval_s
        record = HealthRecord()
        delay_s = first_probe_delay_s(self._random, interval_s)
        while True:
            with anyio.move_on_after(delay_s):
                await state.admin_changed.wait()
            while state.admin is AdminState.MAINT:
                record = HealthRecord()
                await state.admin_changed.wait()
            try:
                record = await self._probe_once(state, record)
            except Exception:  # noqa: BLE001 - a probe loop
                self.faults += 1
                _log.exception("the health check of %s failed in lbapp itself", state.server.id)
            delay_s = next_probe_delay_s(self._random, interval_s)

    async def _probe_once(self, state: ServerState, record: HealthRecord) -> HealthRecord:
        check = state.pool.health_check
        async with self._probing:
            addresses = self._resolver.addresses.get(state.row, ())
            pool, server = state.pool, state.server
            result = await probe(check, addresses, server.authority, pool.transport, self._tls(pool, server))
        if state.admin is AdminState.MAINT:
            return HealthRecord()
        if record.state is not state.health:  # a maintenance came and went in the meantime
            record = HealthRecord()
        record, _ = observe(record, result, check)
        self._states.set_health(state, record.state, result.reason)
        return record
