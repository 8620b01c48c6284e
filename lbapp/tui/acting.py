"""The keys that change something: what they are about, what is asked before, and what is handed over.

Responsible for turning a key, a line of words or a choice into an order, and for asking its operator by its class. Knows nothing
of panes beyond their selection, and nothing of how an order is sent.

Invariants: an order names the servers that were selected when its key was pressed, and their real targets; without the right to
change anything these keys do not exist; what the engine refuses is forced only when its operator has typed a name for that.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, ClassVar, Final

from textual import work
from textual.binding import Binding, BindingType

from lbapp.control.messages import AdminWord
from lbapp.model.errors import RequestRefused
from lbapp.tui.actions.catalog import ACTIONS, CATALOG, GONE, NO_POOL, NO_SERVER, Action, Subject
from lbapp.tui.actions.commandline import Spoken
from lbapp.tui.actions.effect import Effect, first_grade, word_to_type
from lbapp.tui.actions.order import PERCENT_OF, WEIGHT_FORMS, Order, WeightWish, seen, weight_wish
from lbapp.tui.changes import PLAN_CHANGED, Changes, Outcome
from lbapp.tui.dialogs.form import Field, Form, Line, Part, Toggle
from lbapp.tui.dialogs.question import Asked, Question, Yes
from lbapp.tui.filling import REASON_CELLS, check_new, check_timeout, check_weight, filled, new_server
from lbapp.tui.fleet_acting import FleetActing
from lbapp.tui.format import clean, count, duration
from lbapp.tui.rights import Rights
from lbapp.tui.scene import PoolRow
from lbapp.tui.scoping import scoped, toggle_of
from lbapp.tui.sight import Sight

STEP: Final = 10
_NOT_LIVE: Final = "the figures are not of now: nothing is changed until they are LIVE again"


class Acting(FleetActing):
    """The actions of the shell; without `changes` there are none."""

    rights: Rights
    sight: Sight

    # All with priority, as the keys of lists have it: then what is typed in one go is done in its order, and a change is about
    # what was selected when its key came.
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            action.key, f"act('{action.id}')", action.title, priority=True, id=action.id,
            show=action.id in ("server.drain", "server.maint", "server.ready", "server.weight"),
        )
        for action in CATALOG
        if action.key
    ]  # fmt: skip

    @property
    def why_not_change(self) -> str:
        """Why nothing can be changed now; empty: it can."""
        raise NotImplementedError

    # ---- what it is about

    def subject(self, spoken: Spoken | None = None) -> Subject:
        """Return what an action would be about now: what was named, else what is selected."""
        scene = self.source.scene
        if scene is None:
            return Subject(None)
        is_fleet = self.scope.is_for_all(spoken)
        if spoken is not None and spoken.pool is not None:
            return Subject(scene, (), spoken.pool, is_fleet=is_fleet)
        if spoken is not None and spoken.servers is not None:
            rows = list(spoken.servers)
        else:
            rows = [row for row in map(scene.server, self.pane.selection) if row is not None]
        pools = {row.pool for row in rows} or {clean(self.pane.pool_here)}
        pool = scene.pool(next(iter(pools))) if len(pools) == 1 else None
        return Subject(scene, rows, pool, *self._node_meant(spoken), is_fleet)

    def why_not(self, action: Action, subject: Subject) -> str:
        """Return why an action is not possible now; empty: it is."""
        if self.why_not_change:
            return self.why_not_change
        if not self.source.is_live:
            return _NOT_LIVE
        why, table = action.why_not(subject), self.pane.table
        return GONE if why in (NO_SERVER, NO_POOL) and table is not None and table.hand.is_startled else why

    def _why_not_shown(self, subject: Subject) -> str:
        """Return why servers are not what a list that is held still shows; empty: they are, or this console has changed them."""
        shown = self.sight.scene
        if shown is None or shown is self.source.scene or self.changes is None:
            return ""
        for row in subject.servers:
            was = shown.server(row.id)
            if was is not None and not self.changes.is_own(was, row):
                return f"{row.id} was changed since the pause: p shows it"
        return ""

    def action_act(self, action_id: str) -> None:
        """Do what a key stands for, or ask before."""
        self.act(Spoken("do", action=action_id))

    def act(self, spoken: Spoken) -> None:
        """Do what was asked for, or ask before, or say why it is not possible."""
        action, subject = ACTIONS[spoken.action], self.subject(spoken)
        if spoken.node_name:
            self._find_node(spoken)
            return
        why = (
            self.why_not(action, subject)
            or self.scope.why_not(action, spoken, self.fleet)
            or (self._why_not_shown(subject) if action.about == "servers" else "")
        )
        if why or self.changes is None:
            self.tell(Outcome(why, is_refused=True))
            return
        if action.about == "history":
            self._go_back(self.changes, is_undo=action.id == "undo")
            return
        servers = tuple(seen(row) for row in subject.servers) if action.about == "servers" else ()
        order = Order(
            action, servers, pool=_real_name(subject.pool), revision=self.changes.revision_of(servers),
            is_fleet=self.scope.wants_fleet(action, spoken), node=subject.node if action.about == "node" else None,
        )  # fmt: skip
        _WAYS[action.id](self, self.changes, order, spoken, subject)

    # ---- doing

    @work(group="change")
    async def _change(self, change: Callable[[], Coroutine[Any, Any, None]]) -> None:
        await change()

    def _carry_out(self, order: Order, agreed: Effect | None = None) -> None:
        """Hand an order over; when the engine refuses it, have its operator type a name before it is forced.

        `agreed`: the effect that he has said yes to.
        """
        changes = self.changes
        if changes is None:
            return

        async def change() -> None:
            refused = await changes.carry_out(order, agreed)
            self.refresh_bindings()
            if refused is None:
                return
            left = [f"! {why}: left out" for why in changes.left_out(order)[1]]

            async def effect() -> Effect:
                found = await changes.effect(order)
                lines = (_refusal(refused), *left, *found.lines)
                # Whether a node may go no plan says, so the refusal itself does.
                return replace(
                    found, lines=lines, grade="C", needs_force=found.needs_force or order.action.about == "node"
                )

            asked = Asked(_title(refused), "Force", word=word_to_type(order), effect=effect)
            self.app.push_screen(Question(asked), lambda yes: self._carry_out(order, yes.effect) if yes else None)

        self._change(change)

    def _go_back(self, changes: Changes, *, is_undo: bool, forced: int | None = None, agreed: str = "") -> None:
        """Undo or redo. `forced`: the number of the action that this is about, now that its operator has typed a name.

        `agreed`: the code of the refusal that he has typed it for.
        """

        async def change() -> None:
            way = changes.undo if is_undo else changes.redo
            refused = await way(forced, agreed=agreed)
            action = changes.went_back_on
            if refused is not None and action is not None:
                number, names = action["number"], {one["on"] for one in action["changes"]}
                pools = {name.partition("/")[0] for name in names}
                word = clean(next(iter(pools))) if len(pools) == 1 else str(len(names))
                asked = Asked(_title(refused), "Force", word=word, is_typed=True, lines=(_refusal(refused),))

                def answered(yes: Yes | None) -> None:
                    if yes is not None:
                        self._go_back(changes, is_undo=is_undo, forced=number, agreed=refused.code)

                self.app.push_screen(Question(asked), answered)

        self._change(change)

    def _ask(
        self, order: Order, asked: Asked, filled: Callable[[Order, Form], Order] = lambda order, _form: order
    ) -> None:
        """Ask, and hand the order over as it was filled in."""
        asked, filled = scoped(order, asked, filled, self.fleet, self._ask_fleet)

        def answered(yes: Yes | None) -> None:
            if yes is not None:
                self._carry_out(filled(order, yes.form), yes.effect)

        self.app.push_screen(Question(asked), answered)

    def _asked(self, changes: Changes, order: Order, verb: str) -> Asked:
        """Return what is asked of an order whose effect the engine is asked for."""
        names = [one.id for one in order.servers]
        what = f"{names[0]} ({order.servers[0].address})" if len(names) == 1 else f"{len(names)} servers"
        return Asked(
            f"{verb} {what}?", verb, names if len(names) > 1 else (), word_to_type(order),
            effect=lambda: changes.effect(order), watch=lambda: changes.left_out(order)[1],
        )  # fmt: skip

    # ---- the ways of the actions

    def _at_once(self, _changes: Changes, order: Order, _spoken: Spoken, _subject: Subject) -> None:
        states: dict[str, AdminWord] = {"server.ready": "ready"}
        steps = {"server.heavier": STEP, "server.lighter": -STEP}
        weight = WeightWish(steps[order.action.id], "by") if order.action.id in steps else None
        self._carry_out(replace(order, state=states.get(order.action.id), weight=weight, revision=None))

    def _state(self, changes: Changes, order: Order, spoken: Spoken, _subject: Subject) -> None:
        """Ask, then drain or put into maintenance."""
        is_drain = order.action.id == "server.drain"
        order = replace(order, state="drain" if is_drain else "maint")
        fields: list[Part] = [Field("reason", "Reason", Line(), REASON_CELLS)]
        if is_drain:
            timeout = Line()
            timeout.set(spoken.text)
            fields = [
                Field("timeout", "Timeout", timeout, hint="such as 5m; empty: the pool's"),
                Toggle("hard", "Hard", spoken.is_hard, "not even for clients that had it before"),
                *fields,
            ]
        asked = self._asked(changes, order, "Drain" if is_drain else "Maint")
        self._ask(order, replace(asked, fields=fields, check=check_timeout), filled)

    def _weigh(self, changes: Changes, order: Order, spoken: Spoken, subject: Subject) -> None:
        """Ask for a weight where none was said; 0 is asked about like a drain."""
        if spoken.weight is not None:
            self._weigh_so(changes, replace(order, weight=spoken.weight))
            return
        row = subject.servers[0]
        now = f"now {row.weight}, {'-' if row.configured_weight is None else row.configured_weight} in the file"
        asked = Asked(
            f"Weight of {row.id if len(order.servers) == 1 else f'{len(order.servers)} servers'}", "Set",
            names=[one.id for one in order.servers][1:] and [one.id for one in order.servers],
            lines=(*([now] if len(order.servers) == 1 else []), f"{WEIGHT_FORMS}; 0 takes no new clients", PERCENT_OF),
            fields=(Field("weight", "Weight", Line(), 16), *toggle_of(order, self.fleet)), check=check_weight, first="weight",
            submits="weight",
        )  # fmt: skip

        def answered(yes: Yes | None) -> None:
            if yes is not None:
                wish, is_fleet = weight_wish(yes.form.text("weight")), yes.form.is_on("fleet")
                self._weigh_so(changes, replace(order, weight=wish, is_fleet=is_fleet))

        self.app.push_screen(Question(asked), answered)

    def _weigh_so(self, changes: Changes, order: Order) -> None:
        if first_grade(order) == "A":
            self._carry_out(order)
        else:
            self._ask(order, self._asked(changes, order, "Set the weight of"))

    def _take(self, changes: Changes, order: Order, _spoken: Spoken, _subject: Subject) -> None:
        """Ask for a name, then end what is in flight, or take a server out."""
        verb = "Kill" if order.action.id == "server.kill" else "Remove"
        fields = (Field("reason", "Reason", Line(), REASON_CELLS),)
        asked = self._asked(changes, order, verb)
        title = asked.title.replace("Kill ", "Kill what is in flight at ", 1)
        self._ask(order, replace(asked, title=title, fields=fields), filled)

    def _add(self, _changes: Changes, order: Order, spoken: Spoken, subject: Subject) -> None:
        """Ask for name, address and weight of a server that is to come."""
        lines = [Line(), Line(), Line()]
        if spoken.new is not None:
            for line, text in zip(
                lines, (spoken.new["name"], spoken.new["address"], spoken.new.get("weight", "")), strict=True
            ):
                line.set(str(text))
        fields = [
            Field(name, name.capitalize(), line, width)
            for name, line, width in zip(("name", "address", "weight"), lines, (24, 40, 5), strict=True)
        ]
        pool = subject.pool.name if subject.pool else ""
        told = ("It serves from then on; the file stays as it is until it is saved.", "No weight: 100.")
        asked = Asked(
            f"Add a server to {pool}", "Add", lines=told, fields=fields, check=check_new,
            first="cancel" if spoken.new else "name",
        )  # fmt: skip
        self._ask(order, asked, lambda order, form: replace(order, new=new_server(form)))

    def _publish(self, _changes: Changes, order: Order, _spoken: Spoken, subject: Subject) -> None:
        if order.action.id == "pool.publish":
            self._carry_out(order)
            return
        pool = subject.pool
        rate = count(pool.requests_per_s if pool and self.source.has_figures else None)
        lines = (f"Routes pass it over: its {rate} req/s go to what comes next, or get 404 or 503.",)
        fields = (Field("reason", "Reason", Line(), REASON_CELLS),)
        self._ask(order, Asked(f"Unpublish {clean(order.pool)}?", "Unpublish", lines=lines, fields=fields), filled)

    def _configuration(self, changes: Changes, order: Order, _spoken: Spoken, subject: Subject) -> None:
        engine = subject.scene.engine if subject.scene else None
        number = engine["configuration"] if engine else 0
        order = replace(order, configuration=number)
        if order.action.id == "configuration.rollback":
            asked = Asked(f"Go back from configuration {number}?", "Go back", effect=lambda: changes.effect(order))
        else:
            by = engine["confirm_by"] if engine else None
            left = "-" if by is None else duration(max(0.0, by - self.source.now()))
            lines = (f"Unless it is confirmed it is taken back in {left}.",)
            asked = Asked(f"Keep configuration {number}?", "Keep", lines=lines)
        self._ask(order, asked)


_Way = Callable[[Acting, Changes, Order, Spoken, Subject], None]
_WAYS: Final[dict[str, _Way]] = {
    **dict.fromkeys(("server.ready", "server.heavier", "server.lighter", "server.check"), Acting._at_once),
    **dict.fromkeys(("server.drain", "server.maint"), Acting._state),
    "server.weight": Acting._weigh,
    **dict.fromkeys(("server.kill", "server.remove"), Acting._take),
    "server.add": Acting._add,
    **dict.fromkeys(("pool.publish", "pool.unpublish"), Acting._publish),
    **dict.fromkeys(("node.drain", "node.ready"), Acting._node),
    **dict.fromkeys(("configuration.confirm", "configuration.rollback"), Acting._configuration),
}


def _title(refused: RequestRefused) -> str:
    return "It does something else by now" if refused.code == PLAN_CHANGED else "The engine refuses this"


def _refusal(refused: RequestRefused) -> str:
    return f"! {clean(refused.message)}."


def _real_name(pool: PoolRow | None) -> str:
    """Return the name of a pool as the engine knows it."""
    if pool is None:
        return ""
    return pool.servers[0].target.pool if pool.servers else pool.name
