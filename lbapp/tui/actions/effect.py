"""What an order is going to do, in numbers, and how much its operator is asked before it.

Responsible for the words of a dialog and for the class of a certain order. Knows nothing of dialogs or of how an order is sent.
Invariants: figures are those of now, and what is unknown is `-`; an order that the engine would refuse is of class C, whatever
else it is; only such an order `needs_force`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from lbapp.control.changes import PoolPlan, ReloadDone
from lbapp.tui.actions.catalog import Grade
from lbapp.tui.actions.order import Order
from lbapp.tui.format import clean, clock, count, share
from lbapp.tui.scene import Scene, ServerRow

MANY: Final = 10  # servers at once; more are typed
PART_OF_POOL: Final = 0.25  # of its servers, from two at once on; more are typed
_FORGOTTEN: Final = 0.05  # a share that moves by less is not worth a line
_SHARES: Final = 3
_CHANGES: Final = 8


@dataclass(frozen=True, slots=True)
class Effect:
    """What an order does. `lines` that begin with `!` warn; `needs_force`: the engine refuses it unless it is told to.

    `left`: of each pool that force is needed for, how many servers it leaves for new clients; of a fleet, how many ready nodes.
    """

    lines: tuple[str, ...]
    grade: Grade
    needs_force: bool = False
    left: Mapping[str, int] = field(default_factory=dict)

    def covers(self, other: Effect) -> bool:
        """Say whether who agreed to this has agreed to what the other one forces: no more pools, none left with less."""
        return all(pool in self.left and number >= self.left[pool] for pool, number in other.left.items())


def effect_of(order: Order, plans: Sequence[PoolPlan], scene: Scene | None) -> Effect:
    """Return what an order does to servers. `plans`: the engine's, printable; none for what it does not plan."""
    rows = _rows(order, scene)
    lines = [_moved(order, rows, plans)]
    left = {each["pool"]: each["eligible_after"] for each in plans if each["leaves_nobody"] or each["too_little"]}
    needs_force = bool(left)
    for plan in plans:
        lines += _pool_lines(plan)
    why = _why_typed(order, scene)
    if why:
        lines.append(f"! {why}")
    if needs_force:
        lines.append("! The engine refuses this without force.")
    grade: Grade = "C" if needs_force or why or order.action.grade == "C" else "B"
    return Effect(tuple(line for line in lines if line), grade, needs_force, left)


def first_grade(order: Order) -> Grade:
    """Return how much is asked of an order before anything is known of its effect."""
    if order.weight is not None:
        return "B" if order.takes_away or len(order.servers) > MANY else "A"
    return order.action.grade


def word_to_type(order: Order) -> str:
    """Return what has to be typed for an order of class C: the name of its node or pool, or of how many servers it is."""
    if order.node is not None:
        return clean(order.node.name)
    pools = {one.target.pool for one in order.servers} or {order.pool}
    return clean(next(iter(pools))) if len(pools) == 1 else str(len(order.servers))


def reload_effect(done: ReloadDone) -> Effect:
    """Return what going to another configuration does, by its dry run."""
    lines = [f"{each['kind']} {each['what']}{': ' + each['how'] if each['how'] else ''}" for each in done["changes"]]
    if len(lines) > _CHANGES:
        lines = [*lines[:_CHANGES], f"and {len(lines) - _CHANGES} more"]
    lines += [f"! {warning}" for warning in done["warnings"]]
    return Effect(tuple(lines or ["Nothing changes."]), "B")


def node_effect(scene: Scene | None) -> Effect:
    """Return what draining the node does."""
    listeners = scene.listeners if scene else []
    connections = sum(each.connections or 0 for each in listeners)
    return Effect(
        (
            f"{count(connections)} connections of clients are asked to leave; who comes all the same is served.",
            "Lead new clients elsewhere first: DNS, or the route to this node.",
        ),
        "B",
    )


def _rows(order: Order, scene: Scene | None) -> list[ServerRow]:
    found = [scene.by_target(one.target) for one in order.servers] if scene else []
    return [row for row in found if row is not None]


def _moved(order: Order, rows: Sequence[ServerRow], plans: Sequence[PoolPlan]) -> str:
    """Return what becomes of requests in flight, and where those to come go."""
    in_flight = sum(row.in_flight or 0 for row in rows)
    rates = [row.requests_per_s for row in rows if row.requests_per_s is not None]
    rate = count(sum(rates)) if rates else "-"
    if order.action.id == "server.kill":
        return f"{in_flight} in flight are ended now, by force; their clients see an error."
    if order.weight is not None and not order.takes_away:
        return ""
    others = sum(plan["eligible_after"] for plan in plans)
    whom = f"move to {others} other server{'' if others == 1 else 's'}" if others else "have nowhere to go"
    ends = " within the timeout" if order.state == "drain" else ""
    return f"{in_flight} in flight finish{ends}, {rate} req/s {whom}."


def _pool_lines(plan: PoolPlan) -> list[str]:
    name, total = plan["pool"], len(plan["shares"])
    before, after = plan["eligible_before"], plan["eligible_after"]
    lines = [f"{after} of {total} servers of {name} stay for new clients ({before} now)."]
    grown = sorted(plan["shares"], key=lambda each: each["before"] - each["after"])[:_SHARES]
    told = [
        f"{each['server'].partition('/')[2]} {share(each['before'])} -> {share(each['after'])}"
        for each in grown
        if each["after"] - each["before"] >= _FORGOTTEN
    ]
    if told:
        lines.append(f"Shares: {', '.join(told)}")
    if plan["keys_moved"]:
        lines.append(f"{share(plan['keys_moved'])} of the keys move to another server.")
    if plan["peak_at"] is not None:
        lines.append(f"Peak of the last hour: {plan['peak_in_flight']} in flight at {clock(plan['peak_at'])}.")
    if plan["leaves_nobody"]:
        instead = f"pool {plan['failover']} takes over" if plan["failover"] else "new clients get 503"
        lines.append(f"! NONE stays: {instead}.")
    if plan["too_little"]:
        lines.append(f"! Too few are left: {plan['too_little']}.")
    return lines


def _why_typed(order: Order, scene: Scene | None) -> str:
    """Return why an order is of class C by its size; empty: it is not. One server alone never is."""
    number = len(order.servers)
    if number > MANY:
        return f"This is about {number} servers."
    if number < 2 or not order.takes_away or scene is None:
        return ""
    for name in dict.fromkeys(one.target.pool for one in order.servers):
        part = sum(one.target.pool == name for one in order.servers)
        total = sum(row.target.pool == name for row in scene.servers())
        if total and part >= 2 and part / total > PART_OF_POOL:
            return f"This is about {part} of the {total} servers of {name}."
    return ""
