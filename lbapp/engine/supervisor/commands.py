"""What an operator may change, checked and carried out.

Responsible for every rule about the body of a change, for the order of its effects, and for the answer. Knows
nothing of HTTP: it takes a decoded JSON value and raises RequestRefused. Invariants: a change is checked
whole before any part of it takes effect; every effect is an event with the actor, before and after.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from lbapp.control.changes import PoolChange, ServerChange, ServersChange, Undone
from lbapp.control.messages import Actor, Event
from lbapp.engine.policy.intent import NothingToUndo, reversal, to_undo
from lbapp.engine.supervisor.drains import Drains
from lbapp.engine.supervisor.events import Events
from lbapp.engine.supervisor.guard import Guard
from lbapp.engine.supervisor.intents import READY, Intents, Why, change_done
from lbapp.engine.supervisor.life import Life
from lbapp.engine.supervisor.reading import StatusReader
from lbapp.engine.supervisor.running import Running
from lbapp.engine.supervisor.server_state import ServerState
from lbapp.engine.supervisor.state import ServerStates
from lbapp.model.entities import Pool
from lbapp.model.errors import RequestRefused
from lbapp.model.journal import Change, Setting
from lbapp.model.states import WEIGHT_MAX, AdminState

TIMEOUT_S_MAX: Final = 7 * 24 * 3600.0
_SHOWN_MAX: Final = 60
_ADMIN: Final = {state.name.lower(): state for state in AdminState}
_WHY_FIELDS: Final = ("reason", "group", "unrecorded")
_PATCH_FIELDS: Final = ("state", "weight", "drain_timeout_s", "expect_revision", "force", *_WHY_FIELDS)
_SERVERS_FIELDS: Final = ("servers", "state", "weight", "drain_timeout_s", "force", "dry_run", "reason", "unrecorded")
_GROUP_LETTERS_MAX: Final = 64
REASON_LETTERS_MAX: Final = 200


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

    def find_pool(self, name: str) -> Pool:
        """Return a pool. Raises RequestRefused 404 unknown_pool."""
        names = [pool.name for pool in self._running.configuration.pools]
        if name not in names:
            raise RequestRefused("unknown_pool", f"there is no pool {name}", _near(name, names), 404)
        return self._running.configuration.pool(name)

    def find_server(self, pool_name: str, name: str) -> ServerState:
        """Return a server's state. Raises RequestRefused 404 unknown_pool or unknown_server."""
        pool = self.find_pool(pool_name)
        names = [state.server.name for state in self._states.members(pool)]
        if name not in names:
            message = f"pool {pool_name} has no server {name}"
            raise RequestRefused("unknown_server", message, _near(name, names), 404)
        return self._states.by_id[f"{pool_name}/{name}"]

    def _find_servers(self, names: Sequence[str]) -> list[ServerState]:
        """Return the states of servers, each once. Raises RequestRefused 404 unknown_pool or unknown_server."""
        return [
            self.find_server(*name.split("/", 1)) if "/" in name else _no_server(name) for name in dict.fromkeys(names)
        ]

    async def change_server(self, state: ServerState, body: object, actor: Actor) -> ServerChange:
        """Carry out a ServerPatch.

        Raises RequestRefused 409 changed, leaves_nobody, 422 invalid_body, invalid_state, invalid_weight, 503 not_recorded.
        """
        patch = _object(body, _PATCH_FIELDS)
        wish = _wish(patch)
        expected = patch.get("expect_revision")
        async with self._intents.one_at_a_time():
            self._check_revision(state, expected)
            if not wish.is_forced:
                self._guard.check([state], wish.admin, wish.weight)
            (change,) = await self._change([state], wish, actor)
        return change

    async def change_servers(self, body: object, actor: Actor) -> ServersChange:
        """Carry out a ServersPatch, for all servers or none. Raises as change_server does, and 404 unknown_server."""
        patch = _object(body, _SERVERS_FIELDS)
        wish, is_dry = _wish(patch), patch.get("dry_run", False)
        names = patch.get("servers")
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise _invalid("body", f"servers is {_shown(names)}", 'Use a list of names such as ["app/s1"]')
        if not isinstance(is_dry, bool):
            raise _invalid("body", f"dry_run is {_shown(is_dry)}", "Use true or false")
        if is_dry:
            return {"plan": await self._guard.plan(self._find_servers(names), wish.admin, wish.weight), "changes": []}
        async with self._intents.one_at_a_time():
            states = self._find_servers(names)
            if not wish.is_forced:
                self._guard.check(states, wish.admin, wish.weight)
            return {"plan": [], "changes": await self._change(states, wish, actor)}

    async def _change(self, states: Sequence[ServerState], wish: _Wish, actor: Actor) -> list[ServerChange]:
        """Record a change of servers as one action, then make it. Call it with other changes kept waiting."""
        if wish.timeout_s is not None and any(
            (state.admin if wish.admin is None else wish.admin) is not AdminState.DRAIN for state in states
        ):
            raise _invalid("body", "drain_timeout_s has a meaning with state drain only", 'Add "state": "drain"')
        before = [_admin_and_weight(state) for state in states]
        changes = [change for state in states for change in _changes(state, wish.admin, wish.weight, wish.timeout_s)]
        if changes:
            await self._intents.record(changes, actor, wish.why)
        gone = [state.server.id for state in states if state is not self._states.by_id.get(state.server.id)]
        if gone:
            raise RequestRefused(
                "unknown_server", f"{', '.join(gone)} is gone just now", "It is not found any more", 404
            )
        events = [self._make(state, was, wish, actor) for state, was in zip(states, before, strict=True)]
        return [
            {"server": status, "before": was, "after": _admin_and_weight(state), "event_seqs": seqs}
            for state, status, was, seqs in zip(states, self._reader.servers(states), before, events, strict=True)
        ]

    def _make(self, state: ServerState, before: dict[str, str | int], wish: _Wish, actor: Actor) -> list[int]:
        events = self._apply(state, wish.admin, wish.weight, actor, wish.why.reason)
        if state.admin is not AdminState.DRAIN:
            self._drains.cancel(state)
        elif before["state"] != "drain" or wish.timeout_s is not None:
            self._drains.begin(state, wish.timeout_s)
        return [event["seq"] for event in events]

    async def change_pool(self, pool: Pool, body: object, actor: Actor) -> PoolChange:
        """Carry out a PoolPatch. Raises RequestRefused 422 invalid_body, 503 not_recorded."""
        patch = _object(body, ("published", *_WHY_FIELDS))
        if "published" not in patch:
            raise _invalid("body", "the change is empty", 'Send {"published": false}')
        is_published, why = patch["published"], _why(patch)
        if not isinstance(is_published, bool):
            raise _invalid("body", f"published is {_shown(is_published)}", "Use true or false")
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

    async def undo(self, body: object, actor: Actor) -> Undone:
        """Take back the last action, or the one that is named, with all of its group.

        Raises RequestRefused 409 nothing_to_undo, 422 invalid_body, 503 not_recorded.
        """
        request = _object({} if body is None else body, ("action", "reason", "unrecorded"))
        number = request.get("action")
        if number is not None and (not isinstance(number, int) or isinstance(number, bool)):
            raise _invalid("body", f"action is {_shown(number)}", "Use the number of an action")
        why = _why(request)
        async with self._intents.one_at_a_time():
            try:
                actions = to_undo(self._intents.actions, number)
                changes = reversal(actions, self._intents.now())
            except NothingToUndo as error:
                raise RequestRefused("nothing_to_undo", str(error), "See: lbapp changes", 409) from error
            await self._intents.record(changes, actor, why, undoes=tuple(action.number for action in actions))
            numbers = " and ".join(str(action.number) for action in actions)
            for change in changes:
                self._take_back(change, actor, why.reason or f"undo of {numbers}")
        return {"actions": [action.number for action in actions], "changes": [change_done(each) for each in changes]}

    def _take_back(self, change: Change, actor: Actor, reason: str) -> None:
        if change.setting is Setting.PUBLISHED:
            pool = self.find_pool(change.on)
            row = self._running.rows.pools[pool.name]
            self._states.set_published(pool, row, bool(change.after), actor, reason=reason)
            return
        state = self._states.by_id[change.on]
        if change.setting is Setting.WEIGHT:
            self._states.set_weight(state, int(change.after), actor, reason=reason)
            return
        self._states.set_admin(state, _ADMIN[str(change.after)], actor, reason=reason)
        if state.admin is AdminState.DRAIN:
            self._drains.begin(state, None)
        else:
            self._drains.cancel(state)

    def _apply(
        self, state: ServerState, admin: AdminState | None, weight: int | None, actor: Actor, reason: str
    ) -> list[Event]:
        made = [
            None if weight is None else self._states.set_weight(state, weight, actor, reason=reason),
            None if admin is None else self._states.set_admin(state, admin, actor, reason=reason),
        ]
        return [event for event in made if event is not None]

    @staticmethod
    def _check_revision(state: ServerState, expected: object) -> None:
        if expected is None:
            return
        if not isinstance(expected, int) or isinstance(expected, bool):
            raise _invalid("body", "expect_revision must be a whole number", "Use the revision of a status")
        if state.revision > expected:
            message = f"{state.server.id} changed in revision {state.revision}, after revision {expected}"
            raise RequestRefused("changed", message, "Look at it again, then repeat", 409)


def _changes(state: ServerState, admin: AdminState | None, weight: int | None, timeout_s: float | None) -> list[Change]:
    """Return what is about to be other than it was: a drain that gets another timeout is one, too."""
    changes, name = [], state.server.id
    if weight is not None and weight != state.weight:
        changes.append(Change(name, Setting.WEIGHT, state.weight, weight, state.server.weight))
    is_draining = (state.admin if admin is None else admin) is AdminState.DRAIN
    if (admin is not None and admin is not state.admin) or (is_draining and timeout_s is not None):
        after = (state.admin if admin is None else admin).name.lower()
        seconds = state.pool.drain_timeout_s if timeout_s is None else timeout_s
        until = time.time() + seconds if is_draining else None
        changes.append(Change(name, Setting.STATE, state.admin.name.lower(), after, READY, until))
    return changes


@dataclass(frozen=True, slots=True)
class _Wish:
    """What is to become of servers, and why. None: that stays."""

    admin: AdminState | None
    weight: int | None
    timeout_s: float | None
    why: Why
    is_forced: bool


def _wish(patch: dict[str, object]) -> _Wish:
    if not patch.keys() & {"state", "weight", "drain_timeout_s"}:
        raise _invalid("body", "the change is empty", "Give state, weight or both")
    is_forced = patch.get("force", False)
    if not isinstance(is_forced, bool):
        raise _invalid("body", f"force is {_shown(is_forced)}", "Use true or false")
    return _Wish(
        _admin(patch["state"]) if "state" in patch else None,
        _weight(patch["weight"]) if "weight" in patch else None,
        _seconds(patch["drain_timeout_s"], "drain_timeout_s") if "drain_timeout_s" in patch else None,
        _why(patch),
        is_forced,
    )


def _no_server(name: str) -> ServerState:
    raise RequestRefused("unknown_server", f"{_shown(name)} names no server", "Servers are named POOL/SERVER", 404)


def _why(patch: dict[str, object]) -> Why:
    reason, group, is_unrecorded = patch.get("reason", ""), patch.get("group", ""), patch.get("unrecorded", False)
    if not isinstance(reason, str) or len(reason) > REASON_LETTERS_MAX or not reason.isprintable():
        raise _invalid("body", f"reason is {_shown(reason)}", f"Use one line of up to {REASON_LETTERS_MAX} letters")
    if not isinstance(group, str) or len(group) > _GROUP_LETTERS_MAX or not group.isprintable():
        raise _invalid("body", f"group is {_shown(group)}", f"Use up to {_GROUP_LETTERS_MAX} letters")
    if not isinstance(is_unrecorded, bool):
        raise _invalid("body", f"unrecorded is {_shown(is_unrecorded)}", "Use true or false")
    return Why(reason, group, is_unrecorded)


@dataclass(frozen=True, slots=True)
class How:
    """How a configuration is to be applied. `confirm_s`: it is taken back after that, unless it is confirmed; None: it stays."""

    actor: Actor
    reason: str = ""
    confirm_s: float | None = None
    is_dry: bool = False


def read_how(body: object, actor: Actor, allowed: tuple[str, ...]) -> How:
    """Return what a ReloadRequest or a RollbackRequest asks for. Raises RequestRefused 422 invalid_body."""
    request = _object({} if body is None else body, allowed)
    is_dry = request.get("dry_run", False)
    if not isinstance(is_dry, bool):
        raise _invalid("body", f"dry_run is {_shown(is_dry)}", "Use true or false")
    confirm_s = _seconds(request["confirm_s"], "confirm_s") if "confirm_s" in request else None
    return How(actor, _why({"reason": request.get("reason", "")}).reason, confirm_s, is_dry)


def read_number(body: object) -> int | None:
    """Return the number of a configuration that a RollbackRequest names. Raises RequestRefused 422 invalid_body."""
    number = body.get("number") if isinstance(body, dict) else None
    if number is not None and (not isinstance(number, int) or isinstance(number, bool)):
        raise _invalid("body", f"number is {_shown(number)}", "Use the number of a configuration")
    return number


def ask_stop(life: Life, events: Events, body: object, actor: Actor) -> None:
    """Carry out a StopRequest. Raises RequestRefused 422 invalid_body."""
    request = _object({} if body is None else body, ("timeout_s",))
    timeout_s = _seconds(request["timeout_s"], "timeout_s") if "timeout_s" in request else None
    if not life.is_stopping:
        events.add("stop_asked", "node", "the engine was told to stop", actor=actor)
    life.stop(timeout_s)


def _object(body: object, allowed: tuple[str, ...]) -> dict[str, object]:
    if not isinstance(body, dict):
        raise _invalid("body", "the body must be a JSON object", f"Its fields are {', '.join(allowed)}")
    for name in body:
        if name not in allowed:
            raise _invalid("body", f"there is no field {_shown(name)}", _near(name, list(allowed)))
    return body


def _admin(value: object) -> AdminState:
    if not isinstance(value, str) or value not in _ADMIN:
        raise _invalid("state", f"{_shown(value)} is no state", f"Use {', '.join(_ADMIN)}")
    return _ADMIN[value]


def _weight(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= WEIGHT_MAX:
        raise _invalid("weight", f"{_shown(value)} is no weight", f"Use a whole number from 0 to {WEIGHT_MAX}")
    return value


def _seconds(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= TIMEOUT_S_MAX:
        raise _invalid("body", f"{name} is {_shown(value)}", f"Use seconds from 0 to {TIMEOUT_S_MAX:g}")
    return float(value)


def _admin_and_weight(state: ServerState) -> dict[str, str | int]:
    return {"state": state.admin.name.lower(), "weight": state.weight}


def _shown(value: object) -> str:
    shown = json.dumps(value)
    return shown if len(shown) <= _SHOWN_MAX else f"{shown[:_SHOWN_MAX]}..."


def _invalid(what: str, message: str, hint: str) -> RequestRefused:
    return RequestRefused(f"invalid_{what}", message, hint, 422)


def _near(name: str, known: list[str]) -> str:
    found = get_close_matches(name, known, n=3, cutoff=0.5)
    if found:
        return f"Did you mean {' or '.join(found)}?"
    some = ", ".join(known[:10])
    return f"There are {some}{', ...' if len(known) > 10 else ''}" if known else "There are none"
