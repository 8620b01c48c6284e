"""One thing that an operator wants done, whole: what, to which servers or pool, and as he saw them.

Responsible for weights as they are typed, and for the messages that an order is sent as. Knows nothing of dialogs or answers.
Invariants: an order names ids and real targets, never rows; it never says `force` by itself; a weight that is typed stays within
what a weight may be.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from lbapp.config.values import duration_s
from lbapp.control.changes import NewServer, NodePatch, ServersPatch
from lbapp.control.messages import AdminWord
from lbapp.model.states import WEIGHT_MAX
from lbapp.tui.actions.catalog import Action
from lbapp.tui.actions.node_seen import NodeSeen
from lbapp.tui.scene import ServerRow, Target

PERCENT_OF: Final = "50% is half of what the file says"
WEIGHT_FORMS: Final = f"write 0 to {WEIGHT_MAX}, +10, -10, 50%, or 50 over 5m"
_WEIGHT = re.compile(r"([+-]?)(\d{1,3})(%?)(?:\s+over\s+(\S+))?").fullmatch


@dataclass(frozen=True, slots=True)
class WeightWish:
    """A weight as it is wanted: `to` a number, `by` so much more or less, or `percent` of what the file says."""

    number: int
    kind: Literal["to", "by", "percent"] = "to"
    over_s: float | None = None

    @property
    def takes_away(self) -> bool:
        """Say whether no new client comes by it."""
        return self.number == 0 and self.kind != "by"


def weight_wish(text: str) -> WeightWish:
    """Return what was typed. Raises ValueError with a sentence."""
    match = _WEIGHT(text.strip())
    if match is None:
        raise ValueError(f"{text.strip() or 'nothing'} is no weight: {WEIGHT_FORMS}")
    sign, digits, percent, over = match.groups()
    over_s = duration_s(over) if over else None
    if sign and percent:
        raise ValueError(f"{sign}{digits}% is no weight: {WEIGHT_FORMS}")
    number = int(digits)
    if sign:
        return WeightWish(-number if sign == "-" else number, "by", over_s)
    if percent:
        return WeightWish(number, "percent", over_s)
    if number > WEIGHT_MAX:
        raise ValueError(f"{number} is no weight: {WEIGHT_FORMS}")
    return WeightWish(number, "to", over_s)


@dataclass(frozen=True, slots=True)
class Seen:
    """A server as it was when its key was pressed. `goal`: its weight, or the one that it is on its way to."""

    id: str
    target: Target
    address: str
    admin: str
    goal: int
    changed_at: float | None

    def differs(self, row: ServerRow) -> bool:
        """Say whether somebody has changed the server since."""
        now = seen(row)
        return (now.address, now.admin, now.goal, now.changed_at) != (
            self.address,
            self.admin,
            self.goal,
            self.changed_at,
        )


def seen(row: ServerRow) -> Seen:
    """Return a server as it is now."""
    goal = row.weight if row.ramp is None else row.ramp.after
    return Seen(row.id, row.target, row.address, row.admin, goal, row.changed_at)


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done. `pool`: its real name; `revision`: of the scene that was seen, None for what may come at any moment.

    `is_fleet`: on every node; `node`: the one that it is about, None for this one; `then_stop`: its engine, when drained.
    `configuration`: the number of the one that serves.
    """

    action: Action
    servers: tuple[Seen, ...] = ()
    pool: str = ""
    state: AdminWord | None = None
    weight: WeightWish | None = None
    timeout_s: float | None = None
    is_hard: bool = False
    reason: str = ""
    revision: int | None = None
    new: NewServer | None = None
    is_fleet: bool = False
    node: NodeSeen | None = None
    then_stop: bool = False
    configuration: int = 0

    def only(self, servers: Sequence[Seen]) -> Order:
        """Return the same for some of its servers."""
        return replace(self, servers=tuple(servers))

    @property
    def takes_away(self) -> bool:
        """Say whether servers get fewer clients by it, or none."""
        if self.weight is not None:
            return self.weight.takes_away
        return self.state in ("drain", "maint") or self.action.id in ("server.kill", "server.remove")


def patch_of(order: Order) -> ServersPatch:
    """Return the order as a change of its servers."""
    patch: ServersPatch = {"servers": [one.target.id for one in order.servers]}
    if order.state is not None:
        patch["state"] = order.state
    if order.state == "drain":
        patch["hard"] = order.is_hard
        if order.timeout_s is not None:
            patch["drain_timeout_s"] = order.timeout_s
    if order.weight is not None:
        _weigh(patch, order.weight)
    if order.reason:
        patch["reason"] = order.reason
    if order.is_fleet:
        patch["fleet"] = True
    return patch


def node_patch_of(order: Order, *, is_forced: bool) -> NodePatch:
    """Return the order as a change of a node."""
    patch: NodePatch = {"state": "ready" if order.action.id == "node.ready" else "drain", "reason": order.reason}
    if order.node is not None and not order.node.is_self:
        patch["node"] = order.node.name
    if order.timeout_s is not None:
        patch["drain_timeout_s"] = order.timeout_s
    if order.then_stop:
        patch["then_stop"] = True
    if is_forced:
        patch["force"] = True
    return patch


def _weigh(patch: ServersPatch, wish: WeightWish) -> None:
    if wish.kind == "by":
        patch["weight_add"] = wish.number
    elif wish.kind == "percent":
        patch["weight_percent"] = wish.number
    else:
        patch["weight"] = wish.number
    if wish.over_s is not None:
        patch["over_s"] = wish.over_s
