"""What comes from the engine, made safe to draw and to act upon.

Responsible for replacing what a terminal might act on in every text of a message, and for remembering which real pool
and server a cleaned id stands for. Knows nothing of where messages come from.

Invariant: ids in a cleaned status are unique, and each leads to exactly one real server.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from lbapp.control.messages import Event, ServerStatus, Status
from lbapp.tui.format import clean


@dataclass(frozen=True, slots=True)
class Target:
    """The names of a server as the engine knows them."""

    pool: str
    name: str


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


def clean_server(server: ServerStatus) -> ServerStatus:
    """Return the server with printable texts."""
    return cast(ServerStatus, clean_value(server))


def clean_status(raw: Status) -> tuple[Status, dict[str, Target]]:
    """Return the status with printable texts and unique ids, and what each server id really names."""
    status = cast(Status, clean_value(raw))
    targets: dict[str, Target] = {}
    pools: set[str] = set()
    for raw_pool, pool in zip(raw["pools"], status["pools"], strict=True):
        pool["name"] = _unlike(pool["name"], pools)
        pools.add(pool["name"])
        for raw_server, server in zip(raw_pool["servers"], pool["servers"], strict=True):
            server["pool"] = pool["name"]
            server["id"] = _unlike(server["id"], targets)
            targets[server["id"]] = Target(raw_server["pool"], raw_server["name"])
    return status, targets


def _unlike(name: str, taken: set[str] | dict[str, Target]) -> str:
    candidate, number = name, 2
    while candidate in taken:
        candidate, number = f"{name}~{number}", number + 1
    return candidate
