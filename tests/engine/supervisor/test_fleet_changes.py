from __future__ import annotations

import time
from dataclasses import replace

import pytest

from lbapp.control.messages import Actor
from lbapp.engine.supervisor.intents import Why
from lbapp.model.fleet import FleetIntent, Member
from lbapp.model.journal import Change, Setting
from tests.engine.supervisor.fleet_support import joined

pytestmark = pytest.mark.anyio


def drain(on: str = "app/s1", *, at: float, timeout_s: float = 300.0, revision: int = 5) -> FleetIntent:
    return FleetIntent(
        on, Setting.STATE, "drain", "ready", "carol", "lb2", at, until=at + timeout_s, revision=revision
    )  # fmt: skip


async def test_a_drain_that_comes_late_has_its_whole_time() -> None:
    with joined() as node:
        await node.changes.take([drain(at=time.time() - 3600)])
        status = node.own.drains.status(node.own.server("s1"))
        assert status is not None
        assert 290 < status["remaining_s"] <= 300


async def test_a_ramp_that_comes_late_ends_when_the_asker_wanted_it_to() -> None:
    with joined() as node:
        at = time.time() - 3600
        ramp = replace(drain(at=at), setting=Setting.WEIGHT, value=10, in_file=100, until=at + 3700, start=100)
        await node.changes.take([ramp])
        found = node.own.server("s1").ramp
        assert found is not None
        assert 90 < found.left_s(time.monotonic()) <= 100


@pytest.mark.parametrize(("ago_s", "stops"), [(3600.0, False), (-1.0, True)])
async def test_an_engine_does_not_stop_for_a_drain_that_is_older_than_itself(ago_s: float, stops: bool) -> None:
    with joined() as node:
        at = node.serving.running.started_at - ago_s
        await node.changes.take([replace(drain("node/lb1", at=at), then_stop=True)], is_new=False)
        status = node.own.drains.node.status()
        assert status is not None
        assert status["then_stop"] is stops


async def test_an_engine_stops_for_a_new_drain_of_a_node_whose_clock_is_late() -> None:
    with joined() as node:
        node.changes.note_sync()
        await node.changes.take([replace(drain("node/lb1", at=time.time() - 3600), then_stop=True)])
        status = node.own.drains.node.status()
        assert status is not None
        assert status["then_stop"] is True


async def test_what_is_wanted_of_a_server_that_was_gone_for_a_while_is_made_when_it_is_back() -> None:
    with joined() as node:
        at = time.time()
        await node.changes.take([drain(at=at, revision=5)])
        state = node.serving.states.by_id.pop("app/s1")
        again = replace(drain(at=at, revision=6), value="maint", until=None)
        node.store.put(again)
        await node.changes.take([again])
        assert node.messages("intent_unknown") != []
        node.serving.states.by_id["app/s1"] = state
        await node.changes.take_in_what_waited()
        assert state.word == "maint"


async def test_an_error_that_nobody_foresaw_after_a_reload_is_an_event(monkeypatch: pytest.MonkeyPatch) -> None:
    with joined() as node:
        node.store.put(drain(at=time.time()))
        monkeypatch.delattr(node.serving, "making")
        await node.link.guarded("what waited", node.changes.take_in_what_waited)
        assert "what waited failed: AttributeError" in node.messages("fleet_problem")[0]


async def test_a_start_says_that_a_drain_that_is_made_again_stops_nothing() -> None:
    with joined() as node:
        await node.changes.take([replace(drain("node/lb1", at=time.time()), then_stop=True)])
        node.serving.intents.restore()
        assert node.messages("change_restored")[0].endswith("; this engine does not stop when it has drained")
        status = node.own.drains.node.status()
        assert status is not None
        assert not status["then_stop"]


async def test_an_answer_of_the_store_that_comes_behind_a_later_intent_is_not_made_over_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with joined() as node:
        asked, later = (
            drain(at=time.time(), revision=5),
            replace(drain(at=time.time(), revision=6), value="maint", until=None),
        )

        async def propose(*_: object) -> list[FleetIntent]:
            node.store.put(later)  # as the watch says, before the answer is here
            await node.changes.take([later])
            return [asked]

        monkeypatch.setattr(node.store, "propose", propose)
        change = Change("app/s1", Setting.STATE, "ready", "drain", "ready")
        actor: Actor = {"uid": None, "user": "carol", "pid": None}
        applied, _ = await node.changes.ask([change], actor, Why(), is_forced=False)
        assert node.own.server("s1").word == "maint"
        assert (applied["done"], applied["revision"]) == (["lb1"], 5)
        assert node.changes.applied("") == {("app/s1", Setting.STATE): 6}


async def test_revisions_of_another_fleet_say_nothing_of_the_intents_of_this_one() -> None:
    with joined() as node:
        node.store.view = replace(node.store.view, began="x")
        await node.changes.take([drain(at=time.time(), revision=5)])
        assert (node.changes.applied("x"), node.changes.revision) == ({("app/s1", Setting.STATE): 5}, 5)
        node.store.view = replace(node.store.view, began="y")
        node.changes.know(node.serving.intents.actions)  # as at a start
        assert (node.changes.applied("y"), node.changes.revision) == ({}, 0)
        # The same revision, by chance: it is another writing all the same.
        await node.changes.take([replace(drain(at=time.time(), revision=5), value="maint", until=None)])
        assert node.own.server("s1").word == "maint"
        assert node.changes.applied("y") == {("app/s1", Setting.STATE): 5}


LB2 = ("node/lb2", Setting.STATE)


def test_another_node_is_as_it_was_asked_until_it_has_heard_of_that() -> None:
    with joined() as node:
        node.store.know(Member("lb1", {}), Member("lb2", {}, {"drain": None, "fleet_revision": 4}))
        assert node.changes.nodes() == {LB2: "ready"}
        node.store.put(drain("node/lb2", at=1.0, revision=5))
        assert node.changes.nodes() == {LB2: "drain"}
        node.store.know(Member("lb2", {}, {"drain": None, "fleet_revision": 5}))
        assert node.changes.nodes() == {LB2: "ready"}  # somebody has ended it there
        node.store.know(Member("lb2", {}, {"drain": None, "fleet_revision": 5}, is_alive=False))
        assert node.changes.nodes() == {LB2: "drain"}


async def test_what_was_asked_of_another_node_is_known_before_the_watch_says_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with joined() as node:
        node.store.know(Member("lb2", {}, {"drain": None, "fleet_revision": 1}))

        async def propose(*_: object) -> list[FleetIntent]:
            return [drain("node/lb2", at=time.time(), revision=5)]

        monkeypatch.setattr(node.store, "propose", propose)
        change = Change("node/lb2", Setting.STATE, "ready", "drain", "ready")
        actor: Actor = {"uid": None, "user": "carol", "pid": None}
        await node.changes.ask([change], actor, Why(), is_forced=False)
        assert node.changes.nodes() == {LB2: "drain"}
        assert node.own.drains.node.status() is None


async def test_a_store_that_was_put_back_has_its_nodes_hear_anew() -> None:
    with joined() as node:
        node.store.view = replace(node.store.view, revision=900)
        node.changes.note_sync()
        await node.changes.take([drain(at=time.time(), revision=800)])
        assert node.changes.revision == 800
        node.store.view = replace(node.store.view, revision=500)
        node.changes.note_sync()
        await node.changes.take([drain(at=time.time(), revision=501)])
        await node.changes.take([drain("app/s2", at=time.time(), revision=499)])
        assert node.changes.revision == 501


@pytest.mark.parametrize("on", ["app/s1", "node/lb2"])
async def test_what_is_asked_twice_is_known_to_have_been_written_here_before_the_watch_says_so(on: str) -> None:
    with joined() as node:
        node.store.know(Member("lb2", {}, {}, is_alive=True, seen_at=0.0))
        actor: Actor = {"uid": 0, "user": "root", "pid": 1}
        key = on, Setting.STATE
        for before, after in (("ready", "drain"), ("drain", "ready")):
            change = Change(on, Setting.STATE, before, after, "ready")
            await node.changes.ask([change], actor, Why(), is_forced=False)
        node.store.view = replace(node.store.view, revision=9)  # where the view has all, what is not in it is gone
        await node.changes.ask([change], actor, Why(), is_forced=False)
        assert [seen[key] for seen in node.store.seen] == [0, 2, 0]
