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
from lbapp.control.changes import PoolChange, ServerChange, ServersChange, Undone
from lbapp.control.fleet import Applied
from lbapp.control.messages import Actor, Event
from lbapp.engine.policy.intent import NothingToUndo, redone, reversal, to_undo, with_times
from lbapp.engine.supervisor.bodies import (
    Wish,
    fleet_of,
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
from lbapp.engine.supervisor.fleet_changes import FleetChanges
from lbapp.engine.supervisor.guard import Becoming, Guard, becoming
from lbapp.engine.supervisor.intents import READY, Intents, Why, change_done
from lbapp.engine.supervisor.life import Life
from lbapp.engine.supervisor.making import Making
from lbapp.engine.supervisor.node_drain import NODE
from lbapp.engine.supervisor.ramps import Together
from lbapp.engine.supervisor.reading import StatusReader
from lbapp.engine.supervisor.running import Running
from lbapp.engine.supervisor.server_state import HARD_DRAIN, ServerState
from lbapp.engine.supervisor.state import ServerStates
from lbapp.model.entities import Pool
from lbapp.model.errors import RequestRefused
from lbapp.model.journal import Action, Change, Setting
from lbapp.model.states import AdminState

_WHY_FIELDS: Final = ("reason", "group", "unrecorded")
_SERVER_FIELDS: Final = (
    "state", "weight", "weight_add", "weight_percent", "hard", "over_s", "abort_if_errors_percent", "drain_timeout_s", "force",
    "fleet",
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
        self._making = Making(running, states, drains)
        self.fleet: FleetChanges | None = None
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

        Raises RequestRefused 409 changed, leaves_nobody, no_fleet, 422 invalid_body, invalid_state, invalid_weight, 503
        not_recorded, fleet_unreachable.
        """
        patch = object_of(body, _PATCH_FIELDS)
        (change,), applied = await self._change_all(lambda: [state], patch, actor)
        return change if applied is None else {**change, "fleet": applied}

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
        changes, applied = await self._change_all(lambda: self.find_servers(names), patch, actor)
        done: ServersChange = {"plan": [], "changes": changes}
        return done if applied is None else {**done, "fleet": applied}

    async def _change_all(
        self, find: Callable[[], Sequence[ServerState]], patch: dict[str, object], actor: Actor
    ) -> tuple[list[ServerChange], Applied | None]:
        """Change servers here, or on every node of the fleet: what is asked of those is checked here."""
        wish, is_of_fleet = wish_of(patch), fleet_of(patch)
        async with self._intents.one_at_a_time():
            states = find()
            for state in states:
                self._check_revision(state, patch.get("expect_revision"))
            wishes = self._checked(states, wish)
            before = [_admin_and_weight(state) for state in states]
            if not is_of_fleet:
                return await self._change(states, wishes, actor), None
            self._check_no_pool_is_named_as_nodes_are(states)
            changes = [
                each
                for state, wanted in zip(states, wishes, strict=True)
                for each in self._changes(state, wanted, is_whole=True)
            ]
        applied, events = await self._of_fleet().ask(changes, actor, wish.why, is_forced=wish.is_forced)
        return [
            {
                "server": status,
                "before": was,
                "after": _admin_and_weight(state),
                "event_seqs": [event["seq"] for event in events if event["subject"] == state.server.id],
            }
            for state, status, was in zip(states, self._reader.servers(states), before, strict=True)
        ], applied

    @staticmethod
    def _check_no_pool_is_named_as_nodes_are(states: Sequence[ServerState]) -> None:
        if any(state.pool.name == NODE for state in states):
            message = f"pool {NODE} has the name by which a fleet knows its nodes"
            raise RequestRefused("ambiguous", message, "Give the pool another name, or do it on each node", 409)

    def _of_fleet(self) -> FleetChanges:
        assert self.fleet is not None
        return self.fleet

    def _checked(self, states: Sequence[ServerState], wish: Wish) -> list[Wish]:
        """Return what is to become of each server. Raises RequestRefused 422, and as the guard does."""
        wishes = [wish.at(state) for state in states]
        if not wish.is_forced:
            self._guard.check(
                [Becoming(state, wish.admin, each.weight) for state, each in zip(states, wishes, strict=True)]
            )
        if wish.timeout_s is not None and any(
            (state.admin if wish.admin is None else wish.admin) is not AdminState.DRAIN for state in states
        ):
            raise invalid("body", "drain_timeout_s has a meaning with state drain only", 'Add "state": "drain"')
        return wishes

    async def _change(self, states: Sequence[ServerState], wishes: Sequence[Wish], actor: Actor) -> list[ServerChange]:
        """Record a checked change of servers as one action, then make it. Call it with other changes kept waiting."""
        why = wishes[0].why if wishes else Why()
        before = [_admin_and_weight(state) for state in states]
        changes = [change for state, each in zip(states, wishes, strict=True) for change in self._changes(state, each)]
        action = await self._intents.record(changes, actor, why) if changes else None
        gone = [state.server.id for state in states if state is not self._states.by_id.get(state.server.id)]
        if gone:
            raise RequestRefused(
                "unknown_server", f"{', '.join(gone)} is gone just now", "It is not found any more", 404
            )
        events = [self._make(state, was, each, actor) for state, was, each in zip(states, before, wishes, strict=True)]
        if action is not None:
            self._making.begin_ramps(action, actor, why.reason)
        return [
            {"server": status, "before": was, "after": _admin_and_weight(state), "event_seqs": seqs}
            for state, status, was, seqs in zip(states, self._reader.servers(states), before, events, strict=True)
        ]

    def _changes(self, state: ServerState, wish: Wish, *, is_whole: bool = False) -> list[Change]:
        """Return what is about to be other than it was: a drain that gets another timeout is one, too.

        `is_whole`: also what is so already, as it may be otherwise on another node.
        """
        changes, name = [], state.server.id
        is_other = wish.weight != state.intended_weight or state.ramp is not None
        if wish.weight is not None and (is_other or is_whole):
            until = time.time() + wish.over_s if wish.over_s else None
            change = Change(name, Setting.WEIGHT, state.intended_weight, wish.weight, state.server.weight, until)
            change = replace(change, abort_percent=wish.abort_percent, ramp_left=self._drains.ramps.left(state))
            changes.append(change if until is None else replace(change, start=state.weight))
        admin, is_hard = wish.admin_of(state)
        is_draining = admin is AdminState.DRAIN
        after = HARD_DRAIN if is_hard else admin.name.lower()
        is_wanted = is_whole and (wish.admin is not None or wish.timeout_s is not None)
        if is_wanted or after != state.word or (is_draining and wish.timeout_s is not None):
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
        """Carry out a PoolPatch. Raises RequestRefused 409 no_fleet, 422 invalid_body, 503 not_recorded, fleet_unreachable."""
        patch = object_of(body, ("published", "fleet", *_WHY_FIELDS))
        if "published" not in patch:
            raise invalid("body", "the change is empty", 'Send {"published": false}')
        is_published, why = patch["published"], why_of(patch)
        if not isinstance(is_published, bool):
            raise invalid("body", f"published is {shown_json(is_published)}", "Use true or false")
        applied: Applied | None = None
        before = self._reader.is_published(pool)
        change = Change(pool.name, Setting.PUBLISHED, before, is_published, True)
        if fleet_of(patch):
            applied, events = await self._of_fleet().ask([change], actor, why, is_forced=False)
            seqs = [event["seq"] for event in events if event["subject"] == pool.name]
        else:
            seqs = await self._publish(pool, change, actor, why)
        done: PoolChange = {
            "pool": self._reader.pool(pool),
            "before": {"published": before},
            "after": {"published": is_published},
            "event_seqs": seqs,
        }
        return done if applied is None else {**done, "fleet": applied}

    async def _publish(self, pool: Pool, change: Change, actor: Actor, why: Why) -> list[int]:
        async with self._intents.one_at_a_time():
            if self._reader.is_published(pool) is not change.after:
                await self._intents.record([change], actor, why)
            row = self._running.rows.pools[pool.name]
            event = self._states.set_published(pool, row, bool(change.after), actor, reason=why.reason)
        return [] if event is None else [event["seq"]]

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

        What the fleet has asked for is taken back on every node. Raises RequestRefused 409 nothing_to_undo, changed, quorum, as
        the guard does, 422 invalid_body, 503 not_recorded, fleet_unreachable.
        """
        request = object_of({} if body is None else body, ("action", "reason", "unrecorded", "force", "fleet"))
        number = request.get("action")
        if number is not None and (not isinstance(number, int) or isinstance(number, bool)):
            raise invalid("body", f"action is {shown_json(number)}", "Use the number of an action")
        why, is_forced, is_of_fleet = why_of(request), force_of(request), fleet_of(request)
        async with self._intents.one_at_a_time():
            actions, changes = self._reversal(number, is_of_fleet=is_of_fleet)
            if not is_forced:
                self._guard.check(becoming(changes, self._states.by_id))
                if self.fleet is not None:
                    self.fleet.check_quorum(changes, is_self_ready=not self._reader.reasons_against())
            changes = list(map(self._from_here, with_times(changes, actions, self._intents.actions, time.time())))
            if not any(each.fleet for each in actions):
                undoes = tuple(each.number for each in actions)
                action = await self._intents.record(changes, actor, why, undoes=undoes)
                made_again = redone(self._intents.actions).get(action.number, ())
                word, numbers = ("redo", made_again) if made_again else ("undo", action.undoes)
                self._making.make(action, actor, why.reason or f"{word} of {' and '.join(map(str, numbers))}")
                return _undone(actions, made_again, changes)
        revisions = tuple(each.fleet for each in actions)
        applied, _ = await self._of_fleet().ask(changes, actor, why, is_forced=is_forced, undoes=revisions)
        made = [each.number for each in self._intents.actions if each.fleet == applied["revision"]]
        made_again = redone(self._intents.actions).get(made[-1], ()) if made else ()
        return {**_undone(actions, made_again, changes), "fleet": applied}

    def _reversal(self, number: int | None, *, is_of_fleet: bool) -> tuple[list[Action], list[Change]]:
        """Return the actions that are taken back, and the changes that do it. Raises RequestRefused 409 nothing_to_undo."""
        try:
            actions = to_undo([each for each in self._intents.actions if each.fleet or not is_of_fleet], number)
            now = self._intents.now() | ({} if self.fleet is None else self.fleet.nodes())
            return actions, reversal(actions, now, time.time())
        except NothingToUndo as error:
            whose = " of the fleet" if is_of_fleet else ""
            raise RequestRefused("nothing_to_undo", f"{error}{whose}", "See: lbapp changes", 409) from error

    def _from_here(self, change: Change) -> Change:
        """Have a weight that is to go on its way do so from what it is now, and know how far it was on one that ends."""
        if change.setting is not Setting.WEIGHT:
            return change
        state = self._states.by_id[change.on]
        start = None if change.until is None else state.weight
        return replace(change, start=start, ramp_left=self._drains.ramps.left(state))

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


def _undone(actions: Sequence[Action], made_again: Sequence[int], changes: Sequence[Change]) -> Undone:
    return {
        "actions": [action.number for action in actions],
        "redone": list(made_again),
        "changes": [change_done(each) for each in changes],
    }


def _no_server(name: str) -> ServerState:
    raise RequestRefused("unknown_server", f"{shown_json(name)} names no server", "Servers are named POOL/SERVER", 404)
