"""Health checks: one task per target that probes it for as long as the engine runs.

Responsible for when each target is probed, and for carrying what the probes add up to into the states of its servers. Knows
nothing of how a probe is made or of thresholds (policy.health). Invariants: a target has at most one probe under way, and
one that traffic asked for starts no sooner than a quarter of a fast interval after the last; a target all of whose servers are in
MAINT is not probed, and is probed at once when one leaves it; a result that arrives after a server went into MAINT is
dropped for that server; no error in one loop ends it or another.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from random import Random
from typing import Any

import anyio
from anyio.abc import TaskGroup

from lbapp.engine.policy import health as policy
from lbapp.engine.policy.health import HealthRecord, ProbeResult
from lbapp.engine.supervisor.probe_tls import SpokenWith, Tls, plain
from lbapp.engine.supervisor.probes import probe
from lbapp.engine.supervisor.resolve import Resolver
from lbapp.engine.supervisor.server_state import ServerState
from lbapp.engine.supervisor.state import ServerStates
from lbapp.engine.supervisor.targets import Member, Target, Targets
from lbapp.model.limits import PROBES_AT_ONCE_MAX
from lbapp.model.states import AdminState, HealthState

_log = logging.getLogger("lbapp")


class Checks:
    """The probe loops. `faults` counts errors in them that nobody foresaw."""

    def __init__(
        self, states: ServerStates, resolver: Resolver, random: Random | None = None, tls: Tls = plain
    ) -> None:
        self.faults = 0
        self._states = states
        self._resolver = resolver
        self._random = random or Random()
        self._spoken_with = SpokenWith(tls)
        self._probing = anyio.CapacityLimiter(PROBES_AT_ONCE_MAX)
        self._targets = Targets()
        self._tasks: TaskGroup | None = None
        for state in states.by_id.values():
            self._targets.add(state)

    def take_over(self, former: Checks) -> None:
        """Go on where a generation before has stopped: with what probes have added up to, and when the next is due."""
        for target in self._targets:
            for member in target.members:
                member.record = HealthRecord(member.state.checked)
                found = former._targets.of(member.state)
                if found is None or found[0].key != target.key:
                    continue
                before, known = found
                member.record = known.record
                target.last_start_s, target.probes, target.fast_left = (
                    before.last_start_s,
                    before.probes,
                    before.fast_left,
                )

    def known_of(self, state: ServerState) -> dict[str, Any]:
        """Return what the probes of a server add up to, for the engine that comes after this one."""
        found = self._targets.of(state)
        record = HealthRecord() if found is None else found[1].record
        return {"streak": record.streak, "last_was_success": record.last_was_success}

    def know(self, state: ServerState, known: Mapping[str, Any]) -> None:
        """Go on with what an engine before, maybe of another version, has found by its probes, so that thresholds hold."""
        found = self._targets.of(state)
        if found is None:
            return
        streak, last = known.get("streak"), known.get("last_was_success")
        if isinstance(streak, int) and streak > 0 and isinstance(last, bool):
            found[1].record = HealthRecord(state.checked, streak, last)
        else:
            found[1].record = HealthRecord(state.checked)

    # -- what traffic tells ------------------------------------------------------------------------------------------

    def probe_now(self, state: ServerState) -> bool:
        """Probe a server soon, and then in quick succession: traffic has cast doubt on it. Say whether it has a check."""
        found = self._targets.of(state)
        if found is None:
            return False
        target, member = found
        target.fast_left = max(target.fast_left, member.check.fall)
        if not target.is_wanted and not target.is_running:
            target.is_wanted = True
            target.wake.fire()
        return True

    def found_down(self, state: ServerState, reason: str) -> bool:
        """Take a server out because of what traffic found; `rise` successful probes bring it back.

        Say whether it was done: not in MAINT, nor without a check that could bring it back.
        """
        found = self._targets.of(state)
        if found is None or state.admin is AdminState.MAINT:
            return False
        _, member = found
        if state.checked is not HealthState.DOWN:
            member.record = policy.found_down()
            self._states.set_health(state, HealthState.DOWN, reason)
        return True

    # -- the loops ---------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Probe every server that has a check, until cancelled."""
        async with anyio.create_task_group() as self._tasks:
            for target in self._targets:
                self._tasks.start_soon(self._watch_target, target)
            await anyio.sleep_forever()  # servers may come

    def watch(self, state: ServerState) -> None:
        """Begin to probe a server that has come."""
        target = self._targets.add(state)
        if target is not None and self._tasks is not None:
            self._tasks.start_soon(self._watch_target, target)

    def forget(self, state: ServerState) -> None:
        """Probe a server no more that has gone."""
        self._targets.remove(state)

    async def _watch_target(self, target: Target) -> None:
        with target.scope:
            await self._watch(target)

    async def _watch(self, target: Target) -> None:
        interval_s = min(member.check.interval_s for member in target.members)
        is_known = target.probes > 0
        delay_s = self._delay_s(target) if is_known else policy.first_probe_delay_s(self._random, interval_s)
        while True:
            await self._pause(target, delay_s)
            target.last_start_s = anyio.current_time()
            try:
                await self._probe_once(target)
            except Exception:  # noqa: BLE001 - a probe loop
                self.faults += 1
                _log.exception("the health check of %s failed in lbapp itself", target.asked.server.id)
            target.probes += 1
            delay_s = self._delay_s(target)

    def _delay_s(self, target: Target) -> float:
        """Return the time to the next probe, which is counted from the start of the last one."""
        every = (
            policy.next_probe_delay_s(
                self._random,
                policy.interval_s(member.record, member.check, target.fast_left),
                member.check.jitter_percent,
                is_second=target.probes == 1,
            )
            for member in target.members
            if member.is_probed
        )
        target.fast_left = max(0, target.fast_left - 1)
        return target.last_start_s + min(every, default=0.0) - anyio.current_time()

    async def _pause(self, target: Target, delay_s: float) -> None:
        """Return when the next probe is due, asked for, or possible again."""
        with anyio.move_on_after(max(0.0, delay_s)):
            await target.wake.wait()
        if target.is_wanted:
            target.is_wanted = False
            await anyio.sleep_until(policy.soonest_s(target.last_start_s, target.members[0].check))
        while not target.is_probed:
            for member in target.members:
                member.record = HealthRecord()
            await target.wake.wait()

    async def _probe_once(self, target: Target) -> None:
        async with self._probing:
            target.is_running = True
            try:
                state = target.asked
                pool, server = state.pool, state.server
                addresses = self._resolver.addresses.get(state.row, ())
                tls = self._spoken_with.of(pool, server)
                result = await probe(pool.health_check, addresses, server.authority, pool.transport, tls)
            finally:
                target.is_running = False
        for member in target.members:
            self._take(member, result)

    def _take(self, member: Member, result: ProbeResult) -> None:
        state, check = member.state, member.check
        if not member.is_probed:
            member.record = HealthRecord()
            return
        record = member.record
        if record.state is not state.checked:  # a maintenance came and went in the meantime
            record = HealthRecord()
        read = policy.as_the_check_reads_it(result, check)
        member.record, _ = policy.observe(record, read, check)
        state.probe = {
            "at": time.time(),
            "is_success": read.is_success,
            "reason": read.reason,
            "layer": read.layer,
            "duration_s": read.duration_s,
            "streak": member.record.streak,
            "excerpt": read.excerpt,
        }
        self._states.set_health(state, member.record.state, read.reason, policy.detail(read))
        self._states.set_not_found(state, is_not_found=policy.asks_for_no_new_clients(result, check))
