"""What the operator has done: sent one order after the other, told in words, taken back and done again by the engine's journal.

Responsible for sending, for the sentence that says how it went, and for what is left out because it changed meanwhile. Knows
nothing of keys or dialogs.

Invariants: orders go to real targets, never to rows, in the order they were given; `force` is sent only when the operator was
told what that does; whatever changed since it was seen is left as it is, and said.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

import anyio

from lbapp.control import calls
from lbapp.control.changes import (
    ActionDone,
    ChangeDone,
    PoolPatch,
    PoolPlan,
    RollbackRequest,
    ServerChange,
    ServersPatch,
    UndoRequest,
)
from lbapp.control.fleet import Applied, FleetStatus
from lbapp.model.errors import LbappError, RequestRefused
from lbapp.tui.actions.effect import Effect, effect_of, node_effect, reload_effect
from lbapp.tui.actions.nodes import drain_effect
from lbapp.tui.actions.order import Order, Seen, node_patch_of, patch_of, seen
from lbapp.tui.actions.sentences import asking, done, named, node_done, probed, undone
from lbapp.tui.actions.undoing import changed_since, redo_reason, told, told_since
from lbapp.tui.feed import Feed
from lbapp.tui.fleet_news import FleetNews
from lbapp.tui.format import clean
from lbapp.tui.journal import Journal
from lbapp.tui.rights import VIEWER, Rights
from lbapp.tui.scene import ServerRow, Target
from lbapp.tui.staging import clean_value

FORCEABLE: Final = frozenset({"leaves_nobody", "too_little_capacity", "quorum"})
PLAN_CHANGED: Final = "plan_changed"  # since its operator agreed to it: the console's own code
CHECKS_AT_ONCE: Final = 8
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a change went, as one sentence."""

    message: str
    is_refused: bool = False


class Changes:
    """The changes of one console. `told` hears how each went."""

    def __init__(self, feed: Feed, told: Callable[[Outcome], None], journal: Journal, rights: Rights) -> None:
        self._feed = feed
        self.journal = journal
        self.rights = rights
        self._turn = anyio.Lock()
        self.went_back_on: ActionDone | None = None  # what an undo or a redo was about last
        self._news = FleetNews(lambda words, is_refused: told(Outcome(words, is_refused)), self._ask_fleet)
        self._of_fleet: Applied | None = None  # of what was sent last
        self._own: dict[Target, int] = {}  # what this console has changed, and the revision that was shown then
        self._made: dict[tuple[str, str], str] = {}  # what this console has last made of a setting of a server
        self._ways: dict[str, Callable[[Order, bool], Awaitable[str]]] = {
            "server.kill": self._kill,
            "server.check": self._check,
            "server.add": self._add,
            "server.remove": self._remove,
            "pool.publish": self._publish,
            "pool.unpublish": self._publish,
            "node.drain": self._node,
            "node.ready": self._node,
            "configuration.confirm": self._confirm,
            "configuration.rollback": self._rollback,
        }

    def _told(self, outcome: Outcome) -> None:
        self._news.tell(outcome.message, outcome.is_refused)

    def hear(self, outcome: Outcome) -> None:
        """Know that something was said, so that news of what was done before does not take its place."""
        self._news.hear(outcome.message)

    # ---- before

    def is_own(self, was: ServerRow, row: ServerRow) -> bool:
        """Say whether all that is other about a server than it was is this console's doing, so far as has come back of it."""
        before, now = seen(was), seen(row)
        if before.address != now.address:
            return False
        if self._turn.statistics().locked:  # what it asks for now may be shown before it is answered
            return True
        both = (("state", before.admin, now.admin), ("weight", str(before.goal), str(now.goal)))
        return all(new in (old, self._made.get((row.target.id, setting))) for setting, old, new in both)

    def revision_of(self, servers: Sequence[Seen]) -> int | None:
        """Return the revision that servers were seen in; None where this console's own change is newer than what is shown."""
        scene = self._feed.scene
        if scene is None or any(self._own.get(one.target) == scene.revision for one in servers):
            return None
        return scene.revision

    def left_out(self, order: Order) -> tuple[list[Seen], list[str]]:
        """Return the servers that still are as they were seen, and a sentence for each that is not.

        Without a revision an order is for servers as they are now, so long as they are there.
        """
        kept: list[Seen] = []
        why: list[str] = []
        for one in order.servers:
            row = self._feed.scene.by_target(one.target) if self._feed.scene else None
            if row is None:
                why.append(f"{one.id} is not there any more")
            elif row.address != one.address:
                why.append(f"{one.id} is another server now, at {row.address}")
            elif order.revision is not None and one.differs(row):
                by = f" by {row.changed_by}" if row.changed_by else ""
                why.append(f"{one.id} was changed{by} meanwhile")
            else:
                kept.append(one if order.revision is not None else seen(row))
        return kept, why

    async def effect(self, order: Order) -> Effect:
        """Ask the engine what an order would do, by figures of now. Raises RequestRefused, EngineUnreachable."""
        await self._feed.have_figures()
        if order.action.id == "configuration.rollback":
            return reload_effect(
                clean_value(await self._feed.ask(calls.rollback({**_leaving(order), "dry_run": True})))
            )
        if order.action.id == "node.drain":
            return await self._drain_effect(order)
        if order.action.about != "servers":
            return Effect((), "B")
        plans: list[PoolPlan] = []
        if order.action.id != "server.kill":
            planned = patch_of(order) if order.state or order.weight else _gone(order)
            plans = (await self._feed.ask(calls.patch_servers({**planned, "dry_run": True})))["plan"]
        return effect_of(order, clean_value(plans), self._feed.scene)

    async def _drain_effect(self, order: Order) -> Effect:
        scene = self._feed.scene
        if scene is None or scene.fleet is None:
            return node_effect(scene)
        fleet = await self._ask_fleet()
        if order.node is not None and (why := order.node.why_other(fleet)):
            raise LbappError(why)
        return drain_effect(fleet, order.node.name if order.node else fleet["node"])

    async def _ask_fleet(self) -> FleetStatus:
        return cast(FleetStatus, clean_value(await self._feed.ask(calls.fleet())))

    # ---- sending

    async def _follow(self) -> None:
        """Tell which nodes have what was done, where it was for all of them."""
        applied, self._of_fleet = self._of_fleet, None
        if applied is not None:
            await self._news.follow(applied)

    async def carry_out(self, order: Order, agreed: Effect | None = None) -> RequestRefused | None:
        """Do it and tell how it went; return a refusal that the operator may override, for him to be asked.

        `agreed`: the effect that he has said yes to. Where that needs force and it would do more by now, he is asked again.
        """
        kept, why = self.left_out(order)
        async with self._turn:
            if order.servers:
                kept, why = self.left_out(order)
                if not kept:
                    self._told(Outcome("; ".join(why), is_refused=True))
                    return None
                order = order.only(kept)
            refused = await self._try(lambda: self._send_order(order, agreed), why)
        await self._follow()
        return refused

    async def _send_order(self, order: Order, agreed: Effect | None) -> str:
        is_forced = agreed is not None and agreed.needs_force
        if agreed is not None and is_forced and not agreed.covers(await self.effect(order)):
            raise RequestRefused(PLAN_CHANGED, "this has changed while you were asked; nothing was done", "", 409)
        return await self._way(order)(order, is_forced)

    def _way(self, order: Order) -> Callable[[Order, bool], Awaitable[str]]:
        return self._ways.get(order.action.id, self._patch)

    async def _try(self, send: Callable[[], Awaitable[str]], why: Sequence[str] = ()) -> RequestRefused | None:
        try:
            words = await send()
        except RequestRefused as error:
            if error.code in (*FORCEABLE, PLAN_CHANGED):
                return error
            if error.status == 403:
                self.rights.forbid(VIEWER)
                self._told(Outcome(f"{clean(error.message)}; this console looks only from now on", is_refused=True))
            else:
                self._told(Outcome(clean(str(error)), is_refused=True))
            return None
        except LbappError as error:
            self._told(Outcome(clean(str(error)), is_refused=True))
            return None
        left = f"; left out: {'; '.join(why)}" if why else ""
        self._told(Outcome(words + left, is_refused=bool(why)))
        await self.journal.follow()
        return None

    async def _patch(self, order: Order, is_forced: bool) -> str:
        patch = patch_of(order)
        self._told(Outcome(asking([one.id for one in order.servers], {**patch})))
        if is_forced:
            patch["force"] = True
        if order.revision is not None:
            patch["expect_revision"] = order.revision
        return done(await self._send(patch))

    async def _send(self, patch: ServersPatch) -> list[ServerChange]:
        answer = await self._feed.ask(calls.patch_servers(patch))
        changes, self._of_fleet = answer["changes"], answer.get("fleet")
        self.journal.know(self._of_fleet["actor"] if self._of_fleet else None)
        for change in changes:
            self._is_own(change["server"]["id"], change["server"]["changed_at"], self._shown())
            self.journal.know(change["server"]["changed_by"])
            after = change["after"]
            self._made[change["server"]["id"], "state"] = str(after["state"]).removeprefix("hard_")
            self._made[change["server"]["id"], "weight"] = str(after.get("weight_goal", after["weight"]))
            self._feed.adopt(change["server"])
        return changes

    def _is_own(self, server: str, changed_at: float | None, shown: int | None) -> None:
        """Know that what is shown of a server is older than what this console has made of it, unless it shows that already.

        `shown`: the revision that was shown when it may not have known of that.
        """
        pool, _, name = server.partition("/")
        target = Target(pool, name)
        row = self._feed.scene.by_target(target) if self._feed.scene else None
        if shown is not None and (row is None or changed_at is None or row.changed_at != changed_at):
            self._own[target] = shown

    def _shown(self) -> int | None:
        return self._feed.scene.revision if self._feed.scene else None

    async def _kill(self, order: Order, _is_forced: bool) -> str:
        servers = [one.target.id for one in order.servers]
        killed = await self._feed.ask(calls.kill({"servers": servers, "reason": order.reason}))
        closed = sum(each["closed"] for each in killed["servers"])
        silent = killed["workers_silent"]
        more = f", and what {silent} workers had that did not answer in time" if silent else ""
        return f"{named([one.id for one in order.servers])}: {closed} in flight ended by force{more}"

    async def _check(self, order: Order, _is_forced: bool) -> str:
        limit = anyio.CapacityLimiter(CHECKS_AT_ONCE)
        found: dict[str, Any] = {}
        refused: list[LbappError] = []

        async def check(one: Seen) -> None:
            async with limit:
                try:
                    found[one.id] = await self._feed.ask(calls.check_now(one.target.id))
                except LbappError as error:
                    refused.append(error)

        async with anyio.create_task_group() as tasks:
            for one in order.servers:
                tasks.start_soon(check, one)
        if refused:
            raise refused[0]
        return probed([(one.id, found[one.id]) for one in order.servers])

    async def _add(self, order: Order, _is_forced: bool) -> str:
        assert order.new is not None
        done = await self._feed.ask(calls.add_server(order.pool, order.new))
        return f"{clean(order.pool)}/{order.new['name']} serves; configuration {done['number']}, rollback takes it back"

    async def _remove(self, order: Order, is_forced: bool) -> str:
        (one,) = order.servers
        done = await self._feed.ask(calls.remove_server(one.target.id, {"force": is_forced, "reason": order.reason}))
        return f"{one.id} is removed; configuration {done['number']}, rollback takes it back"

    async def _publish(self, order: Order, _is_forced: bool) -> str:
        is_published = order.action.id == "pool.publish"
        patch: PoolPatch = {"published": is_published, "reason": order.reason}
        if order.is_fleet:
            patch["fleet"] = True
        self._of_fleet = (await self._feed.ask(calls.patch_pool(order.pool, patch))).get("fleet")
        return f"{clean(order.pool)} is {'published' if is_published else 'unpublished'}   (z undoes)"

    async def _node(self, order: Order, is_forced: bool) -> str:
        patch = node_patch_of(order, is_forced=is_forced)
        if order.node is not None and (why := order.node.why_other(await self._ask_fleet())):
            raise LbappError(f"{why}; nothing was done")
        of_fleet = (await self._feed.ask(calls.patch_node(patch))).get("fleet")
        self.journal.know(of_fleet["actor"] if of_fleet else None)
        return node_done(order)

    async def _confirm(self, order: Order, _is_forced: bool) -> str:
        kept = await self._feed.ask(calls.confirm({"expect_number": order.configuration}))
        return f"configuration {kept['number']} is confirmed and stays"

    async def _rollback(self, order: Order, _is_forced: bool) -> str:
        done = await self._feed.ask(calls.rollback({**_leaving(order), "reason": order.reason}))
        return f"back to configuration {done['number']}" if done["applied"] else "nothing changed"

    # ---- back and again

    async def undo(self, action: int | None = None, *, agreed: str = "") -> RequestRefused | None:
        """Take back this user's newest action, or the one of that number; return a refusal that he may override.

        `agreed`: the code of the refusal that he overrides; another one he is asked about again.
        """
        async with self._turn:
            refused = await self._try(lambda: self._undo(action, agreed))
        await self._follow()
        return refused

    async def _undo(self, number: int | None, agreed: str) -> str:
        await self.journal.read()
        action = self.journal.to_undo()
        if action is None:
            raise LbappError("there is nothing of yours to undo from the last 30 minutes")
        _check_newest(action, number)
        self.went_back_on = action
        return undone(await self._reverse(action, agreed))

    async def _reverse(self, action: ActionDone, agreed: str, reason: str = "") -> list[ChangeDone]:
        """Have the engine take an action back, which of an undo does it again; return what was changed."""
        shown = self._shown()  # what comes in while it is asked may know of it
        request: UndoRequest = {"action": action["number"], **({"reason": reason} if reason else {})}
        try:
            taken = await _with_force_for(agreed, lambda force: self._feed.ask(calls.undo({**request, "force": force})))
        except RequestRefused as error:
            raise await self._named(error, action) from error
        self._of_fleet = taken.get("fleet")
        for change in taken["changes"]:
            self._is_own(change["on"], None, shown)
            self._made[change["on"], change["setting"]] = str(change["after"]).removeprefix("hard_")
        return taken["changes"]

    async def _named(self, error: RequestRefused, action: ActionDone) -> LbappError:
        """Return a refusal to undo with the name of who has changed it since."""
        if error.code != "nothing_to_undo":
            return error
        await self.journal.read()
        by = changed_since(self.journal.actions, action)
        return error if by is None else LbappError(told_since(action, by, self._feed.now()))

    async def redo(self, undo: int | None = None, *, agreed: str = "") -> RequestRefused | None:
        """Do again what this user took back last, or by the undo of that number; `agreed` and what is returned as of `undo`."""
        async with self._turn:
            refused = await self._try(lambda: self._redo(undo, agreed))
        await self._follow()
        return refused

    async def _redo(self, number: int | None, agreed: str) -> str:
        await self.journal.read()
        undo = self.journal.to_redo()
        if undo is None:
            raise LbappError("there is nothing of yours to do again")
        _check_newest(undo, number)
        self.went_back_on = undo
        by = changed_since(self.journal.actions, undo)
        if by is not None:
            raise LbappError(told_since(undo, by, self._feed.now()))
        await self._reverse(undo, agreed, redo_reason(undo))  # one action of the engine's, whatever it is about
        undone_before = {**undo, "changes": [{**each, "after": each["before"]} for each in undo["changes"]]}
        return f"done again: {told(clean_value(undone_before))}   (z undoes)"


async def _with_force_for(agreed: str, ask: Callable[[bool], Awaitable[_Answer]]) -> _Answer:
    """Ask without force, and with it where the refusal is the one of this code. Raises RequestRefused, EngineUnreachable."""
    try:
        return await ask(False)
    except RequestRefused as error:
        if not agreed or error.code != agreed:
            raise
        return await ask(True)


def _leaving(order: Order) -> RollbackRequest:
    """Return a rollback from the configuration that was seen."""
    return {"expect_number": order.configuration}


def _check_newest(action: ActionDone, asked_about: int | None) -> None:
    """Raise LbappError when another action than the one that was asked about is the newest by now."""
    if asked_about is not None and action["number"] != asked_about:
        raise LbappError("you have changed something else since that was asked; nothing was done")


def _gone(order: Order) -> ServersPatch:
    """Return a change that takes as much away as a removal does."""
    return {"servers": [one.target.id for one in order.servers], "state": "maint"}
