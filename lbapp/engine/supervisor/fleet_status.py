"""What this node knows of its fleet: `GET /v1/fleet`, and the short form of a Status.

Responsible for putting view, members, intents and this node itself together. Knows nothing of HTTP or of the store.

Invariants: what other nodes have said is shown only where it is of the declared shape; this node is shown as it is now, and not
as the store has it; asking changes nothing and waits for nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, cast

from lbapp.control.fleet import (
    FleetConfigurationStatus,
    FleetStatus,
    IntentStatus,
    MemberState,
    MemberStatus,
)
from lbapp.control.shapes import check
from lbapp.control.standing import FleetGlance
from lbapp.engine.supervisor.fleet_link import FleetLink
from lbapp.engine.supervisor.fleet_node import EngineNode
from lbapp.engine.supervisor.intents import Key
from lbapp.model.fleet import ConfigurationResult, FleetConfiguration, FleetIntent, FleetView, Member, StoreState
from lbapp.model.journal import Value


def fleet_status(link: FleetLink, node: EngineNode, here: Mapping[Key, Value]) -> FleetStatus:
    """Return what is known of the fleet. `here`: every setting of this node as it is now."""
    view, settings = link.view, link.settings
    members = [_member(each) for name, each in sorted(view.members.items()) if name != node.name]
    members = sorted([_self(node), *members], key=lambda each: each["name"])
    carried = sum(_per_s(each) for each in members)
    for member in members:
        member["share"] = round(_per_s(member) / carried, 4) if carried and member["state"] is not None else None
    return {
        "fleet": "" if settings is None else settings.name,
        "node": node.name,
        "state": view.state.value,
        "problem": view.problem,
        "age_s": round(max(0.0, time.time() - view.confirmed_at), 3) if view.confirmed_at else None,
        "members": members,
        "intents": [_intent(each, here) for _, each in sorted(view.intents.items())],
        "configuration": configuration_status(view.configuration, view.results) if view.configuration.number else None,
    }


def fleet_glance(link: FleetLink, node: EngineNode, here: Mapping[Key, Value], *, is_ready: bool) -> FleetGlance | None:
    """Return the short form; None: this node is alone."""
    view, settings = link.view, link.settings
    if settings is None:
        return None
    others = [member for member in view.alive if member.name != node.name]
    is_stale = view.state is StoreState.STALE
    return {
        "name": settings.name,
        "node": node.name,
        "state": view.state.value,
        "members": 1 + len(others),
        "ready": is_ready + sum(is_member_ready(member) for member in others),
        "known": len({node.name, *view.members}),
        "stale_since": (view.confirmed_at or None) if is_stale else None,
        "differs": len(differing(view, here)),
    }


def is_member_ready(member: Member) -> bool:
    """Say whether a member that lives has said that it is ready."""
    return member.is_alive and member.state.get("ready") is True


def configuration_status(
    configuration: FleetConfiguration, results: Mapping[str, ConfigurationResult]
) -> FleetConfigurationStatus:
    """Return the configuration of the fleet, and what came of it."""
    return {
        "number": configuration.number,
        "mode": configuration.mode.value,
        "by": configuration.by,
        "node": configuration.node,
        "at": configuration.at,
        "reason": configuration.reason,
        "order": list(configuration.order),
        "reached": configuration.reached,
        "stopped": configuration.stopped,
        "results": {
            name: result.error for name, result in sorted(results.items()) if result.number == configuration.number
        },
    }


def differing(view: FleetView, here: Mapping[Key, Value]) -> list[FleetIntent]:
    """Return the intents of the fleet that this node, which has such settings, is other than."""
    return [each for key, each in sorted(view.intents.items()) if key in here and here[key] != each.value]


def _self(node: EngineNode) -> MemberStatus:
    return {**_said(node.name, node.card()), "is_self": True, "seen_at": time.time(), "state": node.member_state()}


def _member(member: Member) -> MemberStatus:
    said = _said(member.name, member.card)
    return {**said, "is_alive": member.is_alive, "seen_at": member.seen_at, "state": _state(member.state)}


def _said(name: str, card: Mapping[str, Any]) -> MemberStatus:
    """Return a member by its card, whatever stands there."""
    started_at = card.get("started_at")
    return {
        "name": name,
        "is_self": False,
        "is_alive": True,
        "seen_at": 0.0,
        "version": _text(card.get("version")),
        "started_at": float(started_at) if isinstance(started_at, int | float) else 0.0,
        "host": _text(card.get("host")),
        "state": None,
        "share": None,
    }


def _text(value: object) -> str:
    """Return what is safe to be shown of what another node has said."""
    return "".join(letter for letter in value[:255] if letter.isprintable()) if isinstance(value, str) else ""


def _state(said: Mapping[str, Any]) -> MemberState | None:
    try:
        check(dict(said), MemberState, "state")
    except ValueError:
        return None
    return cast(MemberState, dict(said))


def _per_s(member: MemberStatus) -> float:
    state = member["state"]
    return state["requests_per_s"] if state is not None and member["is_alive"] else 0.0


def _intent(intent: FleetIntent, here: Mapping[Key, Value]) -> IntentStatus:
    return {
        "on": intent.on,
        "setting": intent.setting.value,
        "value": intent.value,
        "here": here.get(intent.key),
        "by": intent.by,
        "node": intent.node,
        "at": intent.at,
        "reason": intent.reason,
        "until": intent.until,
        "revision": intent.revision,
    }
