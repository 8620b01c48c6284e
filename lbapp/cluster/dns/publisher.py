"""`lbapp dns` at work: asks the engine, looks at the zone, writes what is missing, and tells the engine.

Responsible for when each of that is done, for what is said of it in the log, and for how long to wait after a failure. Knows
nothing of DNS messages or of what is to be written: zone.py and decide.py do.

Invariants: nothing is written before the zone was looked at and the engine's word, or silence, has been heard often enough; a
change of mind is acted on at once, and what fails is tried again after a pause that grows; a failure is said once; no loop waits
without having said for how long.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from random import Random
from typing import Final

import anyio

from lbapp.cluster.dns import asking, zone
from lbapp.cluster.dns.asking import AskedEngine
from lbapp.cluster.dns.decide import Decision, Seen, Wish, decide
from lbapp.cluster.dns.standing import Fellows, Standing
from lbapp.cluster.dns.telling import Story
from lbapp.cluster.dns.turning import Turns
from lbapp.cluster.dns.zone import Zone, ZoneChanged, ZoneFailed, ZoneRefused
from lbapp.model.dns import DnsSettings

_LOG: Final = logging.getLogger(__name__)
_RACES_MAX: Final = 12  # so often others may be faster, before it is tried again later
_WAVERING: Final = 3  # so many times as often the engine is asked while it says something else than before
_STOP_S: Final = 15.0  # to take the own records out at the end
_KEEPING: Final = "keeping the zone"
_LOOK_S: Final = (zone.LOOK_MESSAGES + 1) * zone.TIMEOUT_S  # and to write


@dataclass(frozen=True, slots=True)
class Pauses:
    """How long to wait, in seconds. `retry_s`: after a first failure, doubled each time up to `retry_most_s`.

    `refused_s`: where the server has refused. `confirm_s`: after a change, until it is looked at. `race_s`: about what to wait
    where others were faster.
    """

    retry_s: float = 1.0
    retry_most_s: float = 30.0
    refused_s: float = 60.0
    confirm_s: float = 1.0
    race_s: float = 0.02
    fleet_s: float = 1.0
    report_s: float = 2.0


class Publisher:
    """Keeps the records of one node. `stopping`: to be set when it is to end; `turns`: whether its loops still do."""

    def __init__(self, settings: DnsSettings, engine: AskedEngine, pauses: Pauses, random: Random) -> None:
        self._settings = settings
        self._engine = engine
        self._pauses = pauses
        self._random = random
        self._zone = Zone(settings)
        self._standing = Standing(settings.rise, settings.fall)
        self._fellows = Fellows(settings.node, settings.grace_s)
        self._story = Story(settings, self._zone.server)
        self._changed = anyio.Event()
        self._sets_ttl = True
        self._failures = 0
        self.stopping = anyio.Event()
        self.turns = Turns()

    async def run(self) -> bool:
        """Work until `stopping` is set, then take the own records out. Return whether the zone is as it should be then."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._ask_readiness)
            tasks.start_soon(self._ask_fleet)
            tasks.start_soon(self._keep)
            tasks.start_soon(self._report)
            await self.stopping.wait()
            tasks.cancel_scope.cancel()
        self.turns.expect_only("taking the own records out", _STOP_S + asking.TIMEOUT_S)
        is_done = await self._leave()
        await self._engine.tell(self._story.report(time.time()))
        return is_done

    async def _ask_readiness(self) -> None:
        while True:
            self.turns.expect("asking the engine whether it is ready", asking.TIMEOUT_S + self._settings.interval_s)
            answer = await self._engine.readiness()
            self._story.hear(answer)
            if self._standing.hear(answer.is_ready):
                _LOG.info("%s: %s", self._settings.node, self._story.standing(is_ready=answer.is_ready))
                self._wake()
            await anyio.sleep(self._settings.interval_s / (_WAVERING if self._standing.is_wavering else 1))

    async def _ask_fleet(self) -> None:
        while True:
            self.turns.expect("asking the engine for its fleet", asking.TIMEOUT_S + self._pauses.fleet_s)
            status, before = await self._engine.fleet(), self._fellows.dead
            self._story.note_wrong_node(self._fellows.hear(status, time.monotonic()))
            if self._fellows.dead - before:
                self._wake()
            await anyio.sleep(self._pauses.fleet_s)

    async def _keep(self) -> None:
        while self._standing.is_ready is None:
            await self._changed.wait()
        while True:
            self._changed = anyio.Event()
            wait_s, may_be_woken = await self._turn()
            self.turns.expect(_KEEPING, wait_s)
            with anyio.move_on_after(wait_s):
                if may_be_woken:
                    await self._changed.wait()
                else:
                    await anyio.sleep(wait_s)

    async def _turn(self) -> tuple[float, bool]:
        """Bring the zone up to date; return how long to wait for the next time, and whether a change may cut that short."""
        try:
            decision = await self._settle(is_in=bool(self._standing.is_ready))
        except ZoneFailed as error:
            self._failures += 1
            self._story.fail(str(error))
            if isinstance(error, ZoneRefused):
                return self._pauses.refused_s, False
            return min(self._pauses.retry_most_s, self._pauses.retry_s * 2 ** min(self._failures - 1, 10)), False
        self._failures = 0
        if decision.is_change:
            return self._pauses.confirm_s, True
        return self._settings.refresh_s, True

    async def _settle(self, *, is_in: bool) -> Decision:
        """Look, decide and write, until nobody else was faster; return what was decided. Raises ZoneFailed."""
        for race in range(_RACES_MAX):
            self.turns.expect(_KEEPING, _LOOK_S)
            seen = await self._zone.look()
            wish = self._wish(seen, is_in=is_in)
            decision = decide(self._settings, seen, wish, time.time())
            try:
                if decision.is_change:
                    await self._zone.write(seen, decision)
            except ZoneChanged:
                await anyio.sleep(self._random.random() * self._pauses.race_s * (race + 1))
                continue
            self._sets_ttl = self._sets_ttl and not is_in
            self._story.settle(seen, decision, is_in=is_in, now_s=time.time())
            return decision
        raise ZoneFailed(f"others have changed {self._settings.name} {_RACES_MAX} times while it was looked at")

    def _wish(self, seen: Seen, *, is_in: bool) -> Wish:
        fellows = self._fellows
        fellows.noted = frozenset(
            note.node
            for note in seen.notes.values()
            if note.left_s is None and note.fleet and note.fleet == fellows.fleet
        )
        return Wish(is_in, self._sets_ttl, fellows.dead & fellows.noted, fellows.fleet, fellows.is_member)

    async def _leave(self) -> bool:
        """Take the own records out, as far as the floor lets them go. Return whether the zone was reached."""
        deadline = time.monotonic() + _STOP_S
        self._story.stop()
        while (left_s := deadline - time.monotonic()) > 0:
            with anyio.move_on_after(left_s):
                try:
                    await self._settle(is_in=False)
                except ZoneFailed as error:
                    self._story.fail(str(error))
                    if isinstance(error, ZoneRefused):
                        return False
                    await anyio.sleep(self._pauses.retry_s)
                else:
                    return True
        _LOG.error("%s: gave up taking this node's records out after %g s", self._settings.name, _STOP_S)
        return False

    async def _report(self) -> None:
        while True:
            self.turns.expect("telling the engine", self._pauses.report_s + asking.TIMEOUT_S)
            with anyio.move_on_after(self._pauses.report_s):
                await self._story.changed.wait()
            self._story.changed = anyio.Event()
            await self._engine.tell(self._story.report(time.time()))

    def _wake(self) -> None:
        self._changed.set()
