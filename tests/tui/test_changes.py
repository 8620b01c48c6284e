from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from lbapp.model.errors import RequestRefused
from lbapp.tui.actions.catalog import ACTIONS
from lbapp.tui.actions.order import Order, seen, weight_wish
from lbapp.tui.changes import PLAN_CHANGED, Changes, Outcome
from lbapp.tui.feed import Feed
from lbapp.tui.journal import Journal
from lbapp.tui.rights import VIEWER, Rights
from lbapp.tui.scene import Scene
from tests.tui.engine_double import EngineDouble, answering, server

pytestmark = pytest.mark.anyio


class Desk:
    """A feed with one status, the changes on it, and what they told."""

    def __init__(self, socket: Path) -> None:
        self.double = EngineDouble()
        self.ready = anyio.Event()
        self.feed = Feed(socket, self.ready.set)
        self.told: list[Outcome] = []
        self.rights = Rights()
        self.changes = Changes(self.feed, self.told.append, Journal(self.feed, os.getuid()), self.rights)

    @property
    def scene(self) -> Scene:
        assert self.feed.scene is not None
        return self.feed.scene

    def order(self, action: str, *ids: str, **more: Any) -> Order:
        """Return an order for servers as they are shown, with the revision of a dialog."""
        rows = tuple(seen(row) for row in map(self.scene.server, ids) if row is not None)
        return Order(ACTIONS[action], rows, revision=self.changes.revision_of(rows), **more)

    async def do(self, action: str, *ids: str, **more: Any) -> RequestRefused | None:
        return await self.changes.carry_out(self.order(action, *ids, **more))

    async def see(self) -> None:
        """Have the newest status be what is shown."""
        self.ready = anyio.Event()
        self.feed._changed = self.ready.set
        await self.follow()

    async def follow(self) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.feed.run)
            with anyio.fail_after(25):
                await self.ready.wait()
            tasks.cancel_scope.cancel()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(tmp_path / "s")
    with answering(made.double, tmp_path / "s"):
        await made.follow()
        yield made


async def test_weights_asked_for_in_a_row_add_up(desk: Desk) -> None:
    step = replace(desk.order("server.lighter", "app/s1", weight=weight_wish("-10")), revision=None)
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(desk.changes.carry_out, step)
    assert desk.double.servers[0]["weight"] == 70
    assert desk.double.forced == [False] * 3


async def test_several_servers_are_one_change_and_one_undo(desk: Desk) -> None:
    await desk.do("server.drain", "app/s1", "app/s2", state="drain", timeout_s=60.0, reason="kernel")
    assert desk.told[-1].message == "app/s1: state READY -> DRAIN, and 1 more   (z undoes)"
    assert [action["reason"] for action in desk.double.changing.actions] == ["kernel"]
    assert [path for _, path, _ in desk.double.changing.asked] == ["/v1/servers"]
    await desk.changes.undo()
    assert desk.told[-1].message == "undone: app/s1: state DRAIN -> READY, and 1 more"
    assert {one["admin"] for one in desk.double.servers} == {"ready"}


async def test_what_was_undone_is_done_again_and_undone_again(desk: Desk) -> None:
    await desk.do("server.weight", "app/s1", weight=weight_wish("50"))
    await desk.changes.undo()
    await desk.changes.redo()
    assert desk.told[-1].message == "done again: weight 50 app/s1   (z undoes)"
    assert desk.double.servers[0]["weight"] == 50
    await desk.changes.redo()
    assert desk.told[-1] == Outcome("there is nothing of yours to do again", is_refused=True)
    await desk.changes.undo()
    assert desk.double.servers[0]["weight"] == 100


async def test_servers_that_differed_are_done_again_as_one_action(desk: Desk) -> None:
    desk.double.servers[1]["weight"] = 80
    await desk.do("server.heavier", "app/s1", "app/s2", weight=weight_wish("+10"))
    await desk.changes.undo()
    await desk.changes.redo()
    assert [one["weight"] for one in desk.double.servers] == [110, 90, 100]


@pytest.mark.parametrize(
    ("action", "more"),
    [
        ("server.drain", {"state": "drain"}),
        ("server.maint", {"state": "maint"}),
        ("server.weight", {"weight": weight_wish("0")}),
    ],
)
async def test_undo_restores_what_was_and_names_whoever_changed_it_since(desk: Desk, action: str, more: Any) -> None:
    await desk.do(action, "app/s1", **more)
    await desk.changes.undo()
    one = desk.double.servers[0]
    assert (one["admin"], one["weight"]) == ("ready", 100)
    await desk.see()
    await desk.do(action, "app/s1", **more)
    desk.double.changing.by_bob("app/s1", "drain" if action != "server.drain" else "maint", 7)
    await desk.changes.undo()
    assert "app/s1 was changed by bob 0s ago" in desk.told[-1].message
    assert desk.told[-1].is_refused


async def test_redo_is_refused_with_the_name_of_who_changed_it_since(desk: Desk) -> None:
    await desk.do("server.drain", "app/s1", state="drain")
    await desk.changes.undo()
    desk.double.changing.by_bob("app/s1", "maint")
    await desk.changes.redo()
    assert "app/s1 was changed by bob" in desk.told[-1].message
    assert desk.double.servers[0]["admin"] == "maint"


async def test_without_actions_of_mine_there_is_nothing_to_undo(desk: Desk) -> None:
    desk.double.changing.by_bob("app/s1", "drain")
    await desk.changes.undo()
    assert desk.told[-1] == Outcome("there is nothing of yours to undo from the last 30 minutes", is_refused=True)


async def test_what_the_engine_refuses_is_forced_only_when_told_to(desk: Desk) -> None:
    everything = desk.order("server.maint", "app/s1", "app/s2", "app/s3", state="maint")
    refused = await desk.changes.carry_out(everything)
    assert refused is not None
    assert refused.code == "leaves_nobody"
    assert desk.double.forced == []
    await desk.changes.carry_out(everything, await desk.changes.effect(everything))
    assert desk.double.forced == [True]


async def test_what_is_forced_is_asked_about_again_when_it_would_leave_less_by_now(desk: Desk) -> None:
    desk.double.changing.too_little = "app/s3 would get 90"
    two = desk.order("server.maint", "app/s1", "app/s2", state="maint")
    agreed = await desk.changes.effect(two)
    desk.double.servers[2]["is_eligible"] = False
    refused = await desk.changes.carry_out(two, agreed)
    assert refused is not None
    assert (refused.code, desk.double.forced) == (PLAN_CHANGED, [])
    now = await desk.changes.effect(two)
    assert now.covers(agreed)
    assert not agreed.covers(now)
    desk.double.servers[2]["is_eligible"] = True  # what is left is more than was agreed to: nothing to ask about
    assert await desk.changes.carry_out(two, now) is None
    assert desk.double.forced == [True]


async def test_undo_is_not_forced_for_another_reason_than_was_agreed_to(desk: Desk) -> None:
    for one in desk.double.servers:
        one["admin"], one["is_eligible"] = "maint", False
    await desk.do("server.ready", "app/s1", state="ready")
    refused = await desk.changes.undo(agreed="too_little_capacity")
    assert refused is not None
    assert refused.code == "leaves_nobody"
    assert desk.double.servers[0]["admin"] == "ready"


async def test_undo_is_forced_only_when_told_to(desk: Desk) -> None:
    for one in desk.double.servers[1:]:
        one["admin"], one["is_eligible"] = "maint", False
    desk.double.servers[0]["admin"], desk.double.servers[0]["is_eligible"] = "maint", False
    await desk.do("server.ready", "app/s1", state="ready")
    refused = await desk.changes.undo()
    assert refused is not None
    assert (refused.code, desk.double.events[-1]["message"]) == ("leaves_nobody", "app/s1 became ready with weight 100")
    assert await desk.changes.undo(agreed="leaves_nobody") is None
    assert desk.double.events[-1]["message"] == "app/s1 became maint with weight 100"


async def test_server_that_changed_or_went_meanwhile_is_left_out_and_said(desk: Desk) -> None:
    desk.double.servers.append(server("app", "s4"))
    await desk.see()
    three = desk.order("server.drain", "app/s1", "app/s2", "app/s3", state="drain")
    desk.double.changing.by_bob("app/s2", "maint")
    del desk.double.servers[2]
    await desk.see()
    kept, why = desk.changes.left_out(three)
    assert [one.id for one in kept] == ["app/s1"]
    assert why == ["app/s2 was changed by bob meanwhile", "app/s3 is not there any more"]
    await desk.changes.carry_out(three)
    assert [name for name, _ in desk.double.patches] == ["app/s1"]
    assert desk.told[-1].message.endswith("left out: app/s2 was changed by bob meanwhile; app/s3 is not there any more")


async def test_server_that_changed_before_anybody_could_see_it_is_refused_by_the_engine(desk: Desk) -> None:
    two = desk.order("server.drain", "app/s1", "app/s2", state="drain")
    desk.double.changing.peers.append(lambda: desk.double.changing.by_bob("app/s2", "maint"))
    await desk.changes.carry_out(two)
    assert desk.told[-1].message.startswith("app/s2 changed in revision")
    assert desk.double.servers[0]["admin"] == "ready"


async def test_another_server_of_the_same_name_is_never_meant(desk: Desk) -> None:
    one = desk.order("server.maint", "app/s1", state="maint")
    desk.double.servers[0]["address"] = "10.9.9.9:80"
    await desk.see()
    await desk.changes.carry_out(one)
    assert desk.told[-1] == Outcome("app/s1 is another server now, at 10.9.9.9:80", is_refused=True)
    assert desk.double.patches == []


async def test_own_change_that_is_not_shown_yet_keeps_nobody_from_the_next(desk: Desk) -> None:
    await desk.do("server.weight", "app/s1", weight=weight_wish("50"))
    await desk.do("server.drain", "app/s1", state="drain")
    assert desk.double.servers[0]["admin"] == "drain"


async def test_change_that_changes_nothing_says_so(desk: Desk) -> None:
    await desk.do("server.ready", "app/s1", state="ready")
    assert desk.told[-1] == Outcome("app/s1 is so already: READY, weight 100")


async def test_change_is_told_before_the_engine_has_answered(desk: Desk) -> None:
    await desk.do("server.drain", "app/s1", state="drain")
    assert [outcome.message for outcome in desk.told] == [
        "app/s1: asking for state DRAIN",
        "app/s1: state READY -> DRAIN   (z undoes)",
    ]


async def test_refusal_is_told_and_that_of_a_viewer_ends_all_changes(desk: Desk) -> None:
    desk.double.refuses_with = ("no\x1b", "try later")
    await desk.do("server.drain", "app/s1", state="drain")
    assert desk.told[-1] == Outcome("no·. try later", is_refused=True)
    assert desk.rights.why_not == ""
    desk.double.changing.is_viewer = True
    await desk.do("server.drain", "app/s1", state="drain")
    assert desk.told[-1].message == "alice may not PATCH /v1/servers; this console looks only from now on"
    assert desk.rights.why_not == VIEWER


async def test_effect_is_asked_of_the_engine_and_changes_nothing(desk: Desk) -> None:
    drain = await desk.changes.effect(desk.order("server.drain", "app/s1", state="drain"))
    assert "2 of 3 servers of app stay for new clients (3 now)." in drain.lines
    remove = await desk.changes.effect(desk.order("server.remove", "app/s1"))
    assert (remove.grade, remove.needs_force) == ("C", False)
    kill = await desk.changes.effect(desk.order("server.kill", "app/s1"))
    assert kill.lines == ("3 in flight are ended now, by force; their clients see an error.",)
    assert "connections of clients" in (await desk.changes.effect(desk.order("node.drain"))).lines[0]
    rollback = await desk.changes.effect(desk.order("configuration.rollback"))
    assert rollback.lines == ("changed pool app",)
    assert desk.double.changing.asked == []


async def test_other_actions_are_sent_and_told(desk: Desk) -> None:
    new: Any = {"name": "s9", "address": "10.0.0.9:80"}
    for action, ids, more, told in (
        ("server.kill", ("app/s1", "app/s2"), {}, "app/s1 and 1 more: 6 in flight ended by force"),
        ("server.check", ("app/s1",), {}, "app/s1: HTTP 200 in 4 ms"),
        ("server.add", (), {"pool": "app", "new": new}, "app/s9 serves; configuration 8, rollback takes it back"),
        ("server.remove", ("app/s3",), {}, "app/s3 is removed; configuration 9, rollback takes it back"),
        ("pool.unpublish", (), {"pool": "app"}, "app is unpublished   (z undoes)"),
        ("pool.publish", (), {"pool": "app"}, "app is published   (z undoes)"),
        ("node.drain", (), {"timeout_s": 60.0}, "the node drains: clients are asked to leave   (z undoes)"),
        ("node.ready", (), {}, "nobody is asked to leave the node any more   (z undoes)"),
        ("configuration.confirm", (), {}, "configuration 7 is confirmed and stays"),
        ("configuration.rollback", (), {}, "back to configuration 6"),
    ):
        await desk.do(action, *ids, **more)
        assert desk.told[-1] == Outcome(told)
    asked = [(method, path) for method, path, _ in desk.double.changing.asked]
    assert ("POST", "/v1/servers/kill") in asked
    assert ("DELETE", "/v1/pools/app/servers/s3") in asked


async def test_pool_and_node_are_done_again_too(desk: Desk) -> None:
    for action, more in (("pool.unpublish", {"pool": "app"}), ("node.drain", {})):
        await desk.do(action, **more)
        await desk.changes.undo()
        await desk.changes.redo()
        assert desk.told[-1].message.startswith("done again")
    assert desk.double.published == {"app": False}
    assert desk.double.node_state == "drain"


async def test_drain_of_the_node_is_done_again_by_force_where_that_was_agreed_to(desk: Desk) -> None:
    await desk.do("node.drain")
    await desk.changes.undo()
    desk.double.fleet.quorum = "1 of 3 nodes would be ready then, fewer than 2"
    refused = await desk.changes.redo()
    assert refused is not None
    assert (refused.code, desk.double.node_state) == ("quorum", "ready")
    undo = desk.changes.went_back_on
    assert undo is not None
    assert await desk.changes.redo(undo["number"], agreed="quorum") is None
    assert desk.double.node_state == "drain"
    method, path, body = desk.double.changing.asked[-1]
    assert (method, path, body["action"], body["force"]) == ("POST", "/v1/undo", undo["number"], True)


async def test_journal_is_asked_again_only_after_an_operator_did_something(desk: Desk) -> None:
    journal = desk.changes.journal
    assert journal.has_news()
    await journal.follow()
    assert (journal.has_news(), journal.offer) == (False, "undo z: none")
    await desk.do("server.drain", "app/s1", state="drain")
    assert journal.offer == "undo z: drain app/s1 (0s)"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(desk.feed.run)
        with anyio.fail_after(25):
            while not journal.has_news():
                await anyio.sleep(0.02)
        tasks.cancel_scope.cancel()


async def test_names_that_no_terminal_may_see_are_sent_as_they_are(tmp_path: Path) -> None:
    made = Desk(tmp_path / "t")
    made.double.servers = [server("app", "s\x1b1"), server("app", "s2")]
    with answering(made.double, tmp_path / "t"):
        await made.follow()
        await made.do("server.drain", "app/s·1", state="drain")
    assert made.double.servers[0]["admin"] == "drain"
    assert "\x1b" not in made.told[-1].message


async def test_what_others_change_is_left_out_also_when_the_figures_were_quicker_than_the_answer(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is shown knows of this console's own change then: an order that follows is for servers as they are shown."""
    ask = desk.feed.ask

    async def ask_late(call: Any) -> Any:
        answer = await ask(call)
        await desk.see()
        return answer

    monkeypatch.setattr(desk.feed, "ask", ask_late)
    await desk.do("server.weight", "app/s1", weight=weight_wish("50"))
    monkeypatch.undo()
    order = desk.order("server.maint", "app/s1", state="maint")
    assert order.revision == desk.scene.revision
    desk.double.changing.by_bob("app/s1", weight=20)
    await desk.changes.carry_out(order)
    assert desk.told[-1].is_refused
    assert desk.double.servers[0]["admin"] == "ready"


async def test_engine_that_counts_its_changes_from_the_beginning_again_protects_those_of_others_too(desk: Desk) -> None:
    desk.double.revision = 500
    await desk.see()
    await desk.do("server.weight", "app/s1", weight=weight_wish("50"))
    assert desk.order("server.maint", "app/s1").revision is None
    desk.double.revision = 3
    await desk.see()
    assert desk.order("server.maint", "app/s1").revision == 3
