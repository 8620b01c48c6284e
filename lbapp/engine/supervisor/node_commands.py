"""What an operator may do with a whole node: drain it, and end that; this one, or another member of the fleet.

Responsible for every rule about the body of a NodePatch, and for whether enough members would be ready. Knows nothing of the
steps of a drain or of how the other node does it.

Invariant: what is refused here has changed nothing, and says with which figure.
"""

from __future__ import annotations

import time
from typing import cast

from lbapp.control.changes import NodeChange
from lbapp.control.messages import Actor, NodeDrainStatus
from lbapp.engine.policy.fleet_intent import NODE_PREFIX
from lbapp.engine.policy.intent import NothingToUndo, reversal, to_undo
from lbapp.engine.policy.quorum import too_few
from lbapp.engine.supervisor.bodies import force_of, invalid, near, object_of, seconds_of, shown_json, why_of
from lbapp.engine.supervisor.fleet_link import FleetLink
from lbapp.engine.supervisor.fleet_node import EngineNode
from lbapp.engine.supervisor.fleet_status import is_member_ready
from lbapp.engine.supervisor.generation import Generation
from lbapp.engine.supervisor.intents import DRAIN, READY, Why
from lbapp.engine.supervisor.node_drain import NODE
from lbapp.model.errors import RequestRefused
from lbapp.model.fleet import StoreState
from lbapp.model.journal import Change, Setting
from lbapp.model.limits import NODE_DRAIN_TIMEOUT_S

_FIELDS = ("state", "node", "drain_timeout_s", "then_stop", "force", "reason", "unrecorded")


class NodeCommands:
    """The changes of nodes that the control API offers."""

    def __init__(self, link: FleetLink, node: EngineNode) -> None:
        self._link = link
        self._node = node

    async def change(self, generation: Generation, body: object, actor: Actor) -> NodeChange:
        """Carry out a NodePatch.

        Raises RequestRefused 404 unknown_node, 409 quorum, no_fleet, 422 invalid_body, 503 not_recorded, fleet_unreachable.
        """
        patch = object_of(body, _FIELDS)
        word, why, is_forced = patch.get("state"), why_of(patch), force_of(patch)
        if word not in (READY, DRAIN):
            raise invalid("body", f"state is {shown_json(word)}", f"Use {READY} or {DRAIN}")
        then_stop = patch.get("then_stop", False)
        if not isinstance(then_stop, bool) or (then_stop and word != DRAIN):
            raise invalid("body", f"then_stop is {shown_json(then_stop)}", 'Use true or false, beside "state": "drain"')
        seconds = seconds_of(patch.get("drain_timeout_s", NODE_DRAIN_TIMEOUT_S), "drain_timeout_s")
        target = patch.get("node", self._node.name)
        if not isinstance(target, str):
            raise invalid("body", f"node is {shown_json(target)}", "Use the name of a member; see: lbapp nodes")
        if target != self._node.name:
            self._find(target)
        if word == DRAIN and not is_forced:
            self._check_quorum(target, is_self_ready=not generation.reader.reasons_against())
        until = time.time() + seconds if word == DRAIN else None
        on = NODE if target == self._node.name else NODE_PREFIX + target
        change = Change(on, Setting.STATE, READY, str(word), READY, until, then_stop=then_stop)
        if target == self._node.name:
            is_again = bool(patch.keys() & {"drain_timeout_s", "then_stop"})
            return await self._change_here(generation, change, actor, why, is_again=is_again)
        return await self._change_there(target, change, actor, why, is_forced=is_forced)

    def check_undo(self, generation: Generation, body: object) -> None:
        """Refuse an undo, or a redo, that drains a node where too few would be left. Raises RequestRefused 409 quorum."""
        request = body if isinstance(body, dict) else {}
        number = request.get("action")
        if request.get("force") or not (number is None or isinstance(number, int)):
            return
        known = [each for each in generation.intents.actions if each.fleet or not request.get("fleet")]
        try:
            actions = to_undo(known, number)
            changes = reversal(actions, generation.intents.now(), time.time())
        except NothingToUndo:
            return  # which the undo itself says
        for change in changes:
            if change.after == DRAIN and (change.on == NODE or change.on.startswith(NODE_PREFIX)):
                target = self._node.name if change.on == NODE else change.on.removeprefix(NODE_PREFIX)
                self._check_quorum(target, is_self_ready=not generation.reader.reasons_against())

    async def _change_here(
        self, generation: Generation, change: Change, actor: Actor, why: Why, *, is_again: bool
    ) -> NodeChange:
        node, word = generation.drains.node, str(change.after)
        async with generation.intents.one_at_a_time():
            before = DRAIN if node.is_on else READY
            if word != before or (word == DRAIN and is_again):
                change = Change(NODE, Setting.STATE, before, word, READY, change.until, then_stop=change.then_stop)
                action = await generation.intents.record([change], actor, why)
                generation.making.make(action, actor, why.reason)
        return {"before": before, "after": word, "drain": node.status()}

    async def _change_there(
        self, target: str, change: Change, actor: Actor, why: Why, *, is_forced: bool
    ) -> NodeChange:
        """Ask another node. It does so when it hears of it: what it says of itself is what it was before."""
        drain = cast(NodeDrainStatus | None, self._link.view.members[target].state.get("drain"))
        applied, _ = await self._node.changes.ask([change], actor, why, is_forced=is_forced)
        waiting = [name for name in applied["waiting"] if name == target]
        return {
            "before": READY if drain is None else DRAIN,
            "after": str(change.after),
            "drain": drain,
            "fleet": {**applied, "done": [], "waiting": waiting},
        }

    def _find(self, target: str) -> None:
        self._link.joined()
        members = sorted(self._link.view.members)
        if target not in members:
            message = f"the fleet has no member {target}"
            raise RequestRefused("unknown_node", message, near(target, members), 404)

    def _check_quorum(self, target: str, *, is_self_ready: bool) -> None:
        """Refuse a drain that leaves too few members ready, or where nobody knows. Raises RequestRefused 409 quorum."""
        settings, view = self._link.settings, self._link.view
        if settings is None:
            return
        hint = "Repeat it with --force if that is meant; nothing was changed"
        if view.state is not StoreState.SYNCED:
            age = "yet" if (age_s := self._link.age_s) is None else f"for {age_s:.0f} s"
            message = f"whether enough members would be ready is not known: the store has not answered {age}"
            raise RequestRefused("quorum", message, hint, 409)
        own = self._node.name
        ready = {member.name for member in view.alive if member.name != own and is_member_ready(member)}
        if is_self_ready:
            ready.add(own)
        why = too_few(target, ready, len({own, *view.members}), settings.ready_min)
        if why:
            raise RequestRefused("quorum", why, hint, 409)
