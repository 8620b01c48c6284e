"""Whether enough members of the fleet would be ready without one that is to be drained, by what this node knows.

Responsible for who counts as ready. Knows nothing of how a node is drained, nor of how many are enough (`policy.quorum`).

Invariants: without a fleet nothing is refused; who is asked to drain, and has not said yet what it makes of that, is not ready.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lbapp.engine.policy.quorum import too_few
from lbapp.engine.supervisor.fleet_link import FleetLink
from lbapp.engine.supervisor.intents import DRAIN
from lbapp.engine.supervisor.node_drain import NODE
from lbapp.model.errors import RequestRefused
from lbapp.model.fleet import FleetView, Member, StoreState
from lbapp.model.journal import NODE_PREFIX, Change, Setting

_HINT: Final = "Repeat it with --force if that is meant; nothing was changed"


def check_quorum(link: FleetLink, target: str, *, is_self_ready: bool) -> None:
    """Refuse a drain that leaves too few members ready, or where nobody knows. Raises RequestRefused 409 quorum."""
    settings, view, own = link.settings, link.view, link.name
    if settings is None:
        return
    if view.state is not StoreState.SYNCED:
        age = "yet" if (age_s := link.age_s) is None else f"for {age_s:.0f} s"
        message = f"whether enough members would be ready is not known: the store has not answered {age}"
        raise RequestRefused("quorum", message, _HINT, 409)
    ready = {member.name for member in view.alive if member.name != own and _is_ready(member, view)}
    if is_self_ready:
        ready.add(own)
    why = too_few(target, ready, len({own, *view.members}), settings.ready_min)
    if why:
        raise RequestRefused("quorum", why, _HINT, 409)


def check_changes(link: FleetLink, changes: Sequence[Change], *, is_self_ready: bool) -> None:
    """Refuse changes of which one drains a node, this one or another, as `check_quorum` does."""
    for each in changes:
        name = link.name if each.on == NODE else each.on.removeprefix(NODE_PREFIX)
        is_of_node = each.on == NODE or (each.on.startswith(NODE_PREFIX) and name in link.view.members)
        if is_of_node and each.setting is Setting.STATE and each.after == DRAIN:
            check_quorum(link, name, is_self_ready=is_self_ready)


def _is_ready(member: Member, view: FleetView) -> bool:
    """Say whether a member that lives has said that it is ready, and knew by then whatever drain it was asked for."""
    wanted = view.intents.get((NODE_PREFIX + member.name, Setting.STATE))
    known = member.state.get("fleet_revision", 0)  # what it says comes a moment after what it does
    is_asked = wanted is not None and wanted.value == DRAIN and wanted.revision > known
    return member.state.get("ready") is True and not is_asked
