"""What an operator may do with a whole node: drain it, and end that; this one, or another member of the fleet.

Responsible for every rule about the body of a NodePatch. Knows nothing of the steps of a drain, of how the other node does it or
of how many members have to be ready.

Invariant: what is refused here has changed nothing, and says with which figure.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import cast

from lbapp.control.changes import NodeChange
from lbapp.control.messages import Actor, NodeDrainStatus
from lbapp.engine.supervisor.bodies import force_of, invalid, near, object_of, seconds_of, shown_json, why_of
from lbapp.engine.supervisor.fleet_link import FleetLink
from lbapp.engine.supervisor.fleet_node import EngineNode
from lbapp.engine.supervisor.generation import Generation
from lbapp.engine.supervisor.intents import DRAIN, READY, Why
from lbapp.engine.supervisor.node_drain import NODE
from lbapp.engine.supervisor.quorum_check import check_quorum
from lbapp.model.errors import RequestRefused
from lbapp.model.journal import NODE_PREFIX, Change, Setting
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
            check_quorum(self._link, target, is_self_ready=not generation.reader.reasons_against())
        until = time.time() + seconds if word == DRAIN else None
        on = NODE if target == self._node.name else NODE_PREFIX + target
        change = Change(on, Setting.STATE, READY, str(word), READY, until, then_stop=then_stop)
        if target == self._node.name:
            is_again = bool(patch.keys() & {"drain_timeout_s", "then_stop"})
            return await self._change_here(generation, change, actor, why, is_again=is_again)
        return await self._change_there(target, change, actor, why, is_forced=is_forced)

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
        before = self._node.changes.nodes()[change.key]
        applied, _ = await self._node.changes.ask([replace(change, before=before)], actor, why, is_forced=is_forced)
        waiting = [name for name in applied["waiting"] if name == target]
        return {
            "before": str(before),
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
