"""What an operator may change, checked and carried out.

Responsible for every rule about the body of a change, for the order of its effects, and for the answer. Knows
nothing of HTTP: it takes a decoded JSON value and raises RequestRefused. Invariants: a change is checked
whole before any part of it takes effect; every effect is an event with the actor, before and after.
"""

from __future__ import annotations

import json
import time
from difflib import get_close_matches
from typing import Final

from lbapp.control.messages import Actor, Event, PoolChange, ServerChange, Undone
from lbapp.engine.policy.intent import NothingToUndo, reversal, to_undo
from lbapp.engine.supervisor.drains import Drains
from lbapp.engine.supervisor.events import Events
from lbapp.engine.supervisor.intents import READY, Intents, Why, change_done
from lbapp.engine.supervisor.life import Life
from lbapp.engine.supervisor.reading import StatusReader
from lbapp.engine.supervisor.running import Running
from lbapp.engine.supervisor.state import ServerState, ServerStates
from lbapp.model.entities import Pool
from lbapp.model.errors import RequestRefused
from lbapp.model.journal import Change, Setting
from lbapp.model.states import WEIGHT_MAX, AdminState

TIMEOUT_S_MAX: Final = 7 * 24 * 3600.0
_SHOWN_MAX: Final = 60
_ADMIN: Final = {state.name.lower(): state for state in AdminState}
_WHY_FIELDS: Final = ("reason", "group", "unrecorded")
_PATCH_FIELDS: Final = ("state", "weight", "drain_timeout_s", "expect_revision", *_WHY_FIELDS)
_GROUP_LETTERS_MAX: Final = 64
REASON_LETTERS_MAX: Final = 200


class Commands:
    """The changes that the control API offers."""

    def __init__(
        self, running: Running, states: ServerStates, drains: Drains, reader: StatusReader, intents: Intents
    ) -> None:
        self._running = running
        self._intents = intents
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

    async def change_server(self, state: ServerState, body: object, actor: Actor) -> ServerChange:
        """Carry out a ServerPatch.

        Raises RequestRefused 409 changed, 422 invalid_body, invalid_state, invalid_weight, 503 not_recorded.
        """
        patch = _object(body, _PATCH_FIELDS)
        if not patch.keys() & {"state", "weight", "drain_timeout_s"}:
            raise _invalid("body", "the change is empty", "Give state, weight or both")
        why = _why(patch)
        admin = _admin(patch["state"]) if "state" in patch else None
        weight = _weight(patch["weight"]) if "weight" in patch else None
        timeout_s = _seconds(patch["drain_timeout_s"], "drain_timeout_s") if "drain_timeout_s" in patch else None
        if timeout_s is not None and (state.admin if admin is None else admin) is not AdminState.DRAIN:
            raise _invalid("body", "drain_timeout_s has a meaning with state drain only", 'Add "state": "drain"')
        async with self._intents.one_at_a_time():
            self._check_revision(state, patch.get("expect_revision"))
            before = _admin_and_weight(state)
            changes = _changes(state, admin, weight, timeout_s)
            if changes:
                await self._intents.record(changes, actor, why)
            if state is not self._states.by_id.get(state.server.id):
                raise RequestRefused(
                    "unknown_server", f"{state.server.id} is gone just now", "It is not found any more", 404
                )
            events = self._apply(state, admin, weight, actor, why.reason)
            if state.admin is not AdminState.DRAIN:
                self._drains.cancel(state)
            elif before["state"] != "drain" or timeout_s is not None:
                self._drains.begin(state, timeout_s)
        return {
            "server": self._reader.server(state),
            "before": before,
            "after": _admin_and_weight(state),
            "event_seqs": [event["seq"] for event in events],
        }

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


def _why(patch: dict[str, object]) -> Why:
    reason, group, is_unrecorded = patch.get("reason", ""), patch.get("group", ""), patch.get("unrecorded", False)
    if not isinstance(reason, str) or len(reason) > REASON_LETTERS_MAX or not reason.isprintable():
        raise _invalid("body", f"reason is {_shown(reason)}", f"Use one line of up to {REASON_LETTERS_MAX} letters")
    if not isinstance(group, str) or len(group) > _GROUP_LETTERS_MAX or not group.isprintable():
        raise _invalid("body", f"group is {_shown(group)}", f"Use up to {_GROUP_LETTERS_MAX} letters")
    if not isinstance(is_unrecorded, bool):
        raise _invalid("body", f"unrecorded is {_shown(is_unrecorded)}", "Use true or false")
    return Why(reason, group, is_unrecorded)


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
