"""The keys that change something.

Responsible for asking the operator before it, and for handing over what he said yes to. Knows nothing of panes beyond
their selection. Invariants: a change names the servers that were selected when its key was pressed; without the right
to change anything these keys do not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, Final

from textual.binding import Binding, BindingType
from textual.screen import Screen

from lbapp.control.messages import AdminWord
from lbapp.tui.changes import Changes, Outcome
from lbapp.tui.dialogs.confirm import Confirm
from lbapp.tui.dialogs.weight import AskWeight
from lbapp.tui.pane import Pane
from lbapp.tui.scene import ServerRow
from lbapp.tui.source import Source
from lbapp.tui.wording import effect_of

ACTING: Final = frozenset({"drain", "maint", "ready", "weight", "add_weight", "undo"})


class Acting(Screen[None]):
    """The actions of the shell; without `changes` there are none."""

    source: Source
    changes: Changes | None

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "drain", "drain", priority=True, id="server.drain"),
        Binding("m", "maint", "maint", priority=True, id="server.maint"),
        Binding("e", "ready", "ready", id="server.ready"),
        Binding("w", "weight", "weight", priority=True, id="server.weight"),
        Binding("plus", "add_weight(10)", "weight + 10", show=False, id="server.heavier"),
        Binding("minus", "add_weight(-10)", "weight - 10", show=False, id="server.lighter"),
        Binding("z", "undo", "undo", id="undo"),
    ]

    @property
    def pane(self) -> Pane:
        """What the operator sees."""
        raise NotImplementedError

    def tell(self, outcome: Outcome) -> None:
        """Show how something went."""
        raise NotImplementedError

    def _selected(self) -> ServerRow | None:
        chosen, scene = self.pane.selection, self.source.scene
        found = scene.server(chosen[0]) if chosen and scene else None
        if found is None:
            self.tell(Outcome("select a server first: 3 shows all, Enter on a pool its own"))
        return found

    def _change(self, work: Coroutine[Any, Any, None]) -> None:
        self.run_worker(work, group="change")

    def action_ready(self) -> None:
        """Make the server ready."""
        server = self._selected()
        if server and self.changes:
            self._change(self.changes.set_state(server.id, "ready"))

    def action_drain(self) -> None:
        """Ask, then drain the server."""
        self._ask_state("drain", "Drain")

    def action_maint(self) -> None:
        """Ask, then put the server into maintenance."""
        self._ask_state("maint", "Maint")

    def _ask_state(self, state: AdminWord, verb: str) -> None:
        server, changes = self._selected(), self.changes
        if server and changes:
            server_id = server.id
            self._ask(server, state, verb, lambda: changes.set_state(server_id, state))

    def _ask(self, server: ServerRow, effect: str, verb: str, change: Callable[[], Any]) -> None:
        def answered(is_yes: bool | None) -> None:
            if is_yes:
                self._change(change())

        pool = self.source.scene.pool(server.pool) if self.source.scene else None
        self.app.push_screen(Confirm(f"{verb} {server.id}?", effect_of(effect, server, pool), verb), answered)

    def action_weight(self) -> None:
        """Ask for a weight; 0 is confirmed like a drain."""
        server, changes = self._selected(), self.changes
        if not server or not changes:
            return

        def answered(weight: int | None) -> None:
            if weight == 0:
                self._ask(server, "weight 0", "Weight 0", lambda: changes.set_weight(server.id, 0))
            elif weight is not None:
                self._change(changes.set_weight(server.id, weight))

        configured = server.weight if server.configured_weight is None else server.configured_weight
        self.app.push_screen(AskWeight(server.id, server.weight, configured), answered)

    def action_add_weight(self, step: int) -> None:
        """Make the server's weight larger or smaller."""
        server = self._selected()
        if server and self.changes:
            self._change(self.changes.add_weight(server.id, step))

    def action_undo(self) -> None:
        """Take back the last change of this console."""
        if self.changes:
            self._change(self.changes.undo())
