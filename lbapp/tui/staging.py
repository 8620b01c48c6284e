"""From the messages of an engine to the rows of a scene.

Responsible for every field on the way, for making text printable and ids unique. Knows nothing of where a message comes from.
Invariants: those of `scene`; a message of another version raises KeyError, TypeError or ValueError and changes nothing.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any, cast

from lbapp.control.messages import (
    EngineStatus,
    Event,
    ListenerStatus,
    PoolStatus,
    ServerStatus,
    Status,
    Traffic,
)
from lbapp.tui.format import clean
from lbapp.tui.scene import DrainRow, ListenerRow, PoolRow, RampRow, Scene, ServerRow, Target


def clean_value(value: Any) -> Any:
    """Return a JSON value whose texts, keys included, are printable."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(key): clean_value(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [clean_value(inner) for inner in value]
    return value


def clean_event(event: Event) -> Event:
    """Return the event with printable texts."""
    return cast(Event, clean_value(event))


def scene_of(status: Status) -> Scene:
    """Return the scene of a whole status."""
    scene = Scene(at=float(status["at"]), revision=int(status["revision"]))
    scene.engine = cast(EngineStatus, clean_value(status["engine"]))
    scene.listeners = [_listener(each) for each in status["listeners"]]
    taken_pools: set[str] = set()
    taken_servers: set[str] = set()
    for each in status["pools"]:
        pool = _pool(each)
        pool.name = unlike(pool.name, taken_pools)
        for one in each["servers"]:
            row = server_row(one, scene.at)
            row.pool, row.id = pool.name, unlike(row.id, taken_servers)
            pool.servers.append(row)
        scene.pools.append(pool)
    scene.index()
    return scene


def unlike(name: str, taken: set[str]) -> str:
    """Return the name, or one that is like it and not taken; it is taken from now on."""
    candidate, number = name, 2
    while candidate in taken:
        candidate, number = f"{name}~{number}", number + 1
    taken.add(candidate)
    return candidate


def server_row(one: ServerStatus, at: float) -> ServerRow:
    """Return the row of a server whose status was made at a time."""
    probe, agent, drain, ramp = one["probe"], one["agent"], one["drain"], one["ramp"]
    who = one["changed_by"]
    return ServerRow(
        **_figures(one),
        id=clean(one["id"]),
        target=Target(one["pool"], one["name"]),
        pool=clean(one["pool"]),
        name=clean(one["name"]),
        address=clean(one["address"]),
        admin=one["admin"],
        health=one["health"],
        health_reason=clean(one["health_reason"]),
        health_since=one["health_since"],
        streak=probe["streak"] if probe else 0,
        is_last_good=probe["is_success"] if probe else None,
        weight=one["weight"],
        configured_weight=one["configured_weight"],
        agent_percent=agent["percent"] if agent else 100,
        share_percent=one["share_percent"],
        connections_max=one["connections_max"],
        idle=one["idle_connections"],
        is_eligible=one["is_eligible"],
        is_backup=one["is_backup"],
        is_leaving=one["is_leaving"],
        is_for_nobody=one["is_for_nobody"],
        no_new_clients=clean(one["no_new_clients"]),
        ejected=clean(one["ejected"]),
        drain=drain
        and DrainRow(drain["phase"], at + drain["remaining_s"], drain["hard"], drain["in_flight"], drain["finish_s"]),
        ramp=ramp and RampRow(ramp["after"], ramp["until"]),
        changed_at=one["changed_at"],
        changed_by=clean(who["user"]) if who else "",
    )


def adopt(row: ServerRow, one: ServerStatus, at: float) -> None:
    """Make a row say what a newer status of its server says; its id stays."""
    newer = server_row(one, at)
    newer.id, newer.pool, newer.target = row.id, row.pool, row.target
    newer.rise, newer.fall = row.rise, row.fall  # which are the pool's
    for each in fields(row):
        setattr(row, each.name, getattr(newer, each.name))


def _pool(one: PoolStatus) -> PoolRow:
    queue, persistence = one["queue"], one["persistence"]
    return PoolRow(
        **_figures(one),
        name=clean(one["name"]),
        algorithm=one["algorithm"],
        is_published=one["published"],
        eligible=one["eligible"],
        total=one["total"],
        served_by=clean(one["served_by"] or ""),
        failover=one["failover"] and clean(one["failover"]),
        is_on_backups=one["is_on_backups"],
        is_in_panic=one["is_in_panic"],
        queued=queue["queued"] if queue else None,
        queue_max=queue["length_max"] if queue else None,
        waiting_since=queue["waiting_since"] if queue else None,
        connections_max=one["connections_max"],
        persistence=persistence["type"] if persistence else "",
        discovered_as=one["discovered_as"] and clean(one["discovered_as"]),
    )


def _listener(one: ListenerStatus) -> ListenerRow:
    tls = one["tls"]
    return ListenerRow(
        **_figures(one),
        name=clean(one["name"]),
        protocol=one["protocol"],
        bind=clean_value(one["bind"]),
        pool=one["pool"] and clean(one["pool"]),
        state=one["state"],
        overloaded_since=one.get("overloaded_since"),
        turned_away=clean_value(one["turned_away"]),
        certificates=clean_value(tls["certificates"]) if tls else [],
    )


def _figures(one: Traffic) -> dict[str, Any]:
    total = one["latency"]["total"]
    return {
        "connections": one["connections"],
        "in_flight": one["in_flight"],
        "requests_per_s": one["requests_per_s"],
        "error_rate": one["error_rate"],
        "p50": total["p50"],
        "p90": total["p90"],
        "p99": total["p99"],
        "requests_total": one["requests_total"],
        "errors_total": one["errors_total"],
        "retries_total": one["retries_total"],
        "bytes_in_total": one["bytes_in_total"],
        "bytes_out_total": one["bytes_out_total"],
    }
