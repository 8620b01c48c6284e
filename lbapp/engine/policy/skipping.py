"""Why a server is none that somebody may be given, in words.

Responsible for the one reason that is named where there are several: what an operator asked for comes before what was found, and
both before what passes by itself. Knows nothing of cells or requests. Invariant: a server that may be chosen has no reason.
"""

from __future__ import annotations

from dataclasses import dataclass

from lbapp.model.states import AdminState, HealthState


@dataclass(frozen=True, slots=True)
class Standing:
    """One server as it stands when somebody is to be given one. `is_full`: there is no room for who asks now."""

    is_published: bool
    admin: AdminState
    health: HealthState
    weight: int
    is_ejected: bool
    wants_no_clients: bool
    is_backup: bool
    is_eligible: bool
    is_tried: bool
    is_full: bool
    in_flight: int
    connections_max: int  # of the server; 0: no limit


def reason_against(server: Standing, pool_in_flight: int, pool_connections_max: int) -> str:
    """Say why a server is not to be chosen; empty: it may be. `pool_connections_max` 0: no limit."""
    if not server.is_eligible:
        return _why_not_eligible(server)
    if server.is_tried:
        return "tried already"
    if not server.is_full:
        return ""
    if 0 < server.connections_max <= server.in_flight:
        return f"full: {server.in_flight} in flight of connections_max {server.connections_max}"
    if 0 < pool_connections_max <= pool_in_flight:
        return f"the pool is full: {pool_in_flight} in flight of connections_max {pool_connections_max}"
    return "others wait for it"


def _why_not_eligible(server: Standing) -> str:
    if not server.is_published:
        return "the pool is unpublished"
    if server.admin is not AdminState.READY:
        return server.admin.name
    reasons = (
        (server.weight == 0, "weight 0"),
        (server.wants_no_clients, "asks for no new clients"),
        (server.health is HealthState.DOWN, "DOWN"),
        (server.is_ejected, "ejected"),
        (server.is_backup, "backup, not needed"),
    )
    # Without any: there is panic among the others, or it is about to be taken in.
    return next((words for holds, words in reasons if holds), "not among those in use")
