"""Operators' changes that outlive the engine: recorded before they are made, made again at the next start.

Responsible for the journal's place in the engine: one change at a time, on disk before it takes effect; what still holds when
the engine starts; where file and intention differ; what an undo does. Knows nothing of how a change reaches workers
(`commands`) or of how a line is written (`journal`).

Invariants: no change is acknowledged that is not on disk, unless its operator said so; what cannot be made again is an event,
never a reason not to start.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import anyio.to_thread

from lbapp.control.changes import ActionDone, ActionsDone, ChangeDone, Difference
from lbapp.control.messages import Actor
from lbapp.engine.policy.fleet_intent import Batch
from lbapp.engine.policy.intent import Intent, last_wishes, redone, replay, undone_by
from lbapp.engine.policy.ramp import Ramp
from lbapp.engine.supervisor.drains import Drains
from lbapp.engine.supervisor.events import Events
from lbapp.engine.supervisor.journal import Journal, JournalFailed, next_number
from lbapp.engine.supervisor.node_drain import NODE
from lbapp.engine.supervisor.running import Running
from lbapp.engine.supervisor.server_state import ServerState, admin_of
from lbapp.engine.supervisor.state import ServerStates
from lbapp.model.errors import RequestRefused
from lbapp.model.journal import Action, Change, Setting, Value, shown
from lbapp.model.limits import NODE_DRAIN_TIMEOUT_S
from lbapp.model.states import AdminState

Key = tuple[str, Setting]
READY: Final = AdminState.READY.name.lower()
DRAIN: Final = AdminState.DRAIN.name.lower()


@dataclass(frozen=True, slots=True)
class Why:
    """What an operator says with a change. `group`: of changes that are one to them. `is_unrecorded`: make it in any case."""

    reason: str = ""
    group: str = ""
    is_unrecorded: bool = False


class Intents:
    """The journal of one engine and what it means to it."""

    def __init__(
        self,
        running: Running,
        states: ServerStates,
        drains: Drains,
        events: Events,
        journal: Journal,
    ) -> None:
        self._running = running
        self._states = states
        self._drains = drains
        self._ramps = drains.ramps
        self._events = events
        self._journal = journal
        self.is_over = False  # another generation has taken its place
        # Of the fleet's store, while the node is in sync with it, with the name of its data.
        self.store_revision: Callable[[], tuple[str, int]] = lambda: ("", 0)
        self._waiting: dict[str, list[Intent]] = {}  # for servers that may be found yet, by id

    @property
    def actions(self) -> Sequence[Action]:
        """Every action that the journal knows, the latest last."""
        return self._journal.actions

    # -- recording ---------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def one_at_a_time(self) -> AsyncIterator[None]:
        """Keep other changes waiting. Raises RequestRefused 409 reloaded, if a reload was what it had to wait for."""
        async with self._journal.changing:
            if self.is_over:
                message = "another configuration was applied just now; nothing was changed"
                raise RequestRefused("reloaded", message, "Look at it again, then repeat", 409)
            yield

    async def record(self, changes: Sequence[Change], actor: Actor, why: Why, undoes: tuple[int, ...] = ()) -> Action:
        """Write an action down. Raises RequestRefused 503 not_recorded. Call it with other changes kept waiting."""
        store, seen = self.store_revision()
        action = Action(
            next_number(self.actions), time.time(), actor["user"], actor["uid"], actor["pid"], why.reason, why.group,
            tuple(changes), undoes, seen=seen, store=store,
        )  # fmt: skip
        return await self._write_down(action, actor, is_unrecorded=why.is_unrecorded)

    async def record_of_fleet(self, batch: Batch, changes: Sequence[Change], actor: Actor, at: float) -> Action:
        """Write down what the fleet has asked for, as far as that can be. Call it with other changes kept waiting."""
        first = batch.intents[0]
        passed_over = tuple((each.intent.on, each.intent.setting) for each in batch.passed_over)
        action = Action(
            next_number(self.actions), at, actor["user"], None, None, first.reason, "", tuple(changes), batch.undoes,
            fleet=batch.revision, passed_over=passed_over, store=batch.store,
        )  # fmt: skip
        return await self._write_down(action, actor, is_unrecorded=True)

    async def _write_down(self, action: Action, actor: Actor, *, is_unrecorded: bool) -> Action:
        try:
            await anyio.to_thread.run_sync(self._journal.append, action)
        except JournalFailed as error:
            if not is_unrecorded:
                hint = "Make it writable, or repeat with --unrecorded: the change is gone then when the engine ends"
                raise RequestRefused("not_recorded", f"{error}; nothing was changed", hint, 503) from error
            self._events.add("change_not_recorded", "node", f"{error}; a change was made all the same", actor=actor)
        return action

    # -- at the start ------------------------------------------------------------------------------------------------

    def restore(self) -> None:
        """Make again what still holds, and say what does not. The journal has been opened."""
        for problem in self._journal.problems:
            self._events.add(
                "journal_damaged" if self._journal.failure == "" else "journal_unavailable", "node", problem
            )
        in_file = self.in_file()
        found = replay(self.actions, in_file, time.time())
        self._make(found.intents)
        for intent in found.overruled:
            change = intent.change
            message = (
                f"{change.on} has {change.setting.value} {shown(in_file[change.key])}: the file was changed after {_who(intent)} "
                f"made it {shown(change.after)}"
            )
            self._events.add("change_overruled", change.on, message)
        self.wait_for(found.missing)

    @property
    def discovered(self) -> set[str]:
        """The pools whose servers come and go."""
        return {pool.name for pool in self._running.configuration.pools if pool.discover is not None}

    def wait_for(self, missing: Sequence[Intent]) -> None:
        """Keep what is about servers that may be found yet."""
        discovered = self.discovered
        for intent in missing:
            if intent.change.on.partition("/")[0] in discovered:
                self._waiting.setdefault(intent.change.on, []).append(intent)

    def overruled_by(self, after: Intents) -> list[Change]:
        """Return what a generation that is about to take over has otherwise than operators made it, as its file is another.

        A server that is gone takes the changes that were made to it along.
        """
        before, now, file = self.in_file(), self.now(), after.in_file()
        changes = []
        for (on, setting), value in now.items():
            wanted = file.get((on, setting), before[on, setting])
            is_changed = value != before[on, setting]
            if is_changed and wanted != value and ((on, setting) not in file or wanted != before[on, setting]):
                changes.append(Change(on, setting, value, wanted, wanted))
        return changes

    async def overrule(self, changes: Sequence[Change], actor: Actor, reason: str) -> None:
        """Write down what `overruled_by` has returned, so that it holds, and say it."""
        if changes:
            await self.record(changes, actor, Why(reason, is_unrecorded=True))
        self.wait_for(replay(self.actions, self.in_file(), time.time()).missing)
        present = self.in_file()
        for change in changes:
            if change.key in present:
                message = (
                    f"{change.on} has {change.setting.value} {shown(change.after)}: the file was changed after it was "
                    f"made {shown(change.before)}"
                )
                self._events.add(
                    "change_overruled", change.on, message, change=(_plain(change.before), _plain(change.after))
                )

    def found(self, state: ServerState) -> None:
        """Make again what was changed of a server that has been found just now."""
        intents = self._waiting.pop(state.server.id, [])
        self._make([each for each in intents if each.change.in_file == self._file_value(state, each.change.setting)])

    def _make(self, intents: Sequence[Intent]) -> None:
        """Make changes again; weights that one action has set on their way are one thing again."""
        together: dict[int, list[tuple[ServerState, Ramp]]] = {}
        now_s = time.time()
        for intent in intents:
            change = intent.change
            if change.is_under_way(now_s):
                state, ramp = self._states.by_id[change.on], ramp_of(change, intent.action.at)
                self._states.set_weight(state, ramp.weight(time.monotonic()), None, is_step=True)
                together.setdefault(intent.action.number, []).append((state, ramp))
                message = f"{change.on} goes on to weight {shown(change.after)}, as {_who(intent)} asked for"
            else:
                self._make_one(intent)
                message = (
                    f"{change.on} has {change.setting.value} {shown(change.after)} again, as {_who(intent)} made it"
                )
                if change.then_stop:  # which is over where the engine before has ended by it, or as it was told
                    word = "stops" if self._drains.node.then_stop else "does not stop"
                    message += f"; this engine {word} when it has drained"
            self._events.add("change_restored", change.on, message)
        for number, ramps in together.items():
            self._ramps.begin(number, ramps, None, "")

    def _make_one(self, intent: Intent) -> None:
        change = intent.change
        seconds = None if change.until is None else left_s(change.until, intent.action.at)
        if change.on == NODE and change.setting is Setting.STATE:
            self._drains.node.restore(NODE_DRAIN_TIMEOUT_S if seconds is None else seconds, intent.action.at)
        elif change.setting is Setting.PUBLISHED:
            pool = self._running.configuration.pool(change.on)
            self._states.set_published(pool, self._running.rows.pools[pool.name], bool(change.after), None)
        elif change.setting is Setting.WEIGHT:
            self._states.set_weight(self._states.by_id[change.on], int(change.after), None)
        else:
            state = self._states.by_id[change.on]
            admin, is_hard = admin_of(str(change.after))
            self._states.set_admin(state, admin, None, is_hard=is_hard)
            if state.admin is AdminState.DRAIN:
                self._drains.begin(state, seconds)

    # -- what there is -----------------------------------------------------------------------------------------------

    def in_file(self) -> dict[Key, Value]:
        """Return every setting that there is, with what the file says of it."""
        found: dict[Key, Value] = {}
        for state in self._states.by_id.values():
            for setting in (Setting.STATE, Setting.WEIGHT):
                found[state.server.id, setting] = self._file_value(state, setting)
        for pool in self._running.configuration.pools:
            found[pool.name, Setting.PUBLISHED] = True
        found[NODE, Setting.STATE] = READY
        return found

    def now(self) -> dict[Key, Value]:
        """Return every setting as it is now."""
        found: dict[Key, Value] = {}
        for state in self._states.by_id.values():
            found[state.server.id, Setting.STATE] = state.word
            found[state.server.id, Setting.WEIGHT] = state.intended_weight
        found[NODE, Setting.STATE] = DRAIN if self._drains.node.is_on else READY
        segment, rows = self._running.segment, self._running.rows.pools
        for pool in self._running.configuration.pools:
            found[pool.name, Setting.PUBLISHED] = not segment.cells[segment.layout.pool_withheld(rows[pool.name])]
        return found

    def actions_done(self, limit: int, before: int | None = None) -> ActionsDone:
        """Return the last actions as the control API shows them; `before`: of those with a smaller number."""
        undone, redos = undone_by(self.actions), redone(self.actions)
        every = [action for action in self.actions if action.changes and (before is None or action.number < before)]
        shown_ones = every[-limit:] if limit else []
        return {
            "actions": [_action_done(action, undone, redos) for action in shown_ones],
            "unavailable": self._journal.failure,
        }

    def differences(self) -> list[Difference]:
        """Return where the engine is other than the file, and the action that made it so."""
        wishes, in_file = last_wishes(self.actions), self.in_file()
        undone, redos = undone_by(self.actions), redone(self.actions)
        found: list[Difference] = []
        for key, value in self.now().items():
            if value != in_file[key]:
                on, setting = key
                action = wishes[key].action if key in wishes else None
                done = None if action is None else _action_done(action, undone, redos)
                found.append(
                    {"on": on, "setting": setting.value, "in_file": in_file[key], "now": value, "action": done}
                )
        return found

    @staticmethod
    def _file_value(state: ServerState, setting: Setting) -> Value:
        return state.server.weight if setting is Setting.WEIGHT else READY


def left_s(until: float, at: float) -> float:
    """Return what is left of a time that was given at `at`; never more than was given, whatever became of the clock."""
    return max(0.0, min(until - time.time(), until - at))


def _who(intent: Intent) -> str:
    action = intent.action
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(action.at))
    why = f" ({action.reason})" if action.reason else ""
    return f"{action.user} on {when}{why}"


def change_done(change: Change) -> ChangeDone:
    """Return a change as the control API shows it."""
    return {"on": change.on, "setting": change.setting.value, "before": change.before, "after": change.after}


def _action_done(action: Action, undone: set[int], redos: Mapping[int, tuple[int, ...]]) -> ActionDone:
    return {
        "number": action.number,
        "at": action.at,
        "actor": {"uid": action.uid, "user": action.user, "pid": action.pid},
        "reason": action.reason,
        "group": action.group,
        "changes": [change_done(change) for change in action.changes],
        "undoes": list(action.undoes),
        "redoes": list(redos.get(action.number, ())),
        "is_undone": action.number in undone,
        "fleet": action.fleet,
    }


def _plain(value: Value) -> str | int:
    return shown(value) if isinstance(value, bool) else value


def ramp_of(change: Change, recorded_at: float) -> Ramp:
    """Return the ramp that a change of a weight is, on the monotonic clock. `recorded_at` in Unix seconds."""
    assert change.until is not None
    began_s = time.monotonic() - max(0.0, time.time() - recorded_at)
    start = int(change.before) if change.start is None else change.start
    return Ramp(start, int(change.after), began_s, round(change.until - recorded_at, 1), change.abort_percent)
