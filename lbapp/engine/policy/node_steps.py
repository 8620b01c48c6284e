"""The steps in which a node leaves its clients, and what each of them waits for.

Responsible for their order and for when each is over. Knows nothing of routers, of DNS or of workers, and keeps no clock.

Invariants: a step that nothing waits for takes no time; none but the last waits for ever: who does not do their part is waited
for as long as is said; established connections are ended by a route that leaves only after their clients were asked to leave.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

CLIENTS_SHARE: Final = (
    0.5  # of the timeout: how long clients may take to leave before a route that leaves ends what is left
)


class Step(str, Enum):
    """Where a node's drain stands."""

    DNS = "dns"
    CLIENTS = "clients"
    ROUTES = "routes"
    SERVING = "serving"
    DRAINED = "drained"


_NEXT: Final = {Step.DNS: Step.CLIENTS, Step.CLIENTS: Step.ROUTES, Step.ROUTES: Step.SERVING}


@dataclass(frozen=True, slots=True)
class Records:
    """What is told of this node's records. `are_in`: resolvers are given them; `gone_in_s`: until they have forgotten them."""

    are_in: bool
    gone_in_s: float
    ttl_s: float


@dataclass(frozen=True, slots=True)
class Routes:
    """What is told of this node's routes. `ends_flows`: established connections end when a route leaves."""

    are_announced: bool
    ends_flows: bool


@dataclass(frozen=True, slots=True)
class Leaving:
    """A drain at one moment. `in_step_s`: since when it is at this step. None: nobody tells anything of records or routes."""

    step: Step
    in_step_s: float
    timeout_s: float
    connections: int
    records: Records | None
    routes: Routes | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a step waits for, and for how many seconds at most. `is_given_up`: that time is over, and it has not come."""

    left_s: float
    why: str
    is_given_up: bool = False


def next_step(step: Step) -> Step:
    """Return the step after one of the first three."""
    return _NEXT[step]


def waits_for(leaving: Leaving, others_s: float) -> Waiting | None:
    """Return what one of the first three steps waits for; None: for nothing. `others_s`: how long others have for their part."""
    if leaving.step is Step.DNS:
        return _for_records(leaving, others_s)
    if leaving.step is Step.CLIENTS:
        return _for_clients(leaving)
    if leaving.routes is None or not leaving.routes.are_announced:
        return None
    return _for(others_s, leaving, "lbapp announce is to make this node's routes worse, or to withdraw them")


def _for_records(leaving: Leaving, others_s: float) -> Waiting | None:
    records = leaving.records
    if records is None:
        return None
    if records.are_in:
        return _for(others_s, leaving, "lbapp dns is to take this node's records out")
    # As the report says when they are gone, a clock that was set must not keep the drain for longer than a TTL.
    left_s = min(records.gone_in_s, others_s + records.ttl_s - leaving.in_step_s)
    return Waiting(left_s, "resolvers still know this node's records") if left_s > 0 else None


def _for_clients(leaving: Leaving) -> Waiting | None:
    routes = leaving.routes
    if routes is None or not routes.are_announced or not routes.ends_flows or not leaving.connections:
        return None
    left_s = leaving.timeout_s * CLIENTS_SHARE - leaving.in_step_s
    return Waiting(left_s, "clients are asked to leave, as the route ends what is left of them") if left_s > 0 else None


def _for(others_s: float, leaving: Leaving, why: str) -> Waiting:
    left_s = others_s - leaving.in_step_s
    return Waiting(max(0.0, left_s), why, is_given_up=left_s <= 0)
