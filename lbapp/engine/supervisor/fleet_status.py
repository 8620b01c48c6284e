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
    FleetStatus,
    IntentStatus,
    MemberState,
    MemberStatus,
)
from lbapp.control.shapes import check
from lbapp.control.standing import FleetGlance
from lbapp.engine.supervisor.fleet_link import FleetLink
from lbapp.engine.supervisor.fleet_node import EngineNode
from lbapp.engine.supervisor.fleet_words import configuration_status
from lbapp.engine.supervisor.intents import Key
from lbapp.model.fleet import FleetIntent, Member, StoreState
from lbapp.model.journal import Value


def fleet_status(link: FleetLink, node: EngineNode) -> FleetStatus:
    """Return what is known of the fleet."""
    view, settings, here = link.view, link.settings, node.changes.now()
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
        "age_s": None if (age_s := link.age_s) is None else round(age_s, 3),
        "members": members,
        "intents": [_intent(each, here) for _, each in sorted(view.intents.items())],
        "configuration": configuration_status(view.configuration, view.results) if view.configuration.number else None,
    }


def fleet_glance(link: FleetLink, node: EngineNode, *, is_ready: bool) -> FleetGlance | None:
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
        "differs": len(node.changes.differing()),
    }


def is_member_ready(member: Member) -> bool:
    """Say whether a member that lives has said that it is ready."""
    return member.is_alive and member.state.get("ready") is True


def _self(node: EngineNode) -> MemberStatus:
    return {**_said(node.name, node.card()), "is_self": True, "seen_at": time.time(), "state": node.member_state()}


def _member(member: Member) -> MemberStatus:
    said = _said(member.name, member.card)
    known: MemberStatus = {
        **said,
        "is_alive": member.is_alive,
        "seen_at": member.seen_at,
        "state": _state(member.state),
    }
    return {**known, "is_unsure": True} if member.is_unsure else known


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
