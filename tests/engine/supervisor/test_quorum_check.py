from __future__ import annotations

import time

import pytest

from lbapp.control.messages import Actor
from lbapp.engine.supervisor.intents import Why
from lbapp.engine.supervisor.node_drain import NODE
from lbapp.engine.supervisor.quorum_check import check_quorum
from lbapp.engine.supervisor.reading import StatusReader
from lbapp.model.errors import RequestRefused
from lbapp.model.fleet import FleetIntent, Member
from lbapp.model.journal import Change, Setting
from tests.engine.supervisor.fleet_support import Joined, joined

pytestmark = pytest.mark.anyio

EVE: Actor = {"uid": 7, "user": "eve", "pid": 12}


def asked(node: str, value: str = "drain", revision: int = 5) -> FleetIntent:
    return FleetIntent("node/" + node, Setting.STATE, value, "ready", "carol", "lb1", time.time(), revision=revision)


def fleet_of_three(node: Joined, **state: object) -> None:
    node.store.know(*(Member(name, {}, {"ready": True, "fleet_revision": 4, **state}) for name in ("lb2", "lb3")))


@pytest.mark.parametrize(
    ("value", "known", "may"),
    [
        ("drain", 4, False),  # it does not say yet what it makes of that
        ("drain", 5, True),  # it knows, and says that it is ready: somebody has ended that there
        ("ready", 4, True),
    ],
)
async def test_a_member_that_is_about_to_drain_is_not_counted_as_ready(value: str, known: int, may: bool) -> None:
    with joined() as node:
        fleet_of_three(node, fleet_revision=known)
        check_quorum(node.link, "lb3", is_self_ready=True)
        node.store.put(asked("lb2", value))
        if may:
            check_quorum(node.link, "lb3", is_self_ready=True)
            return
        with pytest.raises(RequestRefused, match="1 of 3 members would be ready without lb3"):
            check_quorum(node.link, "lb3", is_self_ready=True)


async def test_an_undo_that_drains_the_node_is_refused_where_too_few_would_be_ready(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(StatusReader, "reasons_against", lambda _: [])
    with joined() as node:
        for before, after in (("ready", "drain"), ("drain", "ready")):
            change = Change(NODE, Setting.STATE, before, after, "ready")
            action = await node.serving.intents.record([change], EVE, Why())
            node.serving.making.make(action, EVE, "")
        fleet_of_three(node, ready=False)
        with pytest.raises(RequestRefused) as refused:
            await node.commands.undo(None, EVE)
        assert refused.value.code == "quorum"
        assert not node.own.drains.node.is_on
        await node.commands.undo({"force": True}, EVE)
        assert node.own.drains.node.is_on


async def test_changes_that_drain_another_node_are_held_to_the_quorum_as_well() -> None:
    with joined() as node:
        fleet_of_three(node)
        drain = Change("node/lb2", Setting.STATE, "ready", "drain", "ready")
        node.changes.check_quorum([drain], is_self_ready=True)
        with pytest.raises(RequestRefused, match="1 of 3 members would be ready without lb2"):
            node.changes.check_quorum([drain], is_self_ready=False)
        node.changes.check_quorum([Change("node/s1", Setting.STATE, "ready", "drain", "ready")], is_self_ready=False)
