"""What draining a node does, and on which nodes an action of servers or pools changes something.

Responsible for these words. Knows nothing of dialogs or of how an order is sent. Invariants: whoever is not changed by an
action is named as well; where the store is silent, it is said what cannot be known.
"""

from __future__ import annotations

from typing import Final

from lbapp.control.fleet import FleetStatus
from lbapp.control.fleet_words import ending, is_ready, living, view_word
from lbapp.control.messages import FleetGlance
from lbapp.tui.actions.effect import Effect
from lbapp.tui.format import count, duration

# What can be done on every node at once. All else is about what this engine alone has: connections, checks, its file.
OF_FLEET: Final = frozenset(
    {
        "server.ready", "server.drain", "server.maint", "server.weight", "server.heavier", "server.lighter",
        "pool.publish", "pool.unpublish",
    }
)  # fmt: skip
_NAMES_MAX: Final = 6


def why_not_fleet(fleet: FleetGlance | None) -> str:
    """Return why nothing can be changed on all nodes now; empty: it can."""
    if fleet is None:
        return "this node is in no fleet: F goes back to this node alone"
    if fleet["state"] != "synced":
        return "the store does not answer, so nothing can be changed on all nodes: F goes back to this node alone"
    return ""


def scope_lines(fleet: FleetStatus, *, is_fleet: bool) -> tuple[str, ...]:
    """Return on which nodes an order changes something, and on which it does not."""
    here = fleet["node"]
    names = [here, *(member["name"] for member in living(fleet["members"]) if member["name"] != here)]
    if is_fleet:
        if fleet["state"] != "synced":
            return (f"! {view_word(fleet, duration)}: nothing can be changed on all nodes now.",)
        return (f"On ALL {len(names)} nodes that live: {listed(names)}.",)
    others = names[1:]
    if not others:
        return ()
    return (f"On {here} ALONE: {listed(others)} {'goes' if len(others) == 1 else 'go'} on as before.",)


def listed(names: list[str]) -> str:
    """Return names, of very many only some."""
    more = f" and {len(names) - _NAMES_MAX} more" if len(names) > _NAMES_MAX else ""
    return ", ".join(names[:_NAMES_MAX]) + more


def drain_effect(fleet: FleetStatus, name: str) -> Effect:
    """Return what draining a node of a fleet does: its steps, who is left, and where established connections end."""
    member = next((each for each in fleet["members"] if each["name"] == name), None)
    state = member["state"] if member else None
    connections = count(state["connections"] if state else None)
    routes, records = (state["announce"], state["dns"]) if state else (None, None)
    steps = [
        f"its record leaves DNS, {duration(records['ttl_s'])}" if records and records["state"] == "published" else ""
    ]
    steps += [f"{connections} connections are asked to leave"]
    steps += ["its routes lead elsewhere" if routes and routes["state"] == "announced" else "", "who is left is served"]
    told = [step for step in steps if step]
    end = ending(state)
    return Effect(
        (
            "Steps: " + ", ".join(f"{number} {step}" for number, step in enumerate(told, 1)) + ".",
            *_ready_lines(fleet, name),
            f"{'! ' if 'END' in end else ''}In step {len(told) - 1}, {end}." if routes else f"{end.capitalize()}.",
        ),
        "B",
        left={"ready nodes": _ready_without(fleet, name)},
    )


def _ready_without(fleet: FleetStatus, name: str) -> int:
    return sum(is_ready(member) for member in fleet["members"] if member["name"] != name)


def _ready_lines(fleet: FleetStatus, name: str) -> tuple[str, ...]:
    known, left = len(fleet["members"]), _ready_without(fleet, name)
    told = f"{left} of {known} nodes {'is' if left == 1 else 'are'} ready then."
    if fleet["state"] != "synced":
        return (f"! {view_word(fleet, duration)}: whether enough nodes are ready cannot be known.",)
    return (f"{'! ' if 2 * left < known else ''}{told}",)
