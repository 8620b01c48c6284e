"""Health checks: one task per target that probes it for as long as the engine runs.

Responsible for when each target is probed, and for carrying what the probes add up to into the states of its servers. Knows
nothing of how a probe is made or of thresholds (policy.health). Invariants: a target has at most one probe under way, and
one that traffic asked for starts no sooner than a quarter of a fast interval after the last; one that an operator asked for is
made at once, beside the schedule; a target all of whose servers are in MAINT is not probed, and is probed at once when one leaves
it; a result that arrives after a server went into MAINT is dropped for that server; no error in one loop ends it or another.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from random import Random
from typing import Any

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from lbapp.control.messages import ProbeStatus
from lbapp.engine.policy import health as policy
from lbapp.engine.policy.health import HealthRecord, ProbeResult
from lbapp.engine.supervisor.probe_tls import SpokenWith, Tls, plain
from lbapp.engine.supervisor.probes import probe
from lbapp.engine.supervisor.resolve import Resolver
from lbapp.engine.supervisor.server_state import ServerState
from lbapp.engine.supervisor.state import ServerStates
from lbapp.engine.supervisor.targets import Extra, Member, Target, Targets
from lbapp.model.errors import RequestRefused
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
        self._is_over = False
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
        is_scheduled = target.is_running and target.extra is None
        if not target.is_wanted and not is_scheduled:
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

    # -- what operators ask for --------------------------------------------------------------------------------------

    async def check_now(self, state: ServerState) -> ProbeStatus:
        """Run a server's check at once, beside its schedule; what is found counts like any other result.

        Raises RequestRefused 409 no_check, in_maintenance, checking, reloaded, 500 internal.
        """
        found = self._targets.of(state)
        if found is None:
            hint = f"Give pool {state.pool.name} one: [pool.health_check]"
            raise RequestRefused("no_check", f"{state.server.id} has no health check", hint, 409)
        target, member = found
        if not member.is_probed:
            raise _in_maintenance(state)
        if self._is_over:
            raise _reloaded(state)
        if target.extra is not None:
            message = f"a check of {state.server.id} that somebody asked for is under way"
            raise RequestRefused("checking", message, "Repeat it when that one is over", 409)
        extra = target.extra = Extra(_reloaded(state))
        target.wake.fire()
        await extra.is_over.wait()
        if extra.refusal is not None:
            raise extra.refusal
        if state.probe is None:  # it went into maintenance meanwhile
            raise _in_maintenance(state)
        return state.probe

    # -- the loops ---------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Probe every server that has a check, until cancelled."""
        try:
            async with anyio.create_task_group() as self._tasks:
                for target in self._targets:
                    self._tasks.start_soon(self._watch_target, target)
                await anyio.sleep_forever()  # servers may come
        finally:
            self._is_over = True
            for target in self._targets:
                target.end_extra()

    def watch(self, state: ServerState) -> None:
        """Begin to probe a server that has come."""
        target = self._targets.add(state)
        if target is not None and self._tasks is not None:
            self._tasks.start_soon(self._watch_target, target)

    def forget(self, state: ServerState) -> None:
        """Probe a server no more that has gone."""
        self._targets.remove(state)

    async def _watch_target(self, target: Target) -> None:
        try:
            with target.scope:
                await self._watch(target)
        finally:
            target.end_extra()

    async def _watch(self, target: Target) -> None:
        await _end_if_gone()
        interval_s = min(member.check.interval_s for member in target.members)
        is_known = target.probes > 0
        first_s = anyio.current_time() + policy.first_probe_delay_s(self._random, interval_s)
        due_s = self._due_s(target) if is_known else first_s
        while True:
            await self._pause(target, due_s)
            await _end_if_gone()
            if target.extra is not None:
                await self._probe_beside(target, target.extra)
                due_s = min(due_s, self._soon_s(target))
                continue
            target.last_start_s = anyio.current_time()
            await self._probe_safely(target)
            target.probes += 1
            due_s = self._due_s(target)

    async def _probe_safely(self, target: Target) -> bool:
        """Probe; say whether it could be done."""
        name = target.asked.server.id
        try:
            await self._probe_once(target)
        except Exception:  # noqa: BLE001 - a probe loop
            self.faults += 1
            _log.exception("the health check of %s failed in lbapp itself", name)
            return False
        return True

    async def _probe_beside(self, target: Target, extra: Extra) -> None:
        """Make the probe that somebody waits for. The schedule does not know of it."""
        if not target.is_probed:
            extra.refusal = _in_maintenance(target.asked)
        elif await self._probe_safely(target):
            extra.refusal = None
        else:
            extra.refusal = RequestRefused("internal", "the check failed in lbapp itself", "See the engine's log", 500)
        target.end_extra()

    @staticmethod
    def _soon_s(target: Target) -> float:
        """Return when a target is due at the latest that traffic or a result has cast doubt on; never, where none has."""
        if target.is_wanted:
            return anyio.current_time()
        waits = [
            policy.interval_s(member.record, member.check)
            for member in target.members
            if member.is_probed and member.record.is_in_transition
        ]
        return anyio.current_time() + min(waits, default=float("inf"))

    def _due_s(self, target: Target) -> float:
        """Return when the next probe is due, which is counted from the start of the last one."""
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
        return target.last_start_s + min(every, default=0.0)

    async def _pause(self, target: Target, due_s: float) -> None:
        """Return when the next probe is due, asked for, or possible again."""
        with anyio.CancelScope(deadline=due_s):
            if target.extra is None:
                await target.wake.wait()
        await _end_if_gone()
        if target.extra is not None:
            return
        if target.is_wanted:
            if await _is_asked_before(target, policy.soonest_s(target.last_start_s, target.members[0].check)):
                return  # and what traffic wants is wanted still
            target.is_wanted = False
        while not target.is_probed:
            for member in target.members:
                member.record = HealthRecord()
            await target.wake.wait()

    async def _probe_once(self, target: Target) -> None:
        async with self._probing:
            await _end_if_gone()
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
        state.probes.add(state.probe)
        self._states.set_health(state, member.record.state, read.reason, policy.detail(read))
        self._states.set_not_found(state, is_not_found=policy.asks_for_no_new_clients(result, check))


async def _end_if_gone() -> None:
    """End the task of a target that has lost its last server.

    Its scope is cancelled then, but that ends no wait which is over by itself in the same turn of the event loop.
    """
    await anyio.lowlevel.checkpoint_if_cancelled()


async def _is_asked_before(target: Target, time_s: float) -> bool:
    """Wait until a time, or until an operator asks for a probe; say whether one does."""
    with anyio.CancelScope(deadline=time_s):
        while target.extra is None:
            await target.wake.wait()
    return target.extra is not None


def _in_maintenance(state: ServerState) -> RequestRefused:
    name = state.server.id
    hint = f"End that first: lbapp drain {name}, or lbapp ready {name}"
    return RequestRefused("in_maintenance", f"{name} is in maintenance: it is not checked", hint, 409)


def _reloaded(state: ServerState) -> RequestRefused:
    message = f"another configuration was applied just now; {state.server.id} was not checked"
    return RequestRefused("reloaded", message, "Repeat it", 409)
