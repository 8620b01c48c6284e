"""What the nodes of a fleet share, and the two ports between an engine and what keeps it in touch with the others.

Responsible for the values that engine, store side, command line and console agree on, and for the names of the two ports. Knows
nothing of the store, of HTTP or of how a node makes a change.

Invariants: all values are immutable; a view is whole, and says how old it is; times are Unix seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from lbapp.model.journal import Setting, Value

IntentKey = tuple[str, Setting]


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """The `[cluster]` table. `endpoints`: where the store answers, such as `http://10.0.0.1:2379`; empty: there is none.

    `password_file` belongs to `user`. `ready_min`: a node is not drained where fewer would be ready then; None: half of all.
    """

    name: str = "lbapp"
    node: str = ""
    endpoints: tuple[str, ...] = ()
    user: str = ""
    password_file: str | None = None
    ca_file: str | None = None
    lease_s: float = 10.0
    ready_min: int | None = None

    @property
    def place(self) -> tuple[str, str]:
        """What a node is one of, and its name there."""
        return self.name, self.node

    def is_same_link(self, other: ClusterSettings) -> bool:
        """Say whether a store side that was made by the other serves these as well."""
        return replace(self, ready_min=other.ready_min) == other


class StoreState(str, Enum):
    """How it stands with the store."""

    OFF = "off"  # there is none: a single node
    STARTING = "starting"  # it has not answered yet
    SYNCED = "synced"
    STALE = "stale"  # it has answered, but not of late


@dataclass(frozen=True, slots=True)
class FleetIntent:
    """What an operator wants of one setting on every node. `on`: a server (`pool/server`), a pool, or `node/NAME`.

    `in_file`, `until`, `start` and `abort_percent` mean what they mean in a `Change`. `by` and `node`: who asked for it, and
    where. `undoes`: the revisions of the actions of the fleet that it takes back. `then_stop`: a node stops when it has drained.
    `revision`: of the store, when it was written; 0: it has not been. `more`: what a later version says besides, as it said it.
    """

    on: str
    setting: Setting
    value: Value
    in_file: Value
    by: str
    node: str
    at: float
    reason: str = ""
    until: float | None = None
    start: int | None = None
    is_forced: bool = False
    abort_percent: float | None = None
    undoes: tuple[int, ...] = ()
    then_stop: bool = False
    revision: int = 0
    more: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def key(self) -> IntentKey:
        """What it is about."""
        return self.on, self.setting


@dataclass(frozen=True, slots=True)
class Member:
    """A node of the fleet as the others know it. `state`: the figures that it publishes, as of `control.fleet.MemberState`.

    `is_alive`: its lease lives, as far as is known; `seen_at`: when anything came of it last. `is_unsure`: it was a member by
    another store than the one that is asked now, and has not come to this one: nobody here knows whether it lives.
    """

    name: str
    card: Mapping[str, Any]
    state: Mapping[str, Any] = field(default_factory=dict)
    is_alive: bool = True
    seen_at: float = 0.0
    is_unsure: bool = False


class RollMode(str, Enum):
    """How a configuration reaches the nodes."""

    ALL = "all"  # at once
    ROLLING = "rolling"  # node by node, with a stop at the first that fails


@dataclass(frozen=True, slots=True)
class FleetConfiguration:
    """The configuration that the nodes of a fleet are to serve. `number` counts up; 0: there is none.

    `order`: the nodes of a roll; `reached`: how many of them may serve it already. `stopped`: why a roll has ended early. `more`:
    what a later version says besides, as it said it: who moves or stops a roll leaves it there.
    """

    number: int = 0
    mode: RollMode = RollMode.ALL
    by: str = ""
    node: str = ""
    at: float = 0.0
    reason: str = ""
    order: tuple[str, ...] = ()
    reached: int = 0
    stopped: str = ""
    digest: str = ""  # of the text
    revision: int = 0  # of the store
    more: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class ConfigurationResult:
    """What came of one configuration on one node. `error`: one sentence; empty: it serves.

    `has_only_begun`: nothing has come of it yet, but the node has begun to serve by it; `error` is empty then.
    """

    number: int
    node: str
    at: float
    error: str = ""
    has_only_begun: bool = False


@dataclass(frozen=True, slots=True)
class FleetView:
    """What a node knows of its fleet. `confirmed_at`: when the store last answered that this is so; 0: never.

    `began`: the name of the store's data, in which alone its revisions and numbers mean something; empty: none is known.
    """

    state: StoreState = StoreState.OFF
    problem: str = ""  # why it is not synced, or what is wrong although it is, as one sentence
    confirmed_at: float = 0.0
    revision: int = 0  # of the store
    members: Mapping[str, Member] = field(default_factory=dict)
    intents: Mapping[IntentKey, FleetIntent] = field(default_factory=dict)
    configuration: FleetConfiguration = field(default_factory=FleetConfiguration)
    results: Mapping[str, ConfigurationResult] = field(default_factory=dict)
    began: str = ""

    @property
    def alive(self) -> list[Member]:
        """The members that live, by name."""
        return [member for _, member in sorted(self.members.items()) if member.is_alive]


ALONE = FleetView()


class Node(Protocol):
    """The engine, as the store side knows it. No call waits for the store."""

    @property
    def name(self) -> str:
        """The name of this node."""

    def card(self) -> dict[str, Any]:
        """Return who this node is, as JSON."""

    def state(self) -> dict[str, Any]:
        """Return what this node carries, as JSON: a `control.fleet.MemberState`."""

    def applied(self, began: str) -> Mapping[IntentKey, int]:
        """Return the revision of the last intent that was made here, of each setting, if it is one of the data of that name."""

    async def take_intents(self, intents: Sequence[FleetIntent]) -> None:
        """Make intents that are newer than what was made here, the first written first. What cannot be made is an event.

        They are newer even where their revision is lower: a store that was emptied counts from 1 again. What `applied` returns
        is the revision of the last that was made, not the highest. One that was proposed here may come a second time.
        """

    async def take_configuration(
        self, configuration: FleetConfiguration, text: str, *, has_ended: bool = False, was_away: bool = False
    ) -> ConfigurationResult:
        """Serve by a configuration of the fleet, or say why not.

        `has_ended`: the node began to before, and ended meanwhile; `was_away`: it was no member when that was written.
        """

    def take_members(self, names: Sequence[str]) -> None:
        """Be told who lives, by name, this node included: a total for the fleet is shared among them."""

    def tell(self, kind: str, message: str) -> None:
        """Make an event of something about the fleet."""


class Fleet(Protocol):
    """The store side, as the engine knows it."""

    @property
    def view(self) -> FleetView:
        """What is known of the fleet. Never waits."""

    @property
    def age_s(self) -> float | None:
        """How old the view is (seconds), whatever was done to the clock since; None: there never was one."""

    async def run(self, node: Node) -> None:
        """Keep in touch until cancelled, and leave the fleet then. Never raises."""

    def give_way(self) -> None:
        """Have the end of `run` not leave the fleet: another store side of this engine takes the node's place at once."""

    async def propose(self, intents: Sequence[FleetIntent], seen: Mapping[IntentKey, int]) -> list[FleetIntent]:
        """Write intents, all or none, unless one of them was changed since `seen` (0: there was none); return them as written.

        Raises RequestRefused 409 changed with who it was, 413 too_many, 400 unwritable, 503 fleet_refused, and
        503 fleet_unreachable: its message says whether nothing was changed or whether that is not known.
        """

    async def publish(self, configuration: FleetConfiguration, text: str) -> FleetConfiguration:
        """Have all nodes serve by a text, unless another was published since; return what was written.

        Of `configuration`, `revision` is that of the one that the caller has seen (0: there was none), and `mode`, `by` and
        `reason` are what is wanted; `order`: of a roll, empty: the members by name. All else is set here. Raises RequestRefused
        409 changed, rolling, 413 too_long, 400 unwritable, 503 fleet_refused, fleet_unreachable (as of `propose`).
        """

    async def stop_roll(self, reason: str, by: str) -> FleetConfiguration:
        """Let a roll go no further. Raises RequestRefused 409 not_rolling, 503 as of `propose`."""

    async def text_of(self, number: int) -> str:
        """Return the text of a configuration of the fleet. Raises RequestRefused 404, 502 damaged, 503 as of `propose`."""


# Makes the store side of an engine. The path: where the last whole view is kept.
FleetMaker = Callable[[ClusterSettings, Path], Fleet]
