"""Changes that are recorded, made.

Responsible for what a change of a journal does to states, drains and ramps, whoever wanted it: an undo, or the fleet. Knows
nothing of who may change what. Invariant: what is made here stands in the journal already.
"""

from __future__ import annotations

from lbapp.control.messages import Actor
from lbapp.engine.supervisor.drains import Drains
from lbapp.engine.supervisor.intents import DRAIN, left_s, ramp_of
from lbapp.engine.supervisor.node_drain import NODE
from lbapp.engine.supervisor.running import Running
from lbapp.engine.supervisor.server_state import admin_of
from lbapp.engine.supervisor.state import ServerStates
from lbapp.model.journal import Action, Change, Setting
from lbapp.model.limits import NODE_DRAIN_TIMEOUT_S
from lbapp.model.states import AdminState


class Making:
    """Makes changes of one generation."""

    def __init__(self, running: Running, states: ServerStates, drains: Drains) -> None:
        self._running = running
        self._states = states
        self._drains = drains

    def make(self, action: Action, actor: Actor, reason: str) -> None:
        """Make every change of an action."""
        for change in action.changes:
            self._make(change, action, actor, reason)
        self.begin_ramps(action, actor, reason)

    def _make(self, change: Change, action: Action, actor: Actor, reason: str) -> None:
        seconds = None if change.until is None else left_s(change.until, action.at)
        if change.setting is Setting.PUBLISHED:
            pool = self._running.configuration.pool(change.on)
            row = self._running.rows.pools[pool.name]
            self._states.set_published(pool, row, bool(change.after), actor, reason=reason)
        elif change.on == NODE:
            self._drain_node(change, action, actor, reason)
        elif change.setting is Setting.WEIGHT:
            state = self._states.by_id[change.on]
            self._drains.ramps.cancel(state, actor, reason)
            if change.until is None:
                self._states.set_weight(state, int(change.after), actor, reason=reason)
        else:
            state = self._states.by_id[change.on]
            admin, is_hard = admin_of(str(change.after))
            self._states.set_admin(state, admin, actor, reason=reason, is_hard=is_hard)
            if state.admin is AdminState.DRAIN:
                self._drains.begin(state, seconds)
            else:
                self._drains.cancel(state)

    def begin_ramps(self, action: Action, actor: Actor, reason: str) -> None:
        """Begin the ways of an action's weights."""
        ramps = [
            (self._states.by_id[change.on], ramp_of(change, action.at))
            for change in action.changes
            if change.setting is Setting.WEIGHT and change.until is not None
        ]
        if ramps:
            self._drains.ramps.begin(action.number, ramps, actor, reason)

    def _drain_node(self, change: Change, action: Action, actor: Actor, reason: str) -> None:
        """Drain the node, or end that."""
        told = f": {reason}" if reason else ""
        if change.after == DRAIN:
            seconds = NODE_DRAIN_TIMEOUT_S if change.until is None else left_s(change.until, action.at)
            self._drains.node.begin(seconds, action.at, then_stop=change.then_stop)
            end = "; the engine stops then" if change.then_stop else ""
            message = f"clients are asked to leave, and closed by force after {round(seconds, 1):g} s{end}{told}"
        else:
            self._drains.node.cancel()
            message = f"no client is asked to leave any more{told}"
        self._states.changed.fire()
        self._states.tell_of_node(message, actor)
