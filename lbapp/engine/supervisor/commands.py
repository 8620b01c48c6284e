"""What an operator may change, checked and carried out.

Responsible for every rule about the body of a change, for the order of its effects, and for the answer. Knows
nothing of HTTP: it takes a decoded JSON value and raises RequestRefused. Invariants: a change is checked
whole before any part of it takes effect; every effect is an event with the actor, before and after.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from lbapp.config.edit import add_server, remove_server
from lbapp.control.changes import NodeChange, PoolChange, ServerChange, ServersChange, Undone
from lbapp.control.messages import Actor, Event
from lbapp.engine.policy.intent import NothingToUndo, redone, reversal, to_undo
from lbapp.engine.supervisor.bodies import (
    Wish,
    force_of,
    invalid,
    near,
    object_of,
    seconds_of,
    servers_of,
    shown_json,
    why_of,
    wish_of,
)
from lbapp.engine.supervisor.drains import Drains
from lbapp.engine.supervisor.events import ENGINE, Events
from lbapp.engine.supervisor.guard import Becoming, Guard, becoming
from lbapp.engine.supervisor.intents import DRAIN, READY, Intents, Why, change_done, ramp_of
from lbapp.engine.supervisor.life import Life
from lbapp.engine.supervisor.node_drain import NODE
from lbapp.engine.supervisor.ramps import Together
from lbapp.engine.supervisor.reading import StatusReader
from lbapp.engine.supervisor.running import Running
from lbapp.engine.supervisor.server_state import HARD_DRAIN, ServerState, admin_of
from lbapp.engine.supervisor.state import ServerStates
from lbapp.model.entities import Pool
from lbapp.model.errors import RequestRefused
from lbapp.model.journal import Action, Change, Setting
from lbapp.model.limits import NODE_DRAIN_TIMEOUT_S
from lbapp.model.states import AdminState

_WHY_FIELDS: Final = ("reason", "group", "unrecorded")
_SERVER_FIELDS: Final = (
    "state", "weight", "weight_add", "weight_percent", "hard", "over_s", "abort_if_errors_percent", "drain_timeout_s", "force",
)  # fmt: skip
_PATCH_FIELDS: Final = (*_SERVER_FIELDS, "expect_revision", *_WHY_FIELDS)
_SERVERS_FIELDS: Final = ("servers", *_SERVER_FIELDS, "expect_revision", "dry_run", "reason", "unrecorded")


class Commands:
    """The changes that the control API offers."""

    def __init__(
        self, running: Running, states: ServerStates, drains: Drains, reader: StatusReader, intents: Intents
    ) -> None:
        self._running = running
        self._intents = intents
        self._guard = Guard(states, reader)
        self._states = states
        self._drains = drains
        self._reader = reader
        drains.ramps.put_back = self._put_back

    def find_pool(self, name: str) -> Pool:
        """Return a pool. Raises RequestRefused 404 unknown_pool."""
        names = [pool.name for pool in self._running.configuration.pools]
        if name not in names:
            raise RequestRefused("unknown_pool", f"there is no pool {name}", near(name, names), 404)
        return self._running.configuration.pool(name)

    def find_server(self, pool_name: str, name: str) -> ServerState:
        """Return a server's state. Raises RequestRefused 404 unknown_pool or unknown_server."""
        pool = self.find_pool(pool_name)
        names = [state.server.name for state in self._states.members(pool)]
        if name not in names:
            message = f"pool {pool_name} has no server {name}"
            raise RequestRefused("unknown_server", message, near(name, names), 404)
        return self._states.by_id[f"{pool_name}/{name}"]

    def find_servers(self, names: Sequence[str]) -> list[ServerState]:
        """Return the states of servers, each once. Raises RequestRefused 404 unknown_pool or unknown_server."""
        return [
            self.find_server(*name.split("/", 1)) if "/" in name else _no_server(name) for name in dict.fromkeys(names)
        ]

    async def change_server(self, state: ServerState, body: object, actor: Actor) -> ServerChange:
        """Carry out a ServerPatch.

        Raises RequestRefused 409 changed, leaves_nobody, 422 invalid_body, invalid_state, invalid_weight, 503 not_recorded.
        """
        patch = object_of(body, _PATCH_FIELDS)
        wish = wish_of(patch)
        expected = patch.get("expect_revision")
        async with self._intents.one_at_a_time():
            self._check_revision(state, expected)
            (change,) = await self._change([state], wish, actor)
        return change

    async def change_servers(self, body: object, actor: Actor) -> ServersChange:
        """Carry out a ServersPatch, for all servers or none. Raises as change_server does, and 404 unknown_server."""
        patch = object_of(body, _SERVERS_FIELDS)
        wish, is_dry = wish_of(patch), patch.get("dry_run", False)
        names = servers_of(patch)
        if not isinstance(is_dry, bool):
            raise invalid("body", f"dry_run is {shown_json(is_dry)}", "Use true or false")
        if is_dry:
            states = self.find_servers(names)
            planned = [Becoming(state, wish.admin, wish.at(state).weight) for state in states]
            return {"plan": await self._guard.plan(planned), "changes": []}
        async with self._intents.one_at_a_time():
            states = self.find_servers(names)
            for state in states:
                self._check_revision(state, patch.get("expect_revision"))
            return {"plan": [], "changes": await self._change(states, wish, actor)}

    async def _change(self, states: Sequence[ServerState], wish: Wish, actor: Actor) -> list[ServerChange]:
        """Check a change of servers, record it as one action, then make it. Call it with other changes kept waiting."""
        wishes = [wish.at(state) for state in states]
        if not wish.is_forced:
            self._guard.check(
                [Becoming(state, wish.admin, each.weight) for state, each in zip(states, wishes, strict=True)]
            )
        if wish.timeout_s is not None and any(
            (state.admin if wish.admin is None else wish.admin) is not AdminState.DRAIN for state in states
        ):
            raise invalid("body", "drain_timeout_s has a meaning with state drain only", 'Add "state": "drain"')
        before = [_admin_and_weight(state) for state in states]
        changes = [change for state, each in zip(states, wishes, strict=True) for change in self._changes(state, each)]
        action = await self._intents.record(changes, actor, wish.why) if changes else None
        gone = [state.server.id for state in states if state is not self._states.by_id.get(state.server.id)]
        if gone:
            raise RequestRefused(
                "unknown_server", f"{', '.join(gone)} is gone just now", "It is not found any more", 404
            )
        events = [self._make(state, was, each, actor) for state, was, each in zip(states, before, wishes, strict=True)]
        if action is not None:
            self._begin_ramps(action, actor, wish.why.reason)
        return [
            {"server": status, "before": was, "after": _admin_and_weight(state), "event_seqs": seqs}
            for state, status, was, seqs in zip(states, self._reader.servers(states), before, events, strict=True)
        ]

    def _changes(self, state: ServerState, wish: Wish) -> list[Change]:
        """Return what is about to be other than it was: a drain that gets another timeout is one, too."""
        changes, name = [], state.server.id
        if wish.weight is not None and (wish.weight != state.intended_weight or state.ramp is not None):
            until = time.time() + wish.over_s if wish.over_s else None
            change = Change(name, Setting.WEIGHT, state.intended_weight, wish.weight, state.server.weight, until)
            change = replace(change, abort_percent=wish.abort_percent, ramp_left=self._drains.ramps.left(state))
            changes.append(change if until is None else replace(change, start=state.weight))
        admin, is_hard = wish.admin_of(state)
        is_draining = admin is AdminState.DRAIN
        after = HARD_DRAIN if is_hard else admin.name.lower()
        if after != state.word or (is_draining and wish.timeout_s is not None):
            seconds = state.pool.drain_timeout_s if wish.timeout_s is None else wish.timeout_s
            until = time.time() + seconds if is_draining else None
            changes.append(Change(name, Setting.STATE, state.word, after, READY, until))
        return changes

    def _make(self, state: ServerState, before: dict[str, str | int], wish: Wish, actor: Actor) -> list[int]:
        events = self._apply(state, wish, actor)
        if state.admin is not AdminState.DRAIN:
            self._drains.cancel(state)
        elif "drain" not in str(before["state"]) or wish.timeout_s is not None:
            self._drains.begin(state, wish.timeout_s)
        return [event["seq"] for event in events]

    def _begin_ramps(self, action: Action, actor: Actor, reason: str) -> None:
        ramps = [
            (self._states.by_id[change.on], ramp_of(change, action.at))
            for change in action.changes
            if change.setting is Setting.WEIGHT and change.until is not None
        ]
        if ramps:
            self._drains.ramps.begin(action.number, ramps, actor, reason)

    async def _put_back(self, group: Together, why: str) -> None:
        """Have servers have the weights again that they had before a ramp that is aborted: this takes its action back."""
        async with self._intents.one_at_a_time():
            changes = [
                Change(state.server.id, Setting.WEIGHT, state.intended_weight, state.ramp.before, state.server.weight)
                for state in group.states
                if state.ramp is not None
            ]
            undoes = [
                action.number
                for action in self._intents.actions
                if action.number == group.action and all(each.setting is Setting.WEIGHT for each in action.changes)
            ]
            if changes:
                why_recorded = Why(f"ramp aborted: {why}", is_unrecorded=True)
                await self._intents.record(changes, ENGINE, why_recorded, undoes=tuple(undoes))
                self._drains.ramps.aborted(group, why)

    async def change_pool(self, pool: Pool, body: object, actor: Actor) -> PoolChange:
        """Carry out a PoolPatch. Raises RequestRefused 422 invalid_body, 503 not_recorded."""
        patch = object_of(body, ("published", *_WHY_FIELDS))
        if "published" not in patch:
            raise invalid("body", "the change is empty", 'Send {"published": false}')
        is_published, why = patch["published"], why_of(patch)
        if not isinstance(is_published, bool):
            raise invalid("body", f"published is {shown_json(is_published)}", "Use true or false")
        async with self._intents.one_at_a_time():
            before = self._reader.is_published(pool)
            if before is not is_published:
                change = Change(pool.name, Setting.PUBLISHED, before, is_published, True)
                await self._intents.record([change], actor, why)
            event = self._states.set_published(
                pool, self._running.rows.pools[pool.name], is_published, actor, reason=why.reason
            )
        return {
            "pool": self._reader.pool(pool),
            "before": {"published": before},
            "after": {"published": is_published},
            "event_seqs": [] if event is None else [event["seq"]],
        }

    async def change_node(self, body: object, actor: Actor) -> NodeChange:
        """Carry out a NodePatch. Raises RequestRefused 422 invalid_body, 503 not_recorded."""
        patch = object_of(body, ("state", "drain_timeout_s", "reason", "unrecorded"))
        word, why, node = patch.get("state"), why_of(patch), self._drains.node
        if word not in (READY, DRAIN):
            raise invalid("body", f"state is {shown_json(word)}", f"Use {READY} or {DRAIN}")
        seconds = seconds_of(patch.get("drain_timeout_s", NODE_DRAIN_TIMEOUT_S), "drain_timeout_s")
        async with self._intents.one_at_a_time():
            before = DRAIN if node.is_on else READY
            if word != before or (word == DRAIN and "drain_timeout_s" in patch):
                until = time.time() + seconds if word == DRAIN else None
                await self._intents.record([Change(NODE, Setting.STATE, before, word, READY, until)], actor, why)
                self._drain_node(word, seconds, actor, why.reason)
        return {"before": before, "after": word, "drain": node.status()}

    def _drain_node(self, word: str, seconds: float, actor: Actor, reason: str) -> None:
        told = f": {reason}" if reason else ""
        if word == DRAIN:
            self._drains.node.begin(seconds)
            message = f"clients are asked to leave, and closed by force after {seconds:g} s{told}"
        else:
            self._drains.node.cancel()
            message = f"no client is asked to leave any more{told}"
        self._states.changed.fire()
        self._states.tell_of_node(message, actor)

    def addition(self, pool_name: str, fields: dict[str, str | int | bool]) -> Callable[[str], str]:
        """Return what adds a server to the text of a configuration. Raises RequestRefused 404 unknown_pool, 409."""
        pool = self.find_pool(pool_name)
        self._check_listed(pool)
        if fields["name"] in [state.server.name for state in self._states.members(pool)]:
            message = f"pool {pool_name} has a server {fields['name']} already"
            raise RequestRefused("exists", message, "Its weight: lbapp weight. Another address: remove it first", 409)
        return lambda text: add_server(text, pool_name, fields)

    def removal(self, pool_name: str, name: str, *, is_forced: bool) -> Callable[[str], str]:
        """Return what takes a server out of the text.

        Raises RequestRefused 404 unknown_pool, unknown_server, 409 discovered, last_server, and as the guard does.
        """
        state = self.find_server(pool_name, name)
        pool = state.pool
        self._check_listed(pool)
        if len(self._states.members(pool)) == 1:
            message = f"{state.server.id} is the only server of its pool"
            raise RequestRefused("last_server", message, "Take the pool out of the file instead, and reload", 409)
        if not is_forced:
            self._guard.check([Becoming(state, AdminState.MAINT, None)])
        return lambda text: remove_server(text, pool.name, state.server.name)

    @staticmethod
    def _check_listed(pool: Pool) -> None:
        if pool.discover is not None:
            message = f"the servers of pool {pool.name} are those that {pool.discover.name} stands for"
            raise RequestRefused("discovered", message, "Change them in DNS", 409)

    async def undo(self, body: object, actor: Actor) -> Undone:
        """Take back the last action, or the one that is named, with all of its group: one plan for the guard.

        Raises RequestRefused 409 nothing_to_undo, and as the guard does, 422 invalid_body, 503 not_recorded.
        """
        request = object_of({} if body is None else body, ("action", "reason", "unrecorded", "force"))
        number = request.get("action")
        if number is not None and (not isinstance(number, int) or isinstance(number, bool)):
            raise invalid("body", f"action is {shown_json(number)}", "Use the number of an action")
        why, is_forced = why_of(request), force_of(request)
        async with self._intents.one_at_a_time():
            try:
                actions = to_undo(self._intents.actions, number)
                changes = reversal(actions, self._intents.now(), time.time())
            except NothingToUndo as error:
                raise RequestRefused("nothing_to_undo", str(error), "See: lbapp changes", 409) from error
            if not is_forced:
                self._guard.check(becoming(changes, self._states.by_id))
            changes = [self._from_here(change) for change in changes]
            action = await self._intents.record(changes, actor, why, undoes=tuple(each.number for each in actions))
            made_again = redone(self._intents.actions).get(action.number, ())
            word, numbers = ("redo", made_again) if made_again else ("undo", action.undoes)
            reason = why.reason or f"{word} of {' and '.join(map(str, numbers))}"
            for change in changes:
                self._take_back(change, actor, reason)
            self._begin_ramps(action, actor, reason)
        return {
            "actions": [action.number for action in actions],
            "redone": list(made_again),
            "changes": [change_done(each) for each in changes],
        }

    def _from_here(self, change: Change) -> Change:
        """Have a weight that is to go on its way do so from what it is now, and know how far it was on one that ends."""
        if change.setting is not Setting.WEIGHT:
            return change
        state = self._states.by_id[change.on]
        start = None if change.until is None else state.weight
        return replace(change, start=start, ramp_left=self._drains.ramps.left(state))

    def _take_back(self, change: Change, actor: Actor, reason: str) -> None:
        if change.setting is Setting.PUBLISHED:
            pool = self.find_pool(change.on)
            row = self._running.rows.pools[pool.name]
            self._states.set_published(pool, row, bool(change.after), actor, reason=reason)
            return
        if change.on == NODE:
            self._drain_node(str(change.after), NODE_DRAIN_TIMEOUT_S, actor, reason)
            return
        state = self._states.by_id[change.on]
        if change.setting is Setting.WEIGHT:
            self._drains.ramps.cancel(state, actor, reason)
            if change.until is None:
                self._states.set_weight(state, int(change.after), actor, reason=reason)
            return
        admin, is_hard = admin_of(str(change.after))
        self._states.set_admin(state, admin, actor, reason=reason, is_hard=is_hard)
        if state.admin is AdminState.DRAIN:
            self._drains.begin(state, None)
        else:
            self._drains.cancel(state)

    def _apply(self, state: ServerState, wish: Wish, actor: Actor) -> list[Event]:
        reason = wish.why.reason
        admin, is_hard = wish.admin_of(state)
        if wish.weight is not None:
            self._drains.ramps.cancel(state, actor, reason)
        is_at_once = wish.weight is not None and not wish.over_s
        made = [
            self._states.set_weight(state, wish.weight or 0, actor, reason=reason) if is_at_once else None,
            self._states.set_admin(state, admin, actor, reason=reason, is_hard=is_hard),
        ]
        return [event for event in made if event is not None]

    @staticmethod
    def _check_revision(state: ServerState, expected: object) -> None:
        if expected is None:
            return
        if not isinstance(expected, int) or isinstance(expected, bool):
            raise invalid("body", "expect_revision must be a whole number", "Use the revision of a status")
        if state.revision > expected:
            message = f"{state.server.id} changed in revision {state.revision}, after revision {expected}"
            raise RequestRefused("changed", message, "Look at it again, then repeat", 409)


def ask_stop(life: Life, events: Events, body: object, actor: Actor) -> None:
    """Carry out a StopRequest. Raises RequestRefused 422 invalid_body."""
    request = object_of({} if body is None else body, ("timeout_s",))
    timeout_s = seconds_of(request["timeout_s"], "timeout_s") if "timeout_s" in request else None
    if not life.is_stopping:
        events.add("stop_asked", "node", "the engine was told to stop", actor=actor)
    life.stop(timeout_s)


def _admin_and_weight(state: ServerState) -> dict[str, str | int]:
    goal = {} if state.ramp is None else {"weight_goal": state.ramp.after}
    return {"state": state.word, "weight": state.weight, **goal}


def _no_server(name: str) -> ServerState:
    raise RequestRefused("unknown_server", f"{shown_json(name)} names no server", "Servers are named POOL/SERVER", 404)
