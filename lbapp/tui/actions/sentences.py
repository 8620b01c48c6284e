"""How an order went, in one sentence.

Responsible for these words alone. Knows nothing of how an order is sent. Invariant: what a sentence is made of is printable, and
so is the sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from lbapp.control.changes import ChangeDone, ServerChange
from lbapp.control.messages import ProbeStatus
from lbapp.tui.actions.order import Order
from lbapp.tui.format import clean

_WISHES: Final = ("state", "weight", "weight_add", "weight_percent")


def upper(value: object) -> str:
    """Return a state or a number as the console writes it."""
    return clean(str(value)).replace("_", " ").upper()


def asking(ids: Sequence[str], patch: Mapping[str, object]) -> str:
    """Return that something is asked for."""
    wish = ", ".join(f"{field.replace('_', ' ')} {upper(patch[field])}" for field in _WISHES if field in patch)
    return f"{named(ids)}: asking for {wish}"


def named(ids: Sequence[str]) -> str:
    """Return servers in a few words."""
    return ids[0] if len(ids) == 1 else f"{ids[0]} and {len(ids) - 1} more" if ids else "nothing"


def done(changes: Sequence[ServerChange]) -> str:
    """Return what a change of servers did; empty changes are said to be none."""
    told = [(change, _fields(change)) for change in changes]
    changed = [(change, fields) for change, fields in told if fields]
    if not changed:
        server = changes[0]["server"]
        if len(changes) > 1:
            return f"{len(changes)} servers are so already"
        return f"{clean(server['id'])} is so already: {upper(server['admin'])}, weight {server['weight']}"
    change, fields = changed[0]
    words = f"{clean(change['server']['id'])}: {', '.join(fields)}"
    if len(changed) > 1:
        words += f", and {len(changed) - 1} more"
    return f"{words}   (z undoes)"


def _fields(change: ServerChange) -> list[str]:
    before, after, ramp = change["before"], change["after"], change["server"]["ramp"]
    found = [
        f"{field} {upper(before[field])} -> {upper(after[field])}"
        for field in ("state", "weight")
        if field in after and before.get(field) != after[field]
    ]
    if ramp is not None and "weight_goal" in after:
        found = [*(each for each in found if not each.startswith("weight")), f"weight on its way to {ramp['after']}"]
    return found


def node_done(order: Order) -> str:
    """Return what became of a node; what was asked of another one, it does as it hears of it."""
    name, back = "the node" if order.node is None or order.node.is_self else clean(order.node.name), "   (z undoes)"
    if order.action.id == "node.ready":
        return f"nobody is asked to leave {name} any more{back}"
    stop = ", and its engine ends then" if order.then_stop else ""
    return f"{name} drains: clients are asked to leave{stop}{back}"


def undone(changes: Sequence[ChangeDone]) -> str:
    """Return what an undo did."""
    if not changes:
        return "undone: everything was as before already"
    first = changes[0]
    words = f"{clean(first['on'])}: {first['setting']} {upper(first['before'])} -> {upper(first['after'])}"
    return f"undone: {words}" + (f", and {len(changes) - 1} more" if len(changes) > 1 else "")


def probed(found: Sequence[tuple[str, ProbeStatus]]) -> str:
    """Return what health checks found that were asked for."""
    if len(found) == 1:
        server_id, probe = found[0]
        return f"{server_id}: {clean(probe['reason'])} in {probe['duration_s'] * 1000:.0f} ms"
    good = sum(probe["is_success"] for _, probe in found)
    bad = [server_id for server_id, probe in found if not probe["is_success"]]
    return f"{good} of {len(found)} checks succeeded" + (f"; not {named(bad)}" if bad else "")
