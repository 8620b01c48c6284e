"""The part of the keys that has to do with the fleet: for which nodes an order is, and the drain of a node.

Responsible for which node is meant, for the dialog of its drain, and for asking about the fleet. Knows nothing of servers, and
nothing of how an order is sent. Invariants: those of `acting`; a node is the one that was under the cursor, or was named, when
the key was pressed; where it is not clear which, none is meant.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from textual import work

from lbapp.control import calls
from lbapp.control.fleet import FleetStatus
from lbapp.control.messages import FleetGlance
from lbapp.model.errors import LbappError
from lbapp.tui.actions.catalog import Subject
from lbapp.tui.actions.commandline import Spoken
from lbapp.tui.actions.effect import Effect
from lbapp.tui.actions.node_seen import NodeSeen, seen_node
from lbapp.tui.actions.order import Order
from lbapp.tui.changes import Changes, Outcome
from lbapp.tui.dialogs.form import Field, Form, Line, Toggle
from lbapp.tui.dialogs.question import Asked
from lbapp.tui.filling import REASON_CELLS, check_timeout, filled
from lbapp.tui.format import clean
from lbapp.tui.pane import Pane
from lbapp.tui.scoping import Scope
from lbapp.tui.source import Source
from lbapp.tui.sparing import SparingScreen
from lbapp.tui.staging import clean_value


class FleetActing(SparingScreen[None]):
    """The actions of the shell, as far as they are about nodes."""

    source: Source
    changes: Changes | None
    scope: Scope

    @property
    def pane(self) -> Pane:
        """What the operator sees."""
        raise NotImplementedError

    def tell(self, outcome: Outcome) -> None:
        """Show how something went."""
        raise NotImplementedError

    def act(self, spoken: Spoken) -> None:
        """Do what was asked for."""
        raise NotImplementedError

    def _carry_out(self, order: Order, agreed: Effect | None = None) -> None:
        raise NotImplementedError

    def _ask(
        self, order: Order, asked: Asked, filled: Callable[[Order, Form], Order] = lambda order, _form: order
    ) -> None:
        raise NotImplementedError

    @property
    def fleet(self) -> FleetGlance | None:
        """The fleet of this node; None: it is alone."""
        return self.source.scene.fleet if self.source.scene else None

    async def _ask_fleet(self) -> FleetStatus:
        return clean_value(await self.source.ask(calls.fleet()))  # type: ignore[no-any-return]  # of the shape that came

    def _node_meant(self, spoken: Spoken | None) -> tuple[NodeSeen | None, bool]:
        """Return the node that was named or that the cursor is on, and whether this one is meant by none."""
        if spoken is not None and spoken.is_of_nodes:
            return spoken.node, True
        return self.pane.node_here, self.pane.is_of_nodes

    def _node(self, changes: Changes, order: Order, spoken: Spoken, _subject: Subject) -> None:
        if order.action.id == "node.ready":
            self._carry_out(order)
            return
        timeout = Line()
        timeout.set(spoken.text)
        fields = (
            Field("timeout", "Timeout", timeout, hint="empty: 5m"),
            Field("reason", "Reason", Line(), REASON_CELLS),
        )
        stop = [] if self.fleet is None else [Toggle("stop", "Then stop", hint="its engine ends when it is drained")]
        asked = Asked(
            f"Drain {self._node_words(order)}?", "Drain", fields=[*fields, *stop], effect=lambda: changes.effect(order),
            check=check_timeout,
        )  # fmt: skip
        self._ask(order, asked, filled)

    def _node_words(self, order: Order) -> str:
        """Return the node that an order is about, and that it is this one where it is."""
        fleet = self.fleet
        if order.node is not None and not order.node.is_self:
            return f"node {order.node.name}"
        return "this node" if fleet is None else f"this node, {clean(fleet['node'])}"

    @work(group="node", exclusive=True)
    async def _find_node(self, spoken: Spoken) -> None:
        """Go on with the node of a name, as the fleet knows it now."""
        try:
            members = (await self._ask_fleet())["members"]
        except LbappError as error:
            self.tell(Outcome(clean(str(error)), is_refused=True))
            return
        found = next(
            (seen_node(each) for each in members if each["name"] == spoken.node_name and each["is_alive"]), None
        )
        if found is None:
            names = ", ".join(each["name"] for each in members if each["is_alive"])
            self.tell(Outcome(f"no node that lives is named {spoken.node_name}: there are {names}", is_refused=True))
        else:
            self.act(replace(spoken, node=found, is_of_nodes=True, node_name=""))
