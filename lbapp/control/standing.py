"""What goes on over time at a server or at the node, and how a fleet stands, as a Status has it.

Responsible for the names and types of these parts of messages. Knows nothing of HTTP or of how the figures are made.

Invariants: those of `messages`, which gives these names as well.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

DrainStep = Literal["dns", "clients", "routes", "serving", "drained"]
EcmpWord = Literal["plain", "resilient", "handoff", "single"]


class DrainStatus(TypedDict):
    """A drain under way. `phase`: draining, drained (nothing in flight) or overdue (being closed by force).

    `tunnels`: how many of those in flight are tunnels or TCP connections; `oldest_s`: the age of the oldest of them.
    `remembered`: clients that may come back to the server, null where that is not known: by cookies only clients know it.
    `finish_s`: in how many seconds nothing will be in flight, by how it went so far; null: nothing can be said.
    """

    phase: Literal["draining", "drained", "overdue"]
    since: float
    timeout_s: float
    remaining_s: float
    hard: bool  # not even remembered clients get the server
    in_flight: int
    tunnels: int
    oldest_s: float | None
    remembered: int | None
    finish_s: float | None


class RampStatus(TypedDict):
    """A weight that changes over time. Unix seconds. `failed_percent`: of the attempts of late; null: too few to say."""

    before: int
    after: int
    since: float
    until: float
    abort_percent: float | None
    failed_percent: float | None


class NodeDrainStatus(TypedDict):
    """The drain of the node: clients are asked to leave, those that come all the same are served. Fields as of DrainStatus.

    `step`: `dns` (its records leave, and are forgotten), `clients` (they are asked to leave), `routes` (they are made worse, or
    leave), `serving` (what is left), `drained`. A step that nothing waits for takes no time. `step_until`: when it is over at the
    latest; null: with the drain. `step_why`: what it waits for, as one sentence. `timeout_s` and `remaining_s` count from
    `clients` on. `ecmp`: what becomes of established connections when the routes leave, as of an AnnounceReport; null: there are
    none.
    """

    phase: Literal["draining", "drained", "overdue"]
    since: float
    timeout_s: float
    remaining_s: float
    connections: int  # of clients
    in_flight: int
    finish_s: float | None
    step: NotRequired[DrainStep]
    step_since: NotRequired[float]
    step_until: NotRequired[float | None]
    step_why: NotRequired[str]
    then_stop: NotRequired[bool]  # the engine ends when it has drained
    ecmp: NotRequired[EcmpWord | None]


class FleetGlance(TypedDict):
    """What GET /v1/fleet says, in short. `members`: that live, and `ready` of them; `known`: with those that do not live.

    `stale_since`: when the store has answered last, while it does not; null: it answers, or never has. `differs`: settings that
    are other here than the fleet's intents.
    """

    name: str
    node: str
    state: Literal["off", "starting", "synced", "stale"]
    members: int
    ready: int
    known: int
    stale_since: float | None
    differs: int
