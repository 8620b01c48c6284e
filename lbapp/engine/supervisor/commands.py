"""What an operator may change, checked and carried out.

Responsible for every rule about the body of a change, for the order of its effects, and for the answer. Knows
nothing of HTTP: it takes a decoded JSON value and raises RequestRefused. Invariants: a change is checked
whole before any part of it takes effect; every effect is an event with the actor, before and after.
"""

from __future__ import annotations

import json
from difflib import get_close_matches
from typing import Final

from lbapp.control.messages import Actor, Event, PoolChange, ServerChange
from lbapp.engine.supervisor.drains import Drains
from lbapp.engine.supervisor.events import Events
from lbapp.engine.supervisor.life import Life
from lbapp.engine.supervisor.reading import StatusReader
from lbapp.engine.supervisor.running import Running
from lbapp.engine.supervisor.state import ServerState, ServerStates
from lbapp.model.entities import Pool
from lbapp.model.errors import RequestRefused
from lbapp.model.states import WEIGHT_MAX, AdminState

TIMEOUT_S_MAX: Final = 7 * 24 * 3600.0
_SHOWN_MAX: Final = 60
_ADMIN: Final = {state.name.lower(): state for state in AdminState}
_PATCH_FIELDS: Final = ("state", "weight", "drain_timeout_s", "expect_revision")


class Commands:
    """The changes that the control API offers."""

    def __init__(self, running: Running, states: ServerStates, drains: Drains, reader: StatusReader) -> None:
        self._running = running
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

    def change_server(self, state: ServerState, body: object, actor: Actor) -> ServerChange:
        """Carry out a ServerPatch.

        Raises RequestRefused 409 changed, 422 invalid_body, invalid_state, invalid_weight.
        """
        patch = _object(body, _PATCH_FIELDS)
        if not patch.keys() & {"state", "weight", "drain_timeout_s"}:
            raise _invalid("body", "the change is empty", "Give state, weight or both")
        admin = _admin(patch["state"]) if "state" in patch else None
        weight = _weight(patch["weight"]) if "weight" in patch else None
        timeout_s = _seconds(patch["drain_timeout_s"], "drain_timeout_s") if "drain_timeout_s" in patch else None
        if timeout_s is not None and (state.admin if admin is None else admin) is not AdminState.DRAIN:
            raise _invalid("body", "drain_timeout_s has a meaning with state drain only", 'Add "state": "drain"')
        self._check_revision(state, patch.get("expect_revision"))
        before = _admin_and_weight(state)
        events = self._apply(state, admin, weight, actor)
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

    def change_pool(self, pool: Pool, body: object, actor: Actor) -> PoolChange:
        """Carry out a PoolPatch. Raises RequestRefused 422 invalid_body."""
        patch = _object(body, ("published",))
        if "published" not in patch:
            raise _invalid("body", "the change is empty", 'Send {"published": false}')
        is_published = patch["published"]
        if not isinstance(is_published, bool):
            raise _invalid("body", f"published is {_shown(is_published)}", "Use true or false")
        before = self._reader.is_published(pool)
        event = self._states.set_published(pool, self._running.rows.pools[pool.name], is_published, actor)
        return {
            "pool": self._reader.pool(pool),
            "before": {"published": before},
            "after": {"published": is_published},
            "event_seqs": [] if event is None else [event["seq"]],
        }

    def _apply(self, state: ServerState, admin: AdminState | None, weight: int | None, actor: Actor) -> list[Event]:
        made = [
            None if weight is None else self._states.set_weight(state, weight, actor),
            None if admin is None else self._states.set_admin(state, admin, actor),
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
