"""Whether an action is for this node or for all of the fleet: what the console is set to, and the choice in each dialog.

Responsible for this choice and for naming the nodes before something is sent. Knows nothing of keys or of how an order is sent.

Invariants: a console begins with this node alone; while it is set to all nodes that stands in the top line, and when the store
is silent nothing is done then, rather than something else; an order says what it was given for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from lbapp.control.fleet import FleetStatus
from lbapp.control.messages import FleetGlance
from lbapp.tui.actions.catalog import Action
from lbapp.tui.actions.commandline import Spoken
from lbapp.tui.actions.effect import Effect
from lbapp.tui.actions.nodes import OF_FLEET, scope_lines, why_not_fleet
from lbapp.tui.actions.order import Order
from lbapp.tui.dialogs.form import Form, Toggle
from lbapp.tui.dialogs.question import Asked
from lbapp.tui.format import clean

ALL: Final = "ALL NODES"
Filled = Callable[[Order, Form], Order]


class Scope:
    """What the console is set to."""

    def __init__(self) -> None:
        self.is_fleet = False

    def turn(self, fleet: FleetGlance | None) -> str:
        """Be about all nodes from now on, or about this one again; return what is so now. Without a fleet only the latter."""
        self.is_fleet = fleet is not None and not self.is_fleet
        if fleet is None:
            return "from now on what is done is for this node alone, which is in no fleet any more"
        if self.is_fleet:
            return f"from now on what is done to servers and pools is for ALL {fleet['members']} nodes of {clean(fleet['name'])}"
        return f"from now on what is done is for {clean(fleet['node'])} alone"

    def word(self, rights: str) -> str:
        """Return the rights as the top line says them."""
        return f"{rights} {ALL}" if self.is_fleet and rights == "RW" else rights

    def is_for_all(self, spoken: Spoken | None) -> bool:
        """Say whether what can be for all nodes is."""
        return self.is_fleet if spoken is None or spoken.is_fleet is None else spoken.is_fleet

    def wants_fleet(self, action: Action, spoken: Spoken) -> bool:
        """Say whether an action is for all nodes."""
        return self.is_for_all(spoken) and action.id in OF_FLEET

    def why_not(self, action: Action, spoken: Spoken, fleet: FleetGlance | None) -> str:
        """Return why an action cannot be done where it is meant for; empty: it can."""
        return why_not_fleet(fleet) if self.wants_fleet(action, spoken) else ""


def toggle_of(order: Order, fleet: FleetGlance | None) -> list[Toggle]:
    """Return the choice of a dialog; none where there is nothing to choose."""
    if fleet is None or order.action.id not in OF_FLEET:
        return []
    hint = f"of {clean(fleet['name'])}; without it {clean(fleet['node'])} alone"
    return [Toggle("fleet", "All nodes", order.is_fleet, hint, is_asked_about=True)]


def scoped(
    order: Order, asked: Asked, filled: Filled, fleet: FleetGlance | None, ask: Callable[[], Awaitable[FleetStatus]]
) -> tuple[Asked, Filled]:
    """Return what is asked with the choice of the nodes and their names, and how an order is filled in with it."""
    toggles = toggle_of(order, fleet)
    if not toggles:
        return asked, filled
    known = asked.effect

    async def effect() -> Effect:
        found = Effect(tuple(asked.lines), "B") if known is None else await known()
        return replace(found, lines=(*scope_lines(await ask(), is_fleet=toggles[0].is_on), *found.lines))

    def filled_in(order: Order, form: Form) -> Order:
        return replace(filled(order, form), is_fleet=form.is_on("fleet"))

    return replace(asked, fields=[*asked.fields, *toggles], effect=effect), filled_in
